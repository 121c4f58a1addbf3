-- Budgets as they are made, changed and shown.

-- name: insert_budget^
-- No row back means that the code is taken.
insert into wallet.budgets (
    organization_id, id, code, name, asset_code, limit_minor, mode, customer_id, external_customer_id,
    external_subscription_id, billable_metric_code, api_key_id, filters, per, time_window, kept_s, alert_thresholds,
    created_at, updated_at)
values (
    :organization_id, :id, :code, :name, :asset_code, :limit_minor, :mode, :customer_id, :external_customer_id,
    :external_subscription_id, :billable_metric_code, :api_key_id, :filters::jsonb, :per, :time_window::jsonb,
    :kept_s, :alert_thresholds::jsonb, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: find_budget^
select * from wallet.budgets
where organization_id = :organization_id and code = :code and deleted_at is null;

-- name: list_budgets
select * from wallet.budgets
where organization_id = :organization_id and deleted_at is null
  and (:external_customer_id::text is null or external_customer_id = :external_customer_id)
order by id desc limit :limit offset :offset;

-- name: count_budgets$
select count(*) from (
    select from wallet.budgets
    where organization_id = :organization_id and deleted_at is null
      and (:external_customer_id::text is null or external_customer_id = :external_customer_id)
    limit :count_max
) counted;

-- name: list_scopes
-- All that usage may be counted in, in an order that stays.
select id, asset_code, customer_id, external_subscription_id, billable_metric_code, api_key_id, filters, per
from wallet.budgets
where organization_id = :organization_id and deleted_at is null
order by id;

-- name: count_scopes$
-- How many budgets name this customer, or none.
select count(*) from wallet.budgets
where organization_id = :organization_id and deleted_at is null
  and customer_id is not distinct from :customer_id::uuid;

-- name: change_budget^
update wallet.budgets set
    name = coalesce(:name, name), limit_minor = coalesce(:limit_minor, limit_minor), mode = coalesce(:mode, mode),
    alert_thresholds = coalesce(:alert_thresholds::jsonb, alert_thresholds), updated_at = :now
where organization_id = :organization_id and code = :code and deleted_at is null
returning *;

-- name: delete_budget^
update wallet.budgets set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and code = :code and deleted_at is null
returning *;
