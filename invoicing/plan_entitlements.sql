-- name: find_entitlements
select feature_id, privilege_values from invoicing.plan_entitlements
where organization_id = :organization_id and plan_id = :plan_id;

-- name: put_entitlements!
insert into invoicing.plan_entitlements (organization_id, plan_id, feature_id, privilege_values, updated_at)
select :organization_id, :plan_id, given.feature_id, given.privilege_values::jsonb, :now
from unnest(:feature_ids::uuid[], :privilege_values::text[]) given (feature_id, privilege_values)
on conflict (organization_id, plan_id, feature_id)
    do update set privilege_values = excluded.privilege_values, updated_at = excluded.updated_at;

-- name: keep_entitlements!
-- Withdraws from a plan all features but these.
delete from invoicing.plan_entitlements
where organization_id = :organization_id and plan_id = :plan_id and feature_id <> all(:feature_ids::uuid[]);

-- name: delete_entitlement!
delete from invoicing.plan_entitlements
where organization_id = :organization_id and plan_id = :plan_id and feature_id = :feature_id;
