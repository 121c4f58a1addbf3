-- What the subscriptions of a chain of plan changes pass on.

-- name: predecessors
-- Those that a subscription follows, plan by plan.
with recursive chain as (
    select s.organization_id, s.id as follower_id, s.previous_subscription_id as id
    from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
    join invoicing.subscriptions s on s.organization_id = w.organization_id and s.id = w.id
    where s.previous_subscription_id is not null
    union
    select c.organization_id, c.follower_id, s.previous_subscription_id
    from chain c
    join invoicing.subscriptions s on s.organization_id = c.organization_id and s.id = c.id
    where s.previous_subscription_id is not null
)
select organization_id, follower_id, array_agg(id) as ids from chain group by organization_id, follower_id;

-- name: passed_events
-- Without those that were reversed as a whole; in the order in which they count.
select e.id, e.code, e.timestamp, e.properties, e.precise_total_amount_cents, e.asset_code
from invoicing.events e
where e.organization_id = :organization_id and e.subscription_id = any(:subscription_ids::uuid[])
  and e.code = any(:codes::text[]) and e.reverses_event_id is null and e.rating_status <> 'unrated'
  and not exists (
    select from invoicing.events r
    where r.organization_id = :organization_id and r.reverses_event_id = e.id
      and r.lines -> 0 ->> 'charge_id' is not null)
order by e.timestamp, e.id;

-- name: followers
-- The plans that took the place of others, and from when on.
select n.organization_id, n.previous_subscription_id as id, n.plan_id, n.started_at
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.subscriptions n on n.organization_id = w.organization_id and n.previous_subscription_id = w.id
where n.status in ('active', 'terminated');
