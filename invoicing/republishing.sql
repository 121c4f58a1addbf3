-- name: find_plans_of_metric
-- The plans that price a metric now or in a version that waits, so that a change of it becomes a new version of each. In
-- the order of their ids, which is the order in which they are locked.
select p.code
from invoicing.plans p
where p.organization_id = :organization_id and p.deleted_at is null and exists (
    select from invoicing.plan_versions v
    where v.organization_id = p.organization_id and v.plan_id = p.id
      and v.charges @> jsonb_build_array(jsonb_build_object('billable_metric_id', :billable_metric_id::text))
      and v.effective_at >= (
        select coalesce(max(f.effective_at), '-infinity') from invoicing.plan_versions f
        where f.organization_id = p.organization_id and f.plan_id = p.id and f.effective_at <= :now))
order by p.id;

-- name: are_plans_of_metric_subscribed$
select exists (
    select from invoicing.plan_versions v
    join invoicing.subscriptions s
        on s.organization_id = v.organization_id and s.plan_id = v.plan_id and s.status = 'active'
    where v.organization_id = :organization_id
      and v.charges @> jsonb_build_array(jsonb_build_object('billable_metric_id', :billable_metric_id::text))
      and v.effective_at >= (
        select coalesce(max(f.effective_at), '-infinity') from invoicing.plan_versions f
        where f.organization_id = v.organization_id and f.plan_id = v.plan_id and f.effective_at <= :now));

-- name: find_plans_of_add_on
-- As `find_plans_of_metric`.
select p.code
from invoicing.plans p
where p.organization_id = :organization_id and p.deleted_at is null and exists (
    select from invoicing.plan_versions v
    where v.organization_id = p.organization_id and v.plan_id = p.id
      and v.fixed_charges @> jsonb_build_array(jsonb_build_object('add_on_id', :add_on_id::text))
      and v.effective_at >= (
        select coalesce(max(f.effective_at), '-infinity') from invoicing.plan_versions f
        where f.organization_id = p.organization_id and f.plan_id = p.id and f.effective_at <= :now))
order by p.id;
