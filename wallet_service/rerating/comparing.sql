-- What it takes to price past usage under another plan: who used, and what. Reads only.

-- name: find_subscriptions
-- Those that lived in some time, or were used in it, with the customers whose they are.
select s.id, s.external_id, c.external_id as external_customer_id, s.plan_id, coalesce(parent.code, p.code) as plan_code,
    s.billing_time,
    s.subscription_at, s.started_at, s.terminated_at, p.interval, p.amount_currency as currency,
    invoicing.zone_of(s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone,
    coalesce(s.first_started_at, s.started_at) as first_started_at
from invoicing.subscriptions s
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
left join invoicing.plans parent on parent.organization_id = p.organization_id and parent.id = p.parent_id
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
where s.organization_id = :organization_id and s.started_at is not null
  and (:external_customer_id::text is null or c.external_id = :external_customer_id)
  and (:external_subscription_id::text is null or s.external_id = :external_subscription_id)
  and (
    (s.started_at < :until and (s.terminated_at is null or s.terminated_at >= :start))
    or exists (
        select from invoicing.events e
        where e.organization_id = s.organization_id and e.subscription_id = s.id
          and e.timestamp >= :since and e.timestamp < :until))
order by c.external_id, s.external_id, s.started_at, s.id;

-- name: is_customer$
select exists (
    select from invoicing.customers where organization_id = :organization_id and external_id = :external_id);

-- name: is_subscription$
select exists (
    select from invoicing.subscriptions where organization_id = :organization_id and external_id = :external_id);

-- name: metric_names
-- Deleted ones too: what they measured stays.
select id, code from invoicing.billable_metrics where organization_id = :organization_id;

-- name: recurring_codes
-- What metrics are called, or were, whose units stay.
select code from invoicing.billable_metrics where organization_id = :organization_id and recurring
union
select charge ->> 'billable_metric_code'
from invoicing.plan_versions v cross join jsonb_array_elements(v.charges) as charge
where v.organization_id = :organization_id and charge -> 'recurring' = 'true';

-- name: used_by_nobody
-- What cannot be priced by any plan, since it is no subscription's.
select e.code, coalesce(e.unrated_reason, 'subscription_not_found') as reason, count(*) as events
from invoicing.events e
where e.organization_id = :organization_id and e.subscription_id is null and e.rating_status = 'unrated'
  and e.timestamp >= :start and e.timestamp < :end
  and (:external_customer_id::text is null or e.external_customer_id = :external_customer_id)
  and (:external_subscription_id::text is null or e.external_subscription_id = :external_subscription_id)
group by 1, 2;

-- name: find_version^
select v.id, p.interval
from invoicing.plan_versions v
join invoicing.plans p on p.organization_id = v.organization_id and p.id = v.plan_id
where v.organization_id = :organization_id and v.plan_id = :plan_id and v.version = :version;
