-- name: find_to_look_at
-- Subscriptions that may have something to be billed by now, the longest waiting first.
select organization_id, id, next_billing_at from invoicing.subscriptions
where next_billing_at <= :now
  and (:organization_id::uuid is null or organization_id = :organization_id)
  and (:after_at::timestamptz is null or (next_billing_at, id) > (:after_at, :after_id::uuid))
order by next_billing_at, id
limit :limit;

-- name: find_scheduled
-- All that says when subscriptions are billed: their terms, those of their plans, the customer's clock, what was billed.
select s.organization_id, s.id, s.external_id, s.customer_id, c.external_id as external_customer_id, s.plan_id,
    s.status, s.billing_time, s.subscription_at, s.started_at, s.created_at, s.first_started_at, s.terminated_at,
    s.is_upgraded, s.previous_subscription_id,
    case when not has_follower then s.on_termination_credit_note end as on_termination_credit_note,
    case when not has_follower then s.on_termination_invoice end as on_termination_invoice,
    s.consolidate_invoice, s.purchase_order_number, s.next_billing_at, s.updated_at,
    coalesce(s.billing_entity_code, c.billing_entity_code) as billing_entity_code,
    invoicing.zone_of(s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone,
    p.interval, p.amount_cents, p.amount_currency, p.pay_in_advance, coalesce(p.trial_period, 0) as trial_period_days,
    coalesce(p.bill_charges_monthly, false) as bill_charges_monthly,
    coalesce(p.bill_fixed_charges_monthly, false) as bill_fixed_charges_monthly,
    coalesce(fixed.in_advance, false) as has_fixed_charges_in_advance,
    billed.last_at as billed_at, billed.periodic_at, billed.charges_to as charges_billed_to,
    billed.fixed_charges_to as fixed_charges_billed_to,
    array(select b.reason from invoicing.billed_periods b
          where b.organization_id = s.organization_id and b.subscription_id = s.id and b.billing_at = billed.last_at)
        as billed_reasons,
    case when fixed.in_advance then array(
        select distinct u.effective_at from invoicing.fixed_charge_units u
        where u.organization_id = s.organization_id and u.plan_id = s.plan_id and u.applies_immediately
          and u.effective_at > s.started_at and not exists (
            select from invoicing.billed_periods b
            where b.organization_id = s.organization_id and b.subscription_id = s.id
              and b.billing_at = u.effective_at and b.reason = 'fixed_charge_units_changed')
        order by u.effective_at) else '{}' end as units_changed_at
from unnest(:organization_ids::uuid[], :ids::uuid[]) with ordinality as wanted (organization_id, id, position)
join invoicing.subscriptions s on s.organization_id = wanted.organization_id and s.id = wanted.id
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
left join lateral (
    select jsonb_path_exists(v.fixed_charges, '$[*] ? (@.pay_in_advance == true)') as in_advance
    from invoicing.plan_versions v
    where v.organization_id = s.organization_id and v.plan_id = s.plan_id and v.effective_at <= :now
    order by v.effective_at desc, v.version desc limit 1
) fixed on true
cross join lateral (
    select s.terminated_at is not null and exists (
        select from invoicing.subscriptions n
        where n.organization_id = s.organization_id and n.previous_subscription_id = s.id and n.started_at is not null
    ) as has_follower
) followed
cross join lateral (
    select max(b.billing_at) as last_at,
        max(b.billing_at) filter (where b.reason = 'subscription_periodic') as periodic_at,
        max(b.charges_to_at) as charges_to,
        max(b.fixed_charges_to_at) filter (where b.fixed_charges_to_at <= b.billing_at) as fixed_charges_to
    from invoicing.billed_periods b
    where b.organization_id = s.organization_id and b.subscription_id = s.id
      and b.reason in ('subscription_starting', 'subscription_periodic', 'subscription_terminating',
                       'subscription_trial_ended')
) billed
where s.started_at is not null
order by wanted.position;

-- name: schedule
-- When subscriptions are to be looked at next, unless they have changed since they were read. Locked in one order, so that
-- nobody deadlocks.
with found as materialized (
    select s.organization_id, s.id, wanted.next_billing_at
    from unnest(:organization_ids::uuid[], :ids::uuid[], :read_at::timestamptz[], :next_billing_at::timestamptz[])
        as wanted (organization_id, id, updated_at, next_billing_at)
    join invoicing.subscriptions s
        on s.organization_id = wanted.organization_id and s.id = wanted.id and s.updated_at = wanted.updated_at
    order by s.organization_id, s.id
    for no key update of s
)
update invoicing.subscriptions s set next_billing_at = found.next_billing_at
from found
where s.organization_id = found.organization_id and s.id = found.id
returning s.id;

-- name: hold_subscriptions!
-- Whoever has read them to bill their period reads them again. Locked in one order, so that nobody deadlocks.
update invoicing.subscriptions s set updated_at = s.updated_at + interval '1 microsecond'
from (
    select s.organization_id, s.id
    from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
    join invoicing.subscriptions s on s.organization_id = w.organization_id and s.id = w.id
    order by s.organization_id, s.id for no key update of s
) w
where s.organization_id = w.organization_id and s.id = w.id;

-- fragment: look_again
-- At those that are held: locked in one order, so that nobody deadlocks with those who bill.
update invoicing.subscriptions s set next_billing_at = least(s.next_billing_at, :now), updated_at = :now
from held
where s.organization_id = :organization_id and s.id = held.id;

-- name: look_again_at_customer!
with held as materialized (
    select id from invoicing.subscriptions
    where organization_id = :organization_id and customer_id = :customer_id and status = 'active'
    order by id for no key update
)
{look_again}

-- name: look_again_at_plan!
with held as materialized (
    select id from invoicing.subscriptions
    where organization_id = :organization_id and plan_id = :plan_id and status = 'active'
    order by id for no key update
)
{look_again}

-- name: look_again_at_all!
with held as materialized (
    select id from invoicing.subscriptions
    where organization_id = :organization_id and status = 'active'
    order by id for no key update
)
{look_again}
