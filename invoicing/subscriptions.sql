-- name: insert_subscription$
-- No id back means that an active (or pending) subscription has the external id, or that the default one is there already.
insert into invoicing.subscriptions (
    organization_id, id, external_id, customer_id, plan_id, name, status, billing_time, subscription_at,
    started_at, ending_at, terminated_at, canceled_at, previous_subscription_id, started_by_default,
    on_termination_credit_note, on_termination_invoice, purchase_order_number, consolidate_invoice, created_at,
    updated_at)
values (
    :organization_id, :id, :external_id, :customer_id, :plan_id, :name, :status, :billing_time,
    :subscription_at, :started_at, :ending_at, :terminated_at, :canceled_at, :previous_subscription_id,
    :started_by_default, :on_termination_credit_note, :on_termination_invoice, :purchase_order_number,
    :consolidate_invoice, :created_at, :updated_at)
on conflict do nothing
returning id;

-- name: update_subscription!
update invoicing.subscriptions set
    name = :name, status = :status, billing_time = :billing_time, subscription_at = :subscription_at,
    started_at = :started_at, ending_at = :ending_at, terminated_at = :terminated_at,
    canceled_at = :canceled_at, on_termination_credit_note = :on_termination_credit_note,
    on_termination_invoice = :on_termination_invoice, purchase_order_number = :purchase_order_number,
    consolidate_invoice = :consolidate_invoice, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_subscription^
-- The newest first, where an external id was used again after a termination.
select s.*, c.external_id as external_customer_id, p.code as plan_code, p.amount_cents as plan_amount_cents,
    p.amount_currency as plan_amount_currency, p.current_version_id as plan_version_id
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.external_id = :external_id and s.status = any(:statuses::text[])
order by s.terminated_at desc nulls first, s.started_at desc
limit 1;

-- name: lock_subscription^
select id from invoicing.subscriptions
where organization_id = :organization_id and external_id = :external_id and status = any(:statuses::text[])
order by terminated_at desc nulls first, started_at desc
limit 1
for no key update;

-- name: list_subscriptions
select s.*, c.external_id as external_customer_id, p.code as plan_code, p.amount_cents as plan_amount_cents,
    p.amount_currency as plan_amount_currency, p.current_version_id as plan_version_id
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.status = any(:statuses::text[])
  and (:external_customer_id::text is null or c.external_id = :external_customer_id)
  and (:plan_code::text is null or p.code = :plan_code)
order by s.id desc limit :limit offset :offset;

-- name: count_subscriptions$
select count(*)
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.status = any(:statuses::text[])
  and (:external_customer_id::text is null or c.external_id = :external_customer_id)
  and (:plan_code::text is null or p.code = :plan_code);

-- name: find_subscribers
-- What prices new usage of customers, named by the callers' ids; who has no subscription gets one row without any.
select c.organization_id, c.external_id as external_customer_id, c.id as customer_id, c.currency, s.id, s.external_id,
    s.plan_id, p.current_version_id as plan_version_id, s.billing_time, s.subscription_at, s.started_at,
    s.terminated_at, s.started_by_default, p.interval
from unnest(:organization_ids::uuid[], :external_ids::text[]) as wanted (organization_id, external_id)
join invoicing.customers c
    on c.organization_id = wanted.organization_id and c.external_id = wanted.external_id and c.deleted_at is null
left join invoicing.subscriptions s
    on s.organization_id = c.organization_id and s.customer_id = c.id and s.status = 'active'
left join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
order by c.organization_id, c.id, s.started_at, s.id;

-- name: find_at_times
-- The subscriptions that external ids meant at a time: usage may come in late, after their end.
select s.organization_id, s.id, s.external_id, s.customer_id, s.plan_id, p.current_version_id as plan_version_id,
    s.billing_time, s.subscription_at, s.started_at, s.terminated_at, s.started_by_default, p.interval,
    wanted.at as wanted_at, c.external_id as external_customer_id, c.currency
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
    s.subscription_at, s.started_at, s.terminated_at, s.started_by_default, p.interval
from invoicing.subscriptions s
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.customer_id = :customer_id and s.plan_id = :plan_id
  and s.status = 'active' and s.started_by_default;

-- name: organizations_with_starts
select distinct organization_id from invoicing.subscriptions where status = 'pending' and subscription_at <= :now;

-- name: organizations_with_ends
select distinct organization_id from invoicing.subscriptions where status = 'active' and ending_at <= :now;

-- name: start_due
-- Activates what was agreed for a time that has come. What cannot start, since its external id is in use, stays pending.
update invoicing.subscriptions s
set status = 'active', started_at = s.subscription_at, updated_at = :now
where s.status = 'pending' and s.subscription_at <= :now
  and not exists (select from invoicing.subscriptions other where other.organization_id = s.organization_id
                  and other.external_id = s.external_id and other.status = 'active')
returning s.organization_id, s.id;

-- name: end_due
-- Terminates what was agreed to end by now.
update invoicing.subscriptions
set status = 'terminated', terminated_at = greatest(ending_at, started_at), updated_at = :now
where status = 'active' and ending_at <= :now
returning organization_id, id;
