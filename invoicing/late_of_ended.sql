-- Subscriptions that have ended, and what came in for them after that.

-- name: ended_of_customers
-- Those of these customers that have ended and are billed. Where another plan has taken the place of one, and can bill in
-- its currency, it is followed.
select s.organization_id, s.id, s.external_id, s.customer_id, p.amount_currency,
    exists (
        select from invoicing.subscriptions n
        join invoicing.plans np on np.organization_id = n.organization_id and np.id = n.plan_id
        where n.organization_id = s.organization_id and n.external_id = s.external_id and n.status = 'active'
          and n.customer_id = s.customer_id and np.amount_currency = p.amount_currency) as is_followed
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as w (organization_id, customer_id)
join invoicing.subscriptions s
    on s.organization_id = w.organization_id and s.customer_id = w.customer_id and s.status = 'terminated'
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.next_billing_at is null
order by s.organization_id, s.id;

-- name: ended_page
-- Those that have ended and are billed, some at a time.
select s.organization_id, s.id from invoicing.subscriptions s
where s.status = 'terminated' and s.next_billing_at is null
  and (:organization_id::uuid is null or s.organization_id = :organization_id)
  and (:after_id::uuid is null or s.id > :after_id::uuid)
order by s.id limit :limit;

-- name: without_company
-- Those of them that no running subscription of the customer can bill for: none is in their currency.
select s.organization_id, s.id
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.subscriptions s on s.organization_id = w.organization_id and s.id = w.id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where not exists (
    select from invoicing.subscriptions n
    join invoicing.plans np on np.organization_id = n.organization_id and np.id = n.plan_id
    where n.organization_id = s.organization_id and n.customer_id = s.customer_id and n.status = 'active'
      and np.amount_currency = p.amount_currency)
order by s.id;

-- name: late_of_ended
-- Those of these for which something was committed after they were last billed or looked at, and when the last of it came.
select w.organization_id, w.subscription_id as id, late.last_at
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, subscription_id)
cross join lateral (
    select p.sealed_xact_id, p.charges_to_at, p.reason = 'subscription_terminating' as is_last
    from invoicing.billed_periods p
    where p.organization_id = w.organization_id and p.subscription_id = w.subscription_id
      and p.sealed_xact_id is not null and p.reason not in ('progressive_billing', 'late_usage')
    order by p.charges_to_at desc limit 1
) sealed
left join lateral (
    select p.sealed_xact_id from invoicing.billed_periods p
    where p.organization_id = w.organization_id and p.subscription_id = w.subscription_id and p.reason = 'late_usage'
    order by p.billing_at desc limit 1
) looked on true
cross join lateral (
    select max(e.created_at) as last_at from invoicing.events e
    where e.organization_id = w.organization_id and e.subscription_id = w.subscription_id
      and e.xact_id >= greatest(sealed.sealed_xact_id, looked.sealed_xact_id)
      and (sealed.is_last or e.timestamp < sealed.charges_to_at or e.reverses_event_id is not null)
) late
where late.last_at is not null
order by w.subscription_id;

-- name: followers_of_ended
-- These, and those of the plans that took their places, as far as they have ended and are billed: units that stay are
-- theirs, too. And when the last of one's followers, or itself, was billed or looked at.
with recursive chain as (
    select w.organization_id, w.subscription_id as late_id, w.subscription_id as id
    from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, subscription_id)
    union
    select n.organization_id, c.late_id, n.id
    from chain c
    join invoicing.subscriptions n on n.organization_id = c.organization_id and n.previous_subscription_id = c.id
    where n.status = 'terminated' and n.next_billing_at is null
)
select c.organization_id, c.late_id, c.id,
    max(billed.last_at) over (partition by c.organization_id, c.late_id) as billed_at
from chain c
cross join lateral (
    select max(p.billing_at) as last_at from invoicing.billed_periods p
    where p.organization_id = c.organization_id and p.subscription_id = c.id
      and p.sealed_xact_id is not null and p.reason <> 'progressive_billing'
) billed
order by c.id, c.late_id;
