-- name: find_plans_of_metric
-- The plans that price a metric now or in a version that waits, so that a change of it becomes a new version of each. In
-- the order of their ids, which is the order in which they are locked. Which versions these are is settled first: old
-- ones are many, and their charges long to read.
with living as materialized (
    select p.id, p.code, v.charges
    from invoicing.plans p
    join invoicing.plan_versions v on v.organization_id = p.organization_id and v.plan_id = p.id
    where p.organization_id = :organization_id and p.deleted_at is null
      and v.effective_at >= (
        select coalesce(max(f.effective_at), '-infinity') from invoicing.plan_versions f
        where f.organization_id = p.organization_id and f.plan_id = p.id and f.effective_at <= :now)
)
select code from living
where charges @> jsonb_build_array(jsonb_build_object('billable_metric_id', :billable_metric_id::text))
group by id, code order by id;

-- name: are_plans_of_metric_subscribed$
-- Whether anybody is subscribed to one of these.
with living as materialized (
    select v.charges
    from invoicing.plan_versions v
    where v.organization_id = :organization_id
      and exists (select from invoicing.subscriptions s
        where s.organization_id = v.organization_id and s.plan_id = v.plan_id and s.status = 'active')
      and v.effective_at >= (
        select coalesce(max(f.effective_at), '-infinity') from invoicing.plan_versions f
        where f.organization_id = v.organization_id and f.plan_id = v.plan_id and f.effective_at <= :now)
)
select exists (
    select from living
    where charges @> jsonb_build_array(jsonb_build_object('billable_metric_id', :billable_metric_id::text)));

-- name: find_plans_of_add_on
-- As `find_plans_of_metric`.
with living as materialized (
    select p.id, p.code, v.fixed_charges
    from invoicing.plans p
    join invoicing.plan_versions v on v.organization_id = p.organization_id and v.plan_id = p.id
    where p.organization_id = :organization_id and p.deleted_at is null
      and v.effective_at >= (
        select coalesce(max(f.effective_at), '-infinity') from invoicing.plan_versions f
        where f.organization_id = p.organization_id and f.plan_id = p.id and f.effective_at <= :now)
)
select code from living
where fixed_charges @> jsonb_build_array(jsonb_build_object('add_on_id', :add_on_id::text))
group by id, code order by id;
