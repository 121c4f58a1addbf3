-- name: insert_plan_version!
insert into invoicing.plan_versions (
    organization_id, id, plan_id, version, charges, fixed_charges, changes, effective_at)
select :organization_id, :id, :plan_id, coalesce(max(version), 0) + 1, :charges::jsonb, :fixed_charges::jsonb,
    :changes::jsonb, :effective_at
from invoicing.plan_versions where organization_id = :organization_id and plan_id = :plan_id;

-- name: find_versions_from
-- The version in force at a time (or the first there is), and those that take effect later, in that order. Of versions
-- with the same time the last published one counts. Where the one in force began at that very time, so that another may
-- still take its place, the one before it as well.
with in_force as (
    select * from invoicing.plan_versions
    where organization_id = :organization_id and plan_id = :plan_id and effective_at <= :at
    order by effective_at desc, version desc limit 1
), earlier as (
    select p.* from invoicing.plan_versions p
    join in_force f on f.effective_at = :at
    where p.organization_id = :organization_id and p.plan_id = :plan_id and p.effective_at < f.effective_at
    order by p.effective_at desc, p.version desc limit 1
), later as (
    select distinct on (effective_at) * from invoicing.plan_versions
    where organization_id = :organization_id and plan_id = :plan_id and effective_at > :at
    order by effective_at, version desc
)
select organization_id, id, plan_id, version, effective_at, charges, fixed_charges from earlier
union all
select organization_id, id, plan_id, version, effective_at, charges, fixed_charges from in_force
union all
select organization_id, id, plan_id, version, effective_at, charges, fixed_charges from later
order by effective_at;

-- name: version_at^
-- The version in force at a time: the greatest effective_at that is not after it, else the first there is.
select id, plan_id, version, effective_at from invoicing.plan_versions
where organization_id = :organization_id and plan_id = :plan_id
order by effective_at <= :at desc,
    case when effective_at <= :at then effective_at end desc nulls last, effective_at, version desc
limit 1;

-- name: versions_between
-- Those in force at some time of a stretch, in the order in which they take effect. What another replaced before it took
-- effect is left out.
select id, plan_id, version, effective_at
from (
    select distinct on (effective_at) id, plan_id, version, effective_at,
        lead(effective_at) over (order by effective_at, version) as next_effective_at
    from invoicing.plan_versions
    where organization_id = :organization_id and plan_id = :plan_id
    order by effective_at, version desc
) v
where effective_at < :until
  and (next_effective_at is null or next_effective_at > :since)
order by effective_at;

-- name: versions_in_order
-- Of a deleted plan too: what was used under it may come in late.
select id, plan_id, version, effective_at from invoicing.plan_versions
where organization_id = :organization_id and plan_id = :plan_id
order by effective_at, version;

-- name: find_charges^
select charges from invoicing.plan_versions where organization_id = :organization_id and id = :id;

-- name: list_versions
-- The last published first. Replaced: another took its place before it took effect.
select id, plan_id, version, effective_at, changes,
    exists (select from invoicing.plan_versions other
        where other.organization_id = v.organization_id and other.plan_id = v.plan_id
          and other.effective_at = v.effective_at and other.version > v.version) as is_replaced
from invoicing.plan_versions v
where organization_id = :organization_id and plan_id = :plan_id
order by version desc limit :limit offset :offset;

-- name: count_versions$
select count(*) from invoicing.plan_versions where organization_id = :organization_id and plan_id = :plan_id;

-- name: find_units_history
-- The newest first.
select units, effective_at, applies_immediately from invoicing.fixed_charge_units
where organization_id = :organization_id and fixed_charge_id = :fixed_charge_id
order by effective_at desc, number desc limit :limit;

-- name: insert_units!
insert into invoicing.fixed_charge_units (
    organization_id, plan_id, fixed_charge_id, units, effective_at, applies_immediately)
select :organization_id, :plan_id, n.fixed_charge_id, n.units, :effective_at, n.applies_immediately
from unnest(:fixed_charge_ids::uuid[], :units::numeric[], :applies_immediately::boolean[])
    as n (fixed_charge_id, units, applies_immediately);

-- name: copy_units!
-- What was agreed of a plan's fixed charges was agreed of those of its copy too.
insert into invoicing.fixed_charge_units (
    organization_id, plan_id, fixed_charge_id, units, effective_at, applies_immediately)
select u.organization_id, :copy_id, wanted.copy_id, u.units, u.effective_at, u.applies_immediately
from unnest(:ids::uuid[], :copy_ids::uuid[]) as wanted (id, copy_id)
join invoicing.fixed_charge_units u
    on u.organization_id = :organization_id and u.fixed_charge_id = wanted.id and u.plan_id = :plan_id
order by u.number;
