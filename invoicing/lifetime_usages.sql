-- name: find_historical^
select id, historical_amount_cents from invoicing.lifetime_usages
where organization_id = :organization_id and external_subscription_id = :external_subscription_id;

-- name: put_historical!
insert into invoicing.lifetime_usages (
    organization_id, id, external_subscription_id, historical_amount_cents, created_at, updated_at)
values (:organization_id, :id, :external_subscription_id, :amount_cents, :now, :now)
on conflict (organization_id, external_subscription_id) do update set
    historical_amount_cents = excluded.historical_amount_cents, updated_at = excluded.updated_at;

-- name: find_first_start$
select min(coalesce(first_started_at, started_at)) from invoicing.subscriptions
where organization_id = :organization_id and external_id = :external_subscription_id and started_at is not null;

-- name: sum_invoiced$
-- Usage of periods that are over, and what events were billed for by themselves before the running one. What usage was
-- billed for when a threshold was crossed is in the invoice of its period again.
select coalesce(sum(f.amount_cents), 0)::bigint
from invoicing.subscriptions s
join invoicing.fees f on f.organization_id = s.organization_id and f.subscription_id = s.id
left join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
where s.organization_id = :organization_id and s.external_id = :external_subscription_id
  and f.fee_type = 'charge' and f.deleted_at is null and f.amount_currency = :currency
  and (f.invoice_id is null or i.status in ('finalized', 'closed') and i.invoice_type <> 'progressive_billing')
  and (f.subscription_id <> :subscription_id or f.from_datetime is null or f.from_datetime < :period_start);

-- name: find_reached
-- When thresholds were crossed, as the invoices say that were made then.
select threshold ->> 'id' as threshold_id, min(i.created_at) as reached_at
from invoicing.subscriptions s
join invoicing.fees f on f.organization_id = s.organization_id and f.subscription_id = s.id
join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
cross join jsonb_array_elements(i.applied_usage_thresholds) as threshold
where s.organization_id = :organization_id and s.external_id = :external_subscription_id
  and i.invoice_type = 'progressive_billing' and i.status <> 'voided'
group by 1;
