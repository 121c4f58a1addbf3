-- fragment: insert
insert into invoicing.catalogue_changes (
    organization_id, version, external_customer_ids, external_subscription_ids, subscription_ids, plan_ids)

-- name: concern_subscriptions!
-- All that ever had these external ids: one may have ended, and the next begun.
{insert}
select :organization_id, :version, coalesce(array_agg(distinct c.external_id), '{}') || :external_customer_ids::text[],
    :external_ids::text[], coalesce(array_agg(s.id), '{}'),
    coalesce(array_agg(distinct p.id) filter (where p.parent_id is not null), '{}')
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.external_id = any(:external_ids)
having count(*) <= :limit;

-- name: concern_customer!
-- Its ended subscriptions too: usage of theirs may come in late. And the two names of one to the default plan, which its
-- first use may be starting: that waits for no change.
{insert}
select :organization_id, :version, array_agg(distinct c.external_id),
    coalesce(array_agg(distinct s.external_id) filter (where s.id is not null), '{}')
        || array_agg(distinct c.external_id)
        || array(select c.external_id || ':' || p.code from invoicing.customers c
                 join invoicing.plans p on p.organization_id = c.organization_id and p.is_default and p.deleted_at is null
                 where c.organization_id = :organization_id and c.id = :customer_id),
    coalesce(array_agg(s.id) filter (where s.id is not null), '{}'), '{}'
from invoicing.customers c
left join invoicing.subscriptions s on s.organization_id = c.organization_id and s.customer_id = c.id
where c.organization_id = :organization_id and c.id = :customer_id
having count(*) between 1 and :limit;

-- name: concern_plan!
-- A change counts from now on, so it is nothing to subscriptions that have ended. Nobody on the plan: who knows whom it is
-- about.
{insert}
select :organization_id, :version, array_agg(distinct c.external_id), array_agg(distinct s.external_id),
    array_agg(s.id), array[:plan_id::uuid]
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
where s.organization_id = :organization_id and s.plan_id = :plan_id and s.status in ('active', 'pending')
having count(*) between 1 and :limit;

-- name: find_since(organization_ids, versions, limit)
-- Of a version that is not known (null) nothing is newer.
select w.organization_id, coalesce(v.version, 0) as version, c.version as changed_to, c.external_customer_ids,
    c.external_subscription_ids, c.subscription_ids, c.plan_ids
from unnest(:organization_ids::uuid[], :versions::bigint[]) as w (organization_id, version)
left join invoicing.catalogue_versions v on v.organization_id = w.organization_id
left join invoicing.catalogue_changes c
    on c.organization_id = w.organization_id and c.version > w.version and c.version > v.version - :limit::bigint;
