-- Rollups of usage: folded by the worker, read with what is newer, always in one statement, so in one snapshot. Joins
-- that must go by key are lateral: statistics come late, and a plan that walks all keys works only in tests.

-- name: fold^
-- Below the oldest transaction that is still running, every event is either visible to this snapshot or will never be:
-- those events move into the rollups, about events_max of them at a time, but always whole transactions. A mark that
-- somebody else holds leaves nothing to do.
with mark as (
    select folded_below from invoicing.usage_marks for no key update skip locked
),
oldest as (
    select xact_id from invoicing.events where xact_id >= (select folded_below from mark)
    order by xact_id limit 1
),
portion as (
    select xact_id from invoicing.events where xact_id >= (select folded_below from mark)
    order by xact_id offset :events_max limit 1
),
after_the_oldest as (
    select xact_id from invoicing.events where xact_id > (select xact_id from oldest)
    order by xact_id limit 1
),
upto as (
    select greatest(m.folded_below, least(
        pg_snapshot_xmin(pg_current_snapshot()),
        case when p.xact_id > o.xact_id then p.xact_id
             when p.xact_id = o.xact_id then a.xact_id end)) as xact_id
    from mark m
    left join oldest o on true
    left join portion p on true
    left join after_the_oldest a on true
),
lines as materialized (
    select organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code,
        plan_version_id, date_bin('1 hour', used_at, '1970-01-01Z') as bucket_start, used_at, event_id, is_reversal,
        events, units, exact, debited_minor, precise_cents, member, removes
    from invoicing.usage_lines
    where xact_id >= (select folded_below from mark) and xact_id < (select xact_id from upto)
),
sums as materialized (
    select organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code,
        plan_version_id, bucket_start, sum(events) as events, sum(units) as units,
        max(units) filter (where not is_reversal) as units_max,
        (array_agg(units order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_units,
        (array_agg(used_at order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_at,
        (array_agg(event_id order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_id,
        sum(units * (extract(epoch from used_at) * 1000000)::bigint) as moment, sum(precise_cents) as precise_cents,
        sum(exact) as exact, sum(debited_minor) as debited_minor,
        coalesce(sum(events) filter (where removes or units * events < 0), 0) as corrections,
        count(*) filter (where is_reversal) as reversals, count(*) as lines
    from lines
    group by organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code,
        plan_version_id, bucket_start
),
-- Values of a unique count are counted whatever they are presented by.
wanted as (
    select *, sha256(convert_to(grouped_by || e'\n' || presented_by, 'UTF8')) as group_hash
    from (
        select organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code from sums
        union
        select organization_id, subscription_id, charge_id, filter_id, grouped_by, '', asset_code from lines
        where member is not null
    ) named
),
known as (
    select w.*, k.id
    from wanted w
    left join lateral (
        select k.id from invoicing.usage_keys k
        where k.organization_id = w.organization_id and k.subscription_id = w.subscription_id
          and k.charge_id = w.charge_id and k.filter_id = w.filter_id and k.group_hash = w.group_hash
          and k.asset_code = w.asset_code
        limit 1
    ) k on true
),
made as (
    insert into invoicing.usage_keys (
        organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, group_hash, asset_code)
    select organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, group_hash, asset_code
    from known where id is null
    returning organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code, id
),
keys as materialized (
    select organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code, id as key_id
    from known where id is not null
    union all
    select organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code, id from made
),
-- The last operation on each value of a unique count, and where it takes the value from.
operations as (
    select distinct on (l.organization_id, k.key_id, l.member_hash) l.organization_id, k.key_id, l.member_hash,
        l.plan_version_id, l.used_at, l.event_id, l.removes
    from (select *, '' as presented_by, sha256(convert_to(member, 'UTF8')) as member_hash
          from (select organization_id, subscription_id, charge_id, filter_id, grouped_by, asset_code,
                    plan_version_id, used_at, event_id, removes, member
                from lines where member is not null and not is_reversal) o) l
    join keys k using (organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code)
    order by l.organization_id, k.key_id, l.member_hash, l.used_at desc, l.event_id desc
),
moved as materialized (
    select o.*, m.last_at as before_at, m.removes as removed_before, m.plan_version_id as version_before
    from operations o
    left join lateral (
        select m.last_at, m.last_id, m.removes, m.plan_version_id from invoicing.usage_members m
        where m.organization_id = o.organization_id and m.key_id = o.key_id and m.member_hash = o.member_hash
        limit 1
    ) m on true
    where m.last_at is null or (o.used_at, o.event_id) > (m.last_at, m.last_id)
),
kept as (
    insert into invoicing.usage_members as m (
        organization_id, key_id, member_hash, last_at, last_id, removes, plan_version_id)
    select organization_id, key_id, member_hash, used_at, event_id, removes, plan_version_id from moved
    on conflict (organization_id, key_id, member_hash) do update set
        last_at = excluded.last_at, last_id = excluded.last_id, removes = excluded.removes,
        plan_version_id = excluded.plan_version_id
),
swings as (
    select organization_id, key_id, plan_version_id, date_bin('1 hour', used_at, '1970-01-01Z') as bucket_start,
        1 as members
    from moved where not removes
    union all
    select organization_id, key_id, version_before, date_bin('1 hour', before_at, '1970-01-01Z'), -1
    from moved where before_at is not null and not removed_before
),
hours as (
    select s.organization_id, k.key_id, s.bucket_start, s.plan_version_id, s.events, s.units, s.units_max,
        s.last_units, s.last_at, s.last_id, s.moment, s.precise_cents, s.exact, s.debited_minor, s.corrections,
        s.reversals, 0 as members
    from sums s
    join keys k using (organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code)
    union all
    select organization_id, key_id, bucket_start, plan_version_id,
        0, 0, null, null, null, null, 0, 0, 0, 0, 0, 0, sum(members)
    from swings
    group by organization_id, key_id, bucket_start, plan_version_id
),
buckets as (
    select h.organization_id, h.key_id, w.width, date_trunc(w.width, h.bucket_start, 'UTC') as bucket_start,
        h.plan_version_id, sum(h.events) as events, sum(h.units) as units, max(h.units_max) as units_max,
        (array_agg(h.last_units order by h.last_at desc nulls last, h.last_id desc))[1] as last_units,
        (array_agg(h.last_at order by h.last_at desc nulls last, h.last_id desc))[1] as last_at,
        (array_agg(h.last_id order by h.last_at desc nulls last, h.last_id desc))[1] as last_id,
        sum(h.moment) as moment, sum(h.precise_cents) as precise_cents, sum(h.exact) as exact,
        sum(h.debited_minor) as debited_minor, sum(h.corrections) as corrections, sum(h.reversals) as reversals,
        sum(h.members) as members
    from hours h cross join (values ('hour'), ('day'), ('month')) as w (width)
    group by h.organization_id, h.key_id, w.width, 4, h.plan_version_id
),
added as (
    insert into invoicing.usage_rollups as r (
        organization_id, key_id, width, bucket_start, plan_version_id, events, units, units_max, last_units, last_at,
        last_id, moment, precise_cents, exact, debited_minor, corrections, reversals, members)
    select * from buckets
    on conflict (organization_id, key_id, width, bucket_start, plan_version_id) do update set
        events = r.events + excluded.events,
        units = r.units + excluded.units,
        units_max = greatest(r.units_max, excluded.units_max),
        (last_units, last_at, last_id) = (
            select l.last_units, l.last_at, l.last_id
            from (values (r.last_units, r.last_at, r.last_id),
                         (excluded.last_units, excluded.last_at, excluded.last_id))
                as l (last_units, last_at, last_id)
            order by l.last_at desc nulls last, l.last_id desc limit 1),
        moment = r.moment + excluded.moment,
        precise_cents = r.precise_cents + excluded.precise_cents,
        exact = r.exact + excluded.exact,
        debited_minor = r.debited_minor + excluded.debited_minor,
        corrections = r.corrections + excluded.corrections,
        reversals = r.reversals + excluded.reversals,
        members = r.members + excluded.members
    returning 1
),
advanced as (
    update invoicing.usage_marks k set folded_below = upto.xact_id from upto
    returning 1
)
select (select count(*) from lines) as lines,
    (select coalesce(max(lines), 0)::bigint
     from (select sum(lines) as lines from sums group by organization_id, subscription_id) s) as lines_of_one,
    coalesce((select xact_id from upto) < pg_snapshot_xmin(pg_current_snapshot()), false) as has_more;

-- name: read
-- The usage of a subscription from start to end, by price, group and version. Whole hours, days and months (inside of
-- inner_start and inner_end) come from rollups and newer events, the edges from the events alone. The members of a
-- unique count come in rows of their own, and are sure only if nothing happened to them outside of what was looked at.
with mark as (
    select folded_below from invoicing.usage_marks
),
keys as materialized (
    select id as key_id, charge_id, filter_id, grouped_by, presented_by, asset_code
    from invoicing.usage_keys
    where organization_id = :organization_id and subscription_id = :subscription_id
      and (:charge_ids::uuid[] is null or charge_id = any(:charge_ids))
),
rolled as (
    select k.charge_id, k.filter_id, k.grouped_by, k.presented_by, k.asset_code, r.*
    from keys k
    cross join lateral (
        select r.plan_version_id, sum(r.events) as events, sum(r.units) as units, max(r.units_max) as units_max,
            (array_agg(r.last_units order by r.last_at desc nulls last, r.last_id desc))[1] as last_units,
            (array_agg(r.last_at order by r.last_at desc nulls last, r.last_id desc))[1] as last_at,
            (array_agg(r.last_id order by r.last_at desc nulls last, r.last_id desc))[1] as last_id,
            sum(r.moment) as moment, sum(r.precise_cents) as precise_cents, sum(r.exact) as exact,
            sum(r.debited_minor) as debited_minor, sum(r.corrections) as corrections, sum(r.reversals) as reversals,
            sum(r.members) as members
        from unnest(:widths::text[], :starts::timestamptz[], :ends::timestamptz[]) as b (width, start, "end")
        join invoicing.usage_rollups r
            on r.organization_id = :organization_id and r.key_id = k.key_id and r.width = b.width
           and r.bucket_start >= b.start and r.bucket_start < b."end"
        group by r.plan_version_id
    ) r
),
newer as materialized (
    select charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, used_at, event_id, is_reversal,
        events, units, exact, debited_minor, precise_cents, member, removes
    from invoicing.usage_lines
    where organization_id = :organization_id and subscription_id = :subscription_id
      and xact_id >= (select folded_below from mark)
      and (:charge_ids::uuid[] is null or charge_id = any(:charge_ids))
),
edges as (
    select l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code, l.plan_version_id, l.used_at,
        l.event_id, l.is_reversal, l.events, l.units, l.exact, l.debited_minor, l.precise_cents, l.member, l.removes
    from unnest(array[:start, :inner_end]::timestamptz[], array[:inner_start, :end]::timestamptz[]) as b (start, "end")
    join invoicing.usage_lines l
        on l.organization_id = :organization_id and l.subscription_id = :subscription_id
       and l.timestamp >= b.start and l.timestamp < b."end"
    where b.start < b."end" and not l.is_reversal
      and (:charge_ids::uuid[] is null or l.charge_id = any(:charge_ids))
      and not exists (
        select from invoicing.events r
        where r.organization_id = :organization_id and r.reverses_event_id = l.event_id
          and r.lines -> 0 ->> 'charge_id' is not null)
),
singles as (
    select * from newer where used_at >= :inner_start and used_at < :inner_end
    union all
    select * from edges
),
added as (
    select charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, sum(events) as events,
        sum(units) as units, max(units) filter (where not is_reversal) as units_max,
        (array_agg(units order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_units,
        (array_agg(used_at order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_at,
        (array_agg(event_id order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_id,
        sum(units * (extract(epoch from used_at) * 1000000)::bigint) as moment, sum(precise_cents) as precise_cents,
        sum(exact) as exact, sum(debited_minor) as debited_minor,
        coalesce(sum(events) filter (where removes or units * events < 0), 0) as corrections,
        count(*) filter (where is_reversal) as reversals
    from singles
    group by charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id
),
-- How newer operations move the members that rollups know of: from where the value was last to where it is now.
operations as (
    select distinct on (charge_id, filter_id, grouped_by, asset_code, member)
        charge_id, filter_id, grouped_by, asset_code, member, used_at, event_id, removes
    from newer where member is not null and not is_reversal
    order by charge_id, filter_id, grouped_by, asset_code, member, used_at desc, event_id desc
),
swings as (
    select o.charge_id, o.filter_id, o.grouped_by, o.asset_code,
        case when not o.removes and o.used_at >= :inner_start and o.used_at < :inner_end then 1 else 0 end
      - case when not m.removes and m.last_at >= :inner_start and m.last_at < :inner_end then 1 else 0 end as members
    from operations o
    left join keys k
        on k.charge_id = o.charge_id and k.filter_id = o.filter_id and k.grouped_by = o.grouped_by
       and k.asset_code = o.asset_code and k.presented_by = ''
    left join invoicing.usage_members m
        on m.organization_id = :organization_id and m.key_id = k.key_id
       and m.member_hash = sha256(convert_to(o.member, 'UTF8'))
    where m.last_at is null or (o.used_at, o.event_id) > (m.last_at, m.last_id)
)
select charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, events, units, units_max,
    last_units, last_at, last_id, moment, precise_cents, exact, debited_minor, corrections, reversals, members,
    false as has_later
from rolled
union all
select charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, events, units, units_max,
    last_units, last_at, last_id, moment, precise_cents, exact, debited_minor, corrections, reversals, 0, false
from added
union all
select charge_id, filter_id, grouped_by, '', asset_code, null, 0, 0, null, null, null, null, 0, 0, 0, 0, 0, 0,
    sum(members), false
from swings group by charge_id, filter_id, grouped_by, asset_code
union all
-- Something came after the end that was asked for, so who was there then is not known from last operations.
select k.charge_id, k.filter_id, k.grouped_by, k.presented_by, k.asset_code, null, 0, 0, null, null, null, null, 0, 0,
    0, 0, 0, 0, 0, true
from keys k
where exists (
    select from invoicing.usage_rollups r
    where r.organization_id = :organization_id and r.key_id = k.key_id and r.width = 'hour'
      and r.bucket_start >= :inner_end)
union all
select distinct charge_id, filter_id, grouped_by, presented_by, asset_code, null::uuid, 0, 0, null::numeric,
    null::numeric, null::timestamptz, null::uuid, 0, 0, 0, 0, 0, 0, 0, true
from newer where used_at >= :inner_end;

-- name: read_all
-- The same as `read` for many stretches of subscriptions at once, of many organizations: each row says whose it is.
with mark as (
    select folded_below from invoicing.usage_marks
),
wanted as materialized (
    select * from unnest(
        :organization_ids::uuid[], :subscription_ids::uuid[], :stretch_starts::timestamptz[], :stretch_ends::timestamptz[],
        :inner_starts::timestamptz[], :inner_ends::timestamptz[])
        with ordinality
        as w (organization_id, subscription_id, start, "end", inner_start, inner_end, position)
),
parts as materialized (
    select * from unnest(:positions::bigint[], :widths::text[], :starts::timestamptz[], :ends::timestamptz[])
        as b (position, width, start, "end")
),
keys as materialized (
    select w.position, w.organization_id, w.inner_end, k.*
    from wanted w
    cross join lateral (
        select k.id as key_id, k.charge_id, k.filter_id, k.grouped_by, k.presented_by, k.asset_code
        from invoicing.usage_keys k
        where k.organization_id = w.organization_id and k.subscription_id = w.subscription_id
        offset 0
    ) k
),
rolled as (
    select k.position, k.charge_id, k.filter_id, k.grouped_by, k.presented_by, k.asset_code, r.*
    from keys k
    cross join lateral (
        select r.plan_version_id, sum(r.events) as events, sum(r.units) as units, max(r.units_max) as units_max,
            (array_agg(r.last_units order by r.last_at desc nulls last, r.last_id desc))[1] as last_units,
            (array_agg(r.last_at order by r.last_at desc nulls last, r.last_id desc))[1] as last_at,
            (array_agg(r.last_id order by r.last_at desc nulls last, r.last_id desc))[1] as last_id,
            sum(r.moment) as moment, sum(r.precise_cents) as precise_cents, sum(r.exact) as exact,
            sum(r.debited_minor) as debited_minor, sum(r.corrections) as corrections, sum(r.reversals) as reversals,
            sum(r.members) as members
        from parts b
        cross join lateral (
            select * from invoicing.usage_rollups r
            where r.organization_id = k.organization_id and r.key_id = k.key_id and r.width = b.width
              and r.bucket_start >= b.start and r.bucket_start < b."end"
            offset 0
        ) r
        where b.position = k.position
        group by r.plan_version_id
    ) r
),
newer as materialized (
    select w.position, w.organization_id, w.inner_start, w.inner_end, l.*
    from wanted w
    cross join lateral (
        select l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code, l.plan_version_id, l.used_at,
            l.event_id, l.is_reversal, l.events, l.units, l.exact, l.debited_minor, l.precise_cents, l.member, l.removes
        from invoicing.usage_lines l
        where l.organization_id = w.organization_id and l.subscription_id = w.subscription_id
          and l.xact_id >= (select folded_below from mark)
        offset 0
    ) l
),
edges as (
    select w.position, l.*
    from wanted w
    cross join lateral (
        select l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code, l.plan_version_id, l.used_at,
            l.event_id, l.is_reversal, l.events, l.units, l.exact, l.debited_minor, l.precise_cents, l.member, l.removes
        from unnest(array[w.start, w.inner_end], array[w.inner_start, w."end"]) as b (start, "end")
        join invoicing.usage_lines l
            on l.organization_id = w.organization_id and l.subscription_id = w.subscription_id
           and l.timestamp >= b.start and l.timestamp < b."end"
        where b.start < b."end" and not l.is_reversal
          and not exists (
            select from invoicing.events r
            where r.organization_id = w.organization_id and r.reverses_event_id = l.event_id
              and r.lines -> 0 ->> 'charge_id' is not null)
        offset 0
    ) l
    where w.start < w.inner_start or w.inner_end < w."end"
),
singles as (
    select position, charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, used_at, event_id,
        is_reversal, events, units, exact, debited_minor, precise_cents, member, removes
    from newer where used_at >= inner_start and used_at < inner_end
    union all
    select position, charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, used_at, event_id,
        is_reversal, events, units, exact, debited_minor, precise_cents, member, removes
    from edges
),
added as (
    select position, charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, sum(events) as events,
        sum(units) as units, max(units) filter (where not is_reversal) as units_max,
        (array_agg(units order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_units,
        (array_agg(used_at order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_at,
        (array_agg(event_id order by used_at desc, event_id desc) filter (where not is_reversal))[1] as last_id,
        sum(units * (extract(epoch from used_at) * 1000000)::bigint) as moment, sum(precise_cents) as precise_cents,
        sum(exact) as exact, sum(debited_minor) as debited_minor,
        coalesce(sum(events) filter (where removes or units * events < 0), 0) as corrections,
        count(*) filter (where is_reversal) as reversals
    from singles
    group by position, charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id
),
operations as (
    select distinct on (position, charge_id, filter_id, grouped_by, asset_code, member)
        position, organization_id, inner_start, inner_end, charge_id, filter_id, grouped_by, asset_code, member, used_at,
        event_id, removes
    from newer where member is not null and not is_reversal
    order by position, charge_id, filter_id, grouped_by, asset_code, member, used_at desc, event_id desc
),
swings as (
    select o.position, o.charge_id, o.filter_id, o.grouped_by, o.asset_code,
        case when not o.removes and o.used_at >= o.inner_start and o.used_at < o.inner_end then 1 else 0 end
      - case when not m.removes and m.last_at >= o.inner_start and m.last_at < o.inner_end then 1 else 0 end as members
    from operations o
    left join keys k
        on k.position = o.position and k.charge_id = o.charge_id and k.filter_id = o.filter_id
       and k.grouped_by = o.grouped_by and k.asset_code = o.asset_code and k.presented_by = ''
    left join invoicing.usage_members m
        on m.organization_id = o.organization_id and m.key_id = k.key_id
       and m.member_hash = sha256(convert_to(o.member, 'UTF8'))
    where m.last_at is null or (o.used_at, o.event_id) > (m.last_at, m.last_id)
)
select position, charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, events, units, units_max,
    last_units, last_at, last_id, moment, precise_cents, exact, debited_minor, corrections, reversals, members,
    false as has_later
from rolled
union all
select position, charge_id, filter_id, grouped_by, presented_by, asset_code, plan_version_id, events, units, units_max,
    last_units, last_at, last_id, moment, precise_cents, exact, debited_minor, corrections, reversals, 0, false
from added
union all
select position, charge_id, filter_id, grouped_by, '', asset_code, null, 0, 0, null, null, null, null, 0, 0, 0, 0, 0, 0,
    sum(members), false
from swings group by position, charge_id, filter_id, grouped_by, asset_code
union all
select k.position, k.charge_id, k.filter_id, k.grouped_by, k.presented_by, k.asset_code, null, 0, 0, null, null, null,
    null, 0, 0, 0, 0, 0, 0, 0, true
from keys k
where exists (
    select from invoicing.usage_rollups r
    where r.organization_id = k.organization_id and r.key_id = k.key_id and r.width = 'hour'
      and r.bucket_start >= k.inner_end)
union all
select distinct position, charge_id, filter_id, grouped_by, presented_by, asset_code, null::uuid, 0, 0, null::numeric,
    null::numeric, null::timestamptz, null::uuid, 0, 0, 0, 0, 0, 0, 0, true
from newer where used_at >= inner_end;

-- name: read_start_totals
-- What is stored already of the periods that running totals are to start in: under the lock on their customer, so
-- nothing is searched but the keys that are named, and the rest of an hour where a period begins or
-- ends within one, as in zones that are half an hour off.
with mark as (
    select folded_below from invoicing.usage_marks
),
wanted as materialized (
    select * from unnest(
        :organization_ids::uuid[], :subscription_ids::uuid[], :charge_ids::uuid[], :filter_ids::uuid[], :groups::text[],
        :starts::timestamptz[], :ends::timestamptz[])
        with ordinality
        as w (organization_id, subscription_id, charge_id, filter_id, grouped_by, start, "end", position)
),
stored as (
    select w.position, r.events, r.units, r.precise_cents, r.exact
    from wanted w
    cross join lateral (
        select k.id from invoicing.usage_keys k
        where k.organization_id = w.organization_id and k.subscription_id = w.subscription_id
          and k.charge_id = w.charge_id and k.filter_id = w.filter_id and k.grouped_by = w.grouped_by
        offset 0
    ) k
    join unnest(:positions::bigint[], :widths::text[], :bucket_starts::timestamptz[], :bucket_ends::timestamptz[])
        as b (position, width, start, "end") on b.position = w.position
    cross join lateral (
        select r.events, r.units, r.precise_cents, r.exact from invoicing.usage_rollups r
        where r.organization_id = w.organization_id and r.key_id = k.id and r.width = b.width
          and r.bucket_start >= b.start and r.bucket_start < b."end"
        offset 0
    ) r
    union all
    select w.position, l.events, l.units, l.precise_cents, l.exact
    from (select distinct organization_id, subscription_id from wanted) s
    cross join lateral (
        select l.* from invoicing.usage_lines l
        where l.organization_id = s.organization_id and l.subscription_id = s.subscription_id
          and l.xact_id >= (select folded_below from mark)
        offset 0
    ) l
    join wanted w
        on w.organization_id = l.organization_id and w.subscription_id = l.subscription_id
       and w.charge_id = l.charge_id and w.filter_id = l.filter_id and w.grouped_by = l.grouped_by
       and l.used_at >= w.start and l.used_at < w."end"
    union all
    select w.position, l.events, l.units, l.precise_cents, l.exact
    from (
        select w.*, date_bin('1 hour', w.start - interval '1 microsecond', '1970-01-01Z') + interval '1 hour' as inner_start,
            date_bin('1 hour', w."end", '1970-01-01Z') as inner_end
        from wanted w
    ) w
    cross join lateral (values
        (w.start, least(w.inner_start, w."end")), (greatest(w.inner_start, w.inner_end), w."end")) as edge (start, "end")
    cross join lateral (
        select l.* from invoicing.usage_lines l
        where l.organization_id = w.organization_id and l.subscription_id = w.subscription_id
          and l.used_at >= edge.start and l.used_at < edge."end" and l.xact_id < (select folded_below from mark)
        offset 0
    ) l
    where edge.start < edge."end"
      and w.charge_id = l.charge_id and w.filter_id = l.filter_id and w.grouped_by = l.grouped_by
)
select position, sum(events)::bigint as events, sum(units) as units, sum(precise_cents) as precise_cents,
    sum(exact) as exact
from stored group by position;

-- name: measure_lag$
select clock_timestamp() - created_at from invoicing.events
where xact_id >= (select folded_below from invoicing.usage_marks) order by xact_id limit 1;
