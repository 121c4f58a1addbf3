-- name: insert_feature^
-- No row back means that the code is taken.
insert into invoicing.features (
    organization_id, id, code, name, description, privileges, billable_metric_ids, created_at, updated_at)
values (
    :organization_id, :id, :code, :name, :description, :privileges::jsonb, :billable_metric_ids, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning id;

-- name: update_feature!
update invoicing.features set
    name = :name, description = :description, privileges = :privileges::jsonb,
    billable_metric_ids = :billable_metric_ids, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_feature^
select f.*, array(select m.code from invoicing.billable_metrics m
        where m.organization_id = f.organization_id and m.id = any(f.billable_metric_ids) and m.deleted_at is null
        order by m.code)
    as billable_metric_codes
from invoicing.features f
where f.organization_id = :organization_id and f.code = :code and f.deleted_at is null;

-- name: list_features
select f.*, array(select m.code from invoicing.billable_metrics m
        where m.organization_id = f.organization_id and m.id = any(f.billable_metric_ids) and m.deleted_at is null
        order by m.code)
    as billable_metric_codes
from invoicing.features f
where f.organization_id = :organization_id and f.deleted_at is null
  and (:search::text is null
       or strpos(lower(concat_ws(' ', f.code, f.name, f.description)), lower(:search)) > 0)
order by f.id desc limit :limit offset :offset;

-- name: count_features$
select count(*) from invoicing.features f
where f.organization_id = :organization_id and f.deleted_at is null
  and (:search::text is null
       or strpos(lower(concat_ws(' ', f.code, f.name, f.description)), lower(:search)) > 0);

-- name: find_every
-- All features of an organization, oldest first; there are few.
select f.*, array(select m.code from invoicing.billable_metrics m
        where m.organization_id = f.organization_id and m.id = any(f.billable_metric_ids) and m.deleted_at is null
        order by m.code)
    as billable_metric_codes
from invoicing.features f
where f.organization_id = :organization_id and f.deleted_at is null
order by f.id;

-- name: find_metric_ids
select id, code from invoicing.billable_metrics
where organization_id = :organization_id and deleted_at is null and code = any(:codes::text[]);

-- name: delete_feature!
update invoicing.features set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id;

-- name: withdraw_from_plans!
delete from invoicing.plan_entitlements where organization_id = :organization_id and feature_id = :id;

-- name: withdraw_from_subscriptions!
delete from invoicing.subscription_entitlements where organization_id = :organization_id and feature_id = :id;

-- name: forget_privilege_in_plans!
-- A later privilege of the same code starts without values.
update invoicing.plan_entitlements
set privilege_values = privilege_values - :privilege_code::text, updated_at = :now
where organization_id = :organization_id and feature_id = :id and privilege_values ? :privilege_code;

-- name: forget_privilege_in_subscriptions!
update invoicing.subscription_entitlements
set overrides = overrides - :privilege_code::text,
    removed_privileges = removed_privileges - :privilege_code::text, updated_at = :now
where organization_id = :organization_id and feature_id = :id
  and (overrides ? :privilege_code or removed_privileges ? :privilege_code);
