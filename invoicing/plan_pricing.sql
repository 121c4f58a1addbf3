-- name: find_metrics
-- What a plan's charges measure, all at once, by id or by code.
select id, code, aggregation_type, field_name, recurring, rounding_function, rounding_precision, expression, filters
from invoicing.billable_metrics
where organization_id = :organization_id and deleted_at is null
  and (id = any(:ids::uuid[]) or code = any(:codes::text[]));

-- name: find_add_ons
-- Those that fixed charges name, by id or by code, and those that the plan has already, also where they are deleted.
select id, code, name, invoice_display_name, amount_cents, amount_currency from invoicing.add_ons
where organization_id = :organization_id
  and (id = any(:known::uuid[])
       or deleted_at is null and (id = any(:ids::uuid[]) or code = any(:codes::text[])))
order by deleted_at nulls first;
