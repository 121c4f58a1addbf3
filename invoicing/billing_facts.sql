-- What billing needs to know of many subscriptions at once, of many organizations.

-- name: find_plans
-- One that was made for a subscription goes by the code of its parent.
select p.organization_id, p.id, coalesce(parent.code, p.code) as code, p.name, p.invoice_display_name, p.interval, p.amount_cents, p.amount_currency,
    p.pay_in_advance, p.tax_codes
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.plans p on p.organization_id = w.organization_id and p.id = w.id
left join invoicing.plans parent on parent.organization_id = p.organization_id and parent.id = p.parent_id;

-- name: find_metrics
-- Deleted ones too: what they measured stays.
select id, name from invoicing.billable_metrics
where organization_id = :organization_id and id = any(:ids::uuid[]);

-- name: find_customers
select c.* from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.customers c on c.organization_id = w.organization_id and c.id = w.id;

-- name: paid_usage
-- By grant; the nil id is what no grant could pay. Without what was taken back as a whole. What was given back of a price
-- later is not taken off: the usage was billed in full, and the refund is its own.
select w.position, (p.entry ->> 1)::uuid as grant_id, sum((p.entry ->> 2)::bigint) as amount_minor
from unnest(
    :organization_ids::uuid[], :subscription_ids::uuid[], :starts::timestamptz[], :ends::timestamptz[],
    :asset_codes::text[], :since::text[]::xid8[])
    with ordinality as w (organization_id, subscription_id, start, "end", asset_code, since, position)
cross join lateral (
    select exists (
        select from invoicing.fees f
        where f.organization_id = w.organization_id and f.subscription_id = w.subscription_id
          and f.event_transaction_id is not null) as has_fees
    offset 0
) a
cross join lateral (
    select e.paid from invoicing.events e
    where e.organization_id = w.organization_id and e.subscription_id = w.subscription_id
      and e.timestamp >= w.start and e.timestamp < w."end" and e.rating_status = 'rated'
      -- Without those that were billed in advance: that names who paid.
      and (not a.has_fees or not exists (
        select from invoicing.fees f
        where f.organization_id = w.organization_id and f.subscription_id = w.subscription_id
          and f.event_transaction_id = e.transaction_id))
      and e.asset_code = w.asset_code and (w.since is null or e.xact_id >= w.since) and e.reverses_event_id is null and e.lines -> 0 ->> 'charge_id' is not null
      and not exists (
        select from invoicing.events r
        where r.organization_id = w.organization_id and r.reverses_event_id = e.id
          and r.lines -> 0 ->> 'charge_id' is not null)
    offset 0
) e
cross join lateral jsonb_array_elements(e.paid) as p (entry)
group by w.position, p.entry ->> 1;

-- name: billed_usage_before$
-- Without an invoice that is computed anew: its lines of before are not billed.
select coalesce(sum(f.precise_amount_cents), 0)
from invoicing.fees f
join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
where f.organization_id = :organization_id and f.subscription_id = :subscription_id and f.from_datetime >= :start
  and f.from_datetime < :before and f.invoice_id is distinct from :own_id::uuid
  and f.fee_type = 'charge' and f.deleted_at is null and i.status in ('draft', 'finalizing', 'finalized')
  and i.invoice_type <> 'progressive_billing';
