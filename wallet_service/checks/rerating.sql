-- What it takes to rate every event again: the events in portions, and what a portion of them names.

-- name: in_one_order!
-- Events that are looked at again are found again in the same order.
set local synchronize_seqscans = off;

-- name: rated_events
select organization_id, id, transaction_id, code, timestamp, subscription_id, properties, precise_total_amount_cents,
    rating_status, plan_version_id, asset_code, lines, paid, reverses_event_id
from invoicing.events
where rating_status <> 'unrated';

-- name: scales
select organization_id, code, scale from wallet.assets
where organization_id = any(:organization_ids::uuid[]) and code = any(:codes::text[]);

-- name: cycles
select s.organization_id, s.id, p.interval, s.billing_time, s.subscription_at, invoicing.zone_of(
        s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = any(:organization_ids::uuid[]) and s.id = any(:ids::uuid[]);

-- name: lines_of
-- By keys, not by a join: joins of this transaction read whole tables.
select organization_id, id, lines from invoicing.events
where organization_id = any(:organization_ids::uuid[]) and id = any(:ids::uuid[]);

-- name: charged_otherwise_than_booked(limit)
-- What an event says it was paid with is in the book, to the unit.
select format('event %s: the book does not have its transfer %s of %s', p.event_id, p.transfer_id, p.amount_minor)
    as breach
from (
    select e.id as event_id, (entry ->> 0)::uuid as transfer_id, sum((entry ->> 2)::numeric) as amount_minor
    from invoicing.events e cross join jsonb_array_elements(e.paid) as entry
    group by e.organization_id, e.id, (entry ->> 0)::uuid
) p
left join wallet.book_transfers t on t.id = p.transfer_id
where t.id is null or t.phase not in (0, 2) or t.amount <> abs(p.amount_minor)
order by p.transfer_id limit :limit;

-- name: captured_otherwise_than_rated(limit)
-- The events of an authorization come to what it has captured and given back.
select format('authorization %s: captured %s and refunded %s, its events say %s and %s',
    coalesce(a.id::text, u.authorization_id), a.captured_minor, a.refunded_minor, u.charged, u.given_back) as breach
from wallet.authorizations a
full join (
    select e.organization_id, split_part(e.transaction_id, ':', 2) as authorization_id,
        sum(greatest((line ->> 'amount_minor')::numeric, 0)) as charged,
        -sum(least((line ->> 'amount_minor')::numeric, 0)) as given_back
    from invoicing.events e cross join jsonb_array_elements(e.lines) as line
    where e.transaction_id like 'authorization:%'
    group by 1, 2
) u on u.organization_id = a.organization_id and u.authorization_id = a.id::text
where (a.captured_minor, a.refunded_minor) is distinct from (coalesce(u.charged, 0), coalesce(u.given_back, 0))
order by 1 limit :limit;

-- name: reversed_more_than_charged(limit)
-- Reversals of an event never give back more than it cost.
select format('event %s: it cost %s, %s was given back', e.id, e.cost, r.given_back) as breach
from (
    select organization_id, reverses_event_id as id, -sum((line ->> 'amount_minor')::numeric) as given_back
    from invoicing.events cross join jsonb_array_elements(lines) as line
    where reverses_event_id is not null group by 1, 2
) r
join (
    select organization_id, id, sum((line ->> 'amount_minor')::numeric) as cost
    from invoicing.events cross join jsonb_array_elements(lines) as line
    group by 1, 2
) e on e.organization_id = r.organization_id and e.id = r.id
where r.given_back > e.cost
order by e.id limit :limit;
