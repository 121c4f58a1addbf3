-- Events as if they had been stored in the last weeks: priced like one that was sent, and postpaid, so that no money
-- belongs to them.

-- name: make_users#
create temporary table if not exists users (
    n integer primary key, customer_id uuid not null, external_customer_id text not null,
    subscription_id uuid not null, external_subscription_id text not null);
create or replace function pg_temp.id_at(ms bigint) returns uuid language sql volatile as $$
    select (substr(lpad(to_hex(ms), 12, '0'), 1, 12) || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;
truncate users;

-- name: fill_users!
insert into users
select row_number() over (order by s.id) - 1, c.id, c.external_id, s.id, s.external_id
from invoicing.customers c
join invoicing.subscriptions s on s.organization_id = c.organization_id and s.customer_id = c.id
where c.organization_id = :organization_id;

-- name: find_event^
select id, timestamp from invoicing.events
where organization_id = :organization_id and transaction_id = :transaction_id;

-- name: store_events!
insert into invoicing.events (
    organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id,
    external_subscription_id, code, timestamp, properties, rating_status, plan_version_id, lines, operation_id,
    created_at, asset_code)
select t.organization_id, pg_temp.id_at((extract(epoch from e.at) * 1000)::bigint), 'stored-' || e.n, u.customer_id,
    u.external_customer_id, u.subscription_id, u.external_subscription_id, t.code, e.at, t.properties, 'postpaid',
    t.plan_version_id, t.lines, gen_random_uuid(), e.at, t.asset_code
from invoicing.events t,
    lateral (
        select n, t.timestamp - (:total - n) * (interval '20 days' / :total) as at
        from generate_series(:first::integer, :last::integer) n) e
join users u on u.n = (e.n * 7919::bigint) % (select count(*) from users)
where t.organization_id = :organization_id and t.id = :event_id;

-- name: is_folded$
select not exists (
    select from invoicing.events e where e.xact_id >= (select folded_below from invoicing.usage_marks));
