-- name: insert_coupon^
-- No row back means that the code is taken.
insert into invoicing.coupons (
    organization_id, id, code, name, description, coupon_type, amount_cents, amount_currency, percentage_rate,
    frequency, frequency_duration, reusable, expiration, expiration_at, plan_codes, billable_metric_codes,
    terminated_at, created_at, updated_at)
values (
    :organization_id, :id, :code, :name, :description, :coupon_type, :amount_cents, :amount_currency,
    :percentage_rate, :frequency, :frequency_duration, :reusable, :expiration, :expiration_at, :plan_codes::jsonb,
    :billable_metric_codes::jsonb, :terminated_at, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: update_coupon^
update invoicing.coupons set
    code = :code, name = :name, description = :description, coupon_type = :coupon_type, amount_cents = :amount_cents,
    amount_currency = :amount_currency, percentage_rate = :percentage_rate, frequency = :frequency,
    frequency_duration = :frequency_duration, reusable = :reusable, expiration = :expiration,
    expiration_at = :expiration_at, plan_codes = :plan_codes::jsonb,
    billable_metric_codes = :billable_metric_codes::jsonb, updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: delete_coupon!
update invoicing.coupons
set deleted_at = :now, terminated_at = coalesce(terminated_at, :now), updated_at = :now
where organization_id = :organization_id and id = :id;

-- name: terminate_applied_of_coupon!
update invoicing.applied_coupons set status = 'terminated', terminated_at = :now, updated_at = :now
where organization_id = :organization_id and coupon_id = :id and status = 'active';

-- name: end_due_coupons
update invoicing.coupons set terminated_at = expiration_at, updated_at = :now
where (organization_id, id) in (
    select organization_id, id from invoicing.coupons
    where terminated_at is null and deleted_at is null and expiration_at <= :now
    order by expiration_at limit :limit
    for no key update skip locked)
returning id;

-- name: find_coupon^
select * from invoicing.coupons
where organization_id = :organization_id and code = :code and deleted_at is null;

-- name: list_coupons
select * from invoicing.coupons
where organization_id = :organization_id and deleted_at is null
order by id desc limit :limit offset :offset;

-- name: count_coupons$
select count(*) from invoicing.coupons where organization_id = :organization_id and deleted_at is null;

-- name: count_plans$
select count(*) from invoicing.plans
where organization_id = :organization_id and code = any(:codes::text[]) and deleted_at is null
  and parent_id is null;

-- name: count_metrics$
select count(*) from invoicing.billable_metrics
where organization_id = :organization_id and code = any(:codes::text[]) and deleted_at is null;
