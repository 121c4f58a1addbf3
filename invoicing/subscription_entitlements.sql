-- name: find_entitlements
-- What its plan gives, and how the subscription differs: one row a feature that either names.
select feature_id, p.privilege_values, s.is_removed, s.overrides, s.removed_privileges
from (
    select feature_id, privilege_values from invoicing.plan_entitlements
    where organization_id = :organization_id
      and plan_id = (select coalesce(o.parent_id, o.id)
                     from invoicing.subscriptions u
                     join invoicing.plans o on o.organization_id = u.organization_id and o.id = u.plan_id
                     where u.organization_id = :organization_id and u.id = :subscription_id)
) p
full join (
    select feature_id, is_removed, overrides, removed_privileges from invoicing.subscription_entitlements
    where organization_id = :organization_id and subscription_id = :subscription_id
) s using (feature_id);

-- name: put_entitlements!
insert into invoicing.subscription_entitlements (
    organization_id, subscription_id, feature_id, is_removed, overrides, removed_privileges, updated_at)
select :organization_id, :subscription_id, given.feature_id, given.is_removed, given.overrides::jsonb,
    given.removed_privileges::jsonb, :now
from unnest(:feature_ids::uuid[], :removals::boolean[], :overrides::text[], :removed_privileges::text[])
    given (feature_id, is_removed, overrides, removed_privileges)
on conflict (organization_id, subscription_id, feature_id) do update set
    is_removed = excluded.is_removed, overrides = excluded.overrides,
    removed_privileges = excluded.removed_privileges, updated_at = excluded.updated_at;

-- name: delete_entitlements!
delete from invoicing.subscription_entitlements
where organization_id = :organization_id and subscription_id = :subscription_id
  and feature_id = any(:feature_ids::uuid[]);
