-- name: start_by_default!
-- Nothing happens where the external id is in use, or the customer is on the default plan already.
insert into invoicing.subscriptions (
    organization_id, id, external_id, customer_id, plan_id, name, status, billing_time, subscription_at, started_at,
    activated_at, started_by_default, consolidate_invoice, created_at, updated_at)
values (
    :organization_id, :id, :external_id, :customer_id, :plan_id, :name, 'active', 'calendar', :now, :now, :now, true,
    true, :now, :now)
on conflict do nothing;

-- name: find_subscribers
-- What prices new usage of customers, named by the callers' ids; who has no subscription gets one row without any.
-- Those who have no zone of their own have that of who bills them, looked up once for all of those.
with found as materialized (
    select c.organization_id, c.external_id as external_customer_id, c.id as customer_id, s.id,
        s.external_id, s.plan_id, p.current_version_id as plan_version_id, s.billing_time, s.subscription_at,
        s.started_at, s.terminated_at, p.interval, c.timezone,
        coalesce(s.billing_entity_code, c.billing_entity_code, '') as billing_entity_code
    from unnest(:organization_ids::uuid[], :external_ids::text[]) as wanted (organization_id, external_id)
    join invoicing.customers c
        on c.organization_id = wanted.organization_id and c.external_id = wanted.external_id and c.deleted_at is null
    left join invoicing.subscriptions s
        on s.organization_id = c.organization_id and s.customer_id = c.id and s.status = 'active'
    left join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
), zones as materialized (
    select of.organization_id, of.billing_entity_code,
        invoicing.zone_of(of.organization_id, null, nullif(of.billing_entity_code, '')) as timezone
    from (select distinct organization_id, billing_entity_code from found) of
)
select found.organization_id, found.external_customer_id, found.customer_id, found.id, found.external_id,
    found.plan_id, found.plan_version_id, found.billing_time, found.subscription_at, found.started_at,
    found.terminated_at, found.interval, coalesce(found.timezone, zones.timezone) as timezone
from found
join zones using (organization_id, billing_entity_code)
order by found.organization_id, found.customer_id, found.started_at, found.id;

-- name: find_at_times
-- The subscriptions that external ids meant at a time: usage may come in late, after their end.
select s.organization_id, s.id, s.external_id, s.customer_id, s.plan_id, p.current_version_id as plan_version_id,
    s.billing_time, s.subscription_at, s.started_at, s.terminated_at, p.interval,
    invoicing.zone_of(
        s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone,
    wanted.at as wanted_at, c.external_id as external_customer_id
from unnest(:organization_ids::uuid[], :external_ids::text[], :times::timestamptz[])
    as wanted (organization_id, external_id, at)
cross join lateral (
    select one.*
    from invoicing.subscriptions one
    where one.organization_id = wanted.organization_id and one.external_id = wanted.external_id
      and one.status in ('active', 'terminated')
      and date_trunc('milliseconds', one.started_at) <= date_trunc('milliseconds', wanted.at)
      and (one.terminated_at is null
           or date_trunc('milliseconds', one.terminated_at) >= date_trunc('milliseconds', wanted.at))
    order by one.terminated_at desc nulls first, one.started_at desc
    limit 1
) as s
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id;

-- name: find_started_by_default^
select s.id, s.external_id, s.customer_id, s.plan_id, p.current_version_id as plan_version_id, s.billing_time,
    s.subscription_at, s.started_at, s.terminated_at, p.interval,
    invoicing.zone_of(
        s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.customer_id = :customer_id and s.plan_id = :plan_id
  and s.status = 'active' and s.started_by_default;
