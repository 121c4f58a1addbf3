-- Fees without an invoice that were paid, and are gathered on one when their period is over.

-- name: lock_paid_fees
-- Of a few customers, whole: in an order in which two who do so do not wait for each other.
with ready as (
    select f.organization_id, f.id
    from invoicing.fees f
    join invoicing.subscriptions s on s.organization_id = f.organization_id and s.id = f.subscription_id
    join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
    join invoicing.plan_versions v on v.organization_id = p.organization_id and v.id = p.current_version_id
    where f.event_transaction_id is not null and f.invoice_id is null and f.payment_status = 'succeeded'
      and f.to_datetime <= :now and f.deleted_at is null
      and (:organization_id::uuid is null or f.organization_id = :organization_id)
      and jsonb_path_exists(v.charges, '$[*] ? (@.id == $id && @.regroup_paid_fees == "invoice")',
                            jsonb_build_object('id', f.charge_id))
    order by f.organization_id, f.customer_id, f.id limit :limit
)
select f.* from invoicing.fees f join ready r on r.organization_id = f.organization_id and r.id = f.id
order by f.organization_id, f.customer_id, f.id
for update of f skip locked;

-- name: payers_of_events
-- By grant; the nil id is what no grant could pay.
select (p.entry ->> 1)::uuid as grant_id, sum((p.entry ->> 2)::bigint) as amount_minor
from unnest(:subscription_ids::uuid[], :transaction_ids::text[], :starts::timestamptz[], :ends::timestamptz[])
    as w (subscription_id, transaction_id, start, "end")
cross join lateral (
    select e.paid from invoicing.events e
    where e.organization_id = :organization_id and e.subscription_id = w.subscription_id
      and e.timestamp >= w.start and e.timestamp < w."end" and e.transaction_id = w.transaction_id
      and e.reverses_event_id is null and e.rating_status = 'rated'
) e
cross join lateral jsonb_array_elements(e.paid) as p (entry)
group by p.entry ->> 1;

-- name: unpaid_regrouped
-- Their fees were paid: so are they.
select organization_id, id from invoicing.invoices
where invoice_type = 'advance_charges' and status = 'finalized' and payment_status <> 'succeeded'
  and payment_due_date is not null and total_amount_cents > total_paid_amount_cents
order by id limit :limit;
