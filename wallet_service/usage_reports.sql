-- Who used, and what measures it, for reports of usage.

-- name: find_subscription^
-- The newest first, where an external id was used again after a termination.
select s.id, s.external_id, s.plan_id, s.billing_time, s.subscription_at, s.started_at, s.terminated_at,
    p.interval, p.amount_currency as currency, invoicing.zone_of(
        s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.customer_id = :customer_id and s.external_id = :external_id
  and s.status = any(:statuses::text[])
order by s.terminated_at desc nulls first, s.started_at desc
limit 1;

-- name: find_metrics
-- Deleted ones too: what they measured stays.
select id, name, code, aggregation_type from invoicing.billable_metrics
where organization_id = :organization_id and id = any(:ids::uuid[]);
