-- name: insert_metric^
-- No row back means that the code is taken.
insert into invoicing.billable_metrics (
    organization_id, id, code, name, description, aggregation_type, field_name, recurring, rounding_function,
    rounding_precision, weighted_interval, expression, filters, created_at, updated_at)
values (
    :organization_id, :id, :code, :name, :description, :aggregation_type, :field_name, :recurring,
    :rounding_function, :rounding_precision, :weighted_interval, :expression, :filters::jsonb, :created_at,
    :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: update_metric^
update invoicing.billable_metrics set
    code = :code, name = :name, description = :description, aggregation_type = :aggregation_type,
    field_name = :field_name, recurring = :recurring, rounding_function = :rounding_function,
    rounding_precision = :rounding_precision, weighted_interval = :weighted_interval, expression = :expression,
    filters = :filters::jsonb, updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: lock_metric^
select * from invoicing.billable_metrics
where organization_id = :organization_id and code = :code and deleted_at is null
for no key update;

-- name: find_metric^
select * from invoicing.billable_metrics
where organization_id = :organization_id and code = :code and deleted_at is null;

-- name: list_metrics
select * from invoicing.billable_metrics
where organization_id = :organization_id and deleted_at is null
order by id desc limit :limit offset :offset;

-- name: count_metrics$
select count(*) from invoicing.billable_metrics
where organization_id = :organization_id and deleted_at is null;

-- name: delete_metric!
update invoicing.billable_metrics set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id;
