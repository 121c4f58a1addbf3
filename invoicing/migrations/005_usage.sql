-- Usage by hour, day and month, so that reading it costs what there are prices and days, not what there are events.
-- A column with a default that is the same for all rows there are, so events are not rewritten; two indexes on events,
-- which hold off its writers for as long as building them takes. Everything else is new. What was stored before is
-- folded by the worker, all of it in its first run.

alter table invoicing.events add column xact_id xid8 not null default pg_current_xact_id();
comment on column invoicing.events.xact_id is
    'The transaction that rated the event: tells the fold which rows every later snapshot will see.';
create index events_not_folded on invoicing.events (xact_id);
create index events_not_folded_of_subscription on invoicing.events (organization_id, subscription_id, xact_id);
comment on index invoicing.events_not_folded_of_subscription is
    'One subscription''s usage since the last fold: cheap also where nobody folds, since it is read under locks.';

-- An event that is rated late counts from then on, so it is given to the fold again.
create function invoicing.count_from_late_rating() returns trigger language plpgsql as $$
begin
    new.xact_id := pg_current_xact_id();
    return new;
end
$$;
create trigger counted_from_late_rating before update on invoicing.events
    for each row execute function invoicing.count_from_late_rating();

-- What charges made of events, one row a line. An event that was reversed as a whole is as if it had never been, so the
-- lines of its reversal take it out where it was: -1 event, at its time. Amounts that were given without a price, or
-- given back in part (charge_id null), are no usage.
create view invoicing.usage_lines with (security_invoker = true) as
select e.organization_id, e.subscription_id, e.xact_id, e.timestamp, e.code,
    case when e.reverses_event_id is null then e.timestamp
         else (select o.timestamp from invoicing.events o
               where o.organization_id = e.organization_id and o.id = e.reverses_event_id) end as used_at,
    coalesce(e.reverses_event_id, e.id) as event_id, e.reverses_event_id is not null as is_reversal,
    case when e.reverses_event_id is null then 1 else -1 end as events, e.asset_code,
    coalesce(e.plan_version_id, '00000000-0000-0000-0000-000000000000') as plan_version_id, l.charge_id,
    coalesce(l.filter_id, '00000000-0000-0000-0000-000000000000') as filter_id, coalesce(l."group", '') as grouped_by,
    coalesce(l.presentation, '') as presented_by, l.units, l.exact,
    case when e.rating_status = 'rated' then l.amount_minor else 0 end as debited_minor, l.member,
    coalesce(l.removes, false) as removes, coalesce(l.precise_amount_cents, 0) as precise_cents
from invoicing.events e
cross join lateral jsonb_to_recordset(e.lines) as l (
    charge_id uuid, filter_id uuid, "group" text, presentation text, units numeric, exact numeric,
    amount_minor bigint, member text, removes boolean, precise_amount_cents numeric)
where e.rating_status <> 'unrated' and e.subscription_id is not null and l.charge_id is not null;
grant select on invoicing.usage_lines to wallet_api, wallet_committer, wallet_worker;

create table invoicing.usage_marks (
    only_row     boolean not null primary key default true check (only_row),
    folded_below xid8    not null
);
comment on table invoicing.usage_marks is
    'Rollups hold the events of all transactions below this one; newer events are read as they are.';
insert into invoicing.usage_marks (folded_below) values ('0');

create table invoicing.usage_keys (
    organization_id uuid   not null,
    id              bigint not null generated always as identity,
    subscription_id uuid   not null,
    charge_id       uuid   not null,
    filter_id       uuid   not null,
    grouped_by      text   not null,
    presented_by    text   not null,
    group_hash      bytea  not null,
    asset_code      text   not null,
    primary key (organization_id, id),
    unique (organization_id, subscription_id, charge_id, filter_id, group_hash, asset_code)
);
comment on table invoicing.usage_keys is 'What usage is counted by: a subscription, a price, a group.';
comment on column invoicing.usage_keys.filter_id is 'The nil id: the charge''s default bucket.';
comment on column invoicing.usage_keys.grouped_by is 'The values of the pricing group keys, as the line has them.';
comment on column invoicing.usage_keys.presented_by is 'The values of the presentation group keys, which have no price.';
comment on column invoicing.usage_keys.group_hash is
    'SHA-256 of both, a line feed between them: values may be longer than an index takes.';

create table invoicing.usage_rollups (
    organization_id uuid        not null,
    key_id          bigint      not null,
    width           text        not null collate "C" check (width in ('hour', 'day', 'month')),
    bucket_start    timestamptz not null,
    plan_version_id uuid        not null,
    events          bigint      not null,
    units           numeric     not null,
    units_max       numeric,
    last_units      numeric,
    last_at         timestamptz,
    last_id         uuid,
    moment          numeric     not null,
    precise_cents   numeric     not null,
    exact           numeric     not null,
    debited_minor   numeric     not null,
    corrections     bigint      not null,
    reversals       bigint      not null,
    members         bigint      not null,
    primary key (organization_id, key_id, width, bucket_start, plan_version_id)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on table invoicing.usage_rollups is
    'Derived from events, below invoicing.usage_marks. Widths are UTC hours, days and months; each holds all events.';
comment on column invoicing.usage_rollups.moment is 'Σ units × microseconds since 1970: what a weighted sum needs.';
comment on column invoicing.usage_rollups.debited_minor is 'What prepaid events were charged when they came.';
comment on column invoicing.usage_rollups.corrections is 'Events of negative units, or that remove a value.';
comment on column invoicing.usage_rollups.reversals is
    'Events that were taken out again. units_max, last_units and members may still know of them.';
comment on column invoicing.usage_rollups.members is
    'Values of a unique count whose last operation of all adds them, and falls into this bucket.';

create table invoicing.usage_members (
    organization_id uuid        not null,
    key_id          bigint      not null,
    member_hash     bytea       not null,
    last_at         timestamptz not null,
    last_id         uuid        not null,
    removes         boolean     not null,
    plan_version_id uuid        not null,
    primary key (organization_id, key_id, member_hash)
) with (fillfactor = 80);
comment on table invoicing.usage_members is 'The last operation on each value of a unique count, below the mark.';
comment on column invoicing.usage_members.member_hash is 'SHA-256 of the value.';

do $$
declare
    name text;
begin
    foreach name in array array['usage_keys', 'usage_rollups', 'usage_members'] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;
grant select on invoicing.usage_marks, invoicing.usage_keys, invoicing.usage_rollups, invoicing.usage_members
    to wallet_api, wallet_committer, wallet_worker;
grant update on invoicing.usage_marks to wallet_worker;
grant insert, update, delete on invoicing.usage_keys, invoicing.usage_rollups, invoicing.usage_members to wallet_worker;
