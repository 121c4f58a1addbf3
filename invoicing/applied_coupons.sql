-- name: insert_applied_coupon!
insert into invoicing.applied_coupons (
    organization_id, id, coupon_id, customer_id, status, amount_cents, amount_cents_remaining, amount_currency,
    percentage_rate, frequency, frequency_duration, frequency_duration_remaining, created_at, updated_at, terminated_at)
values (
    :organization_id, :id, :coupon_id, :customer_id, :status, :amount_cents, :amount_cents_remaining,
    :amount_currency, :percentage_rate, :frequency, :frequency_duration, :frequency_duration_remaining, :created_at,
    :updated_at, :terminated_at);

-- name: update_applied_coupon!
update invoicing.applied_coupons set
    status = :status, amount_cents_remaining = :amount_cents_remaining,
    frequency_duration_remaining = :frequency_duration_remaining, terminated_at = :terminated_at,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: terminate_applied_coupon!
update invoicing.applied_coupons set status = 'terminated', terminated_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id and status = 'active';

-- name: has_had$
select exists (
    select from invoicing.applied_coupons
    where organization_id = :organization_id and customer_id = :customer_id and coupon_id = :coupon_id);

-- name: lock_applied_coupon^
select * from invoicing.applied_coupons where organization_id = :organization_id and id = :id for no key update;

-- name: find_usable
select a.*, c.code as coupon_code, c.name as coupon_name, c.plan_codes, c.billable_metric_codes
from invoicing.applied_coupons a
join invoicing.coupons c on c.organization_id = a.organization_id and c.id = a.coupon_id
where a.organization_id = :organization_id and a.customer_id = :customer_id and a.status = 'active';

-- name: lock_usable
-- Locked in the order of ids, so that two invoices of a customer never wait for each other. Who waited sees what the
-- other left: a row that is not active any more is dropped, and the others are as they are now.
select a.*, c.code as coupon_code, c.name as coupon_name, c.plan_codes, c.billable_metric_codes
from invoicing.applied_coupons a
join invoicing.coupons c on c.organization_id = a.organization_id and c.id = a.coupon_id
where a.organization_id = :organization_id and a.customer_id = :customer_id and a.status = 'active'
order by a.id
for no key update of a;

-- name: is_coupon_there$
select exists (
    select from invoicing.coupons where organization_id = :organization_id and id = :id and deleted_at is null);

-- name: find_applied_coupon^
select a.*, k.external_id as external_customer_id, c.code as coupon_code, c.name as coupon_name, c.expiration_at
from invoicing.applied_coupons a
join invoicing.coupons c on c.organization_id = a.organization_id and c.id = a.coupon_id
join invoicing.customers k on k.organization_id = a.organization_id and k.id = a.customer_id
where a.organization_id = :organization_id and a.id = :id;

-- name: list_applied_coupons
select a.*, k.external_id as external_customer_id, c.code as coupon_code, c.name as coupon_name, c.expiration_at
from invoicing.applied_coupons a
join invoicing.coupons c on c.organization_id = a.organization_id and c.id = a.coupon_id
join invoicing.customers k on k.organization_id = a.organization_id and k.id = a.customer_id
where a.organization_id = :organization_id
  and (:statuses::text[] is null or a.status = any(:statuses))
  and (:external_customer_id::text is null or k.external_id = :external_customer_id)
  and (:coupon_codes::text[] is null or c.code = any(:coupon_codes))
order by a.id desc limit :limit offset :offset;

-- name: count_applied_coupons$
select count(*)
from invoicing.applied_coupons a
join invoicing.coupons c on c.organization_id = a.organization_id and c.id = a.coupon_id
join invoicing.customers k on k.organization_id = a.organization_id and k.id = a.customer_id
where a.organization_id = :organization_id
  and (:statuses::text[] is null or a.status = any(:statuses))
  and (:external_customer_id::text is null or k.external_id = :external_customer_id)
  and (:coupon_codes::text[] is null or c.code = any(:coupon_codes));

-- name: uses_of_invoice
select r.id, r.source_id as applied_coupon_id, r.invoice_id, r.item_code, r.item_name, r.amount_cents,
    r.amount_currency, i.payment_status
from invoicing.invoice_credits r
join invoicing.invoices i on i.organization_id = r.organization_id and i.id = r.invoice_id
where r.organization_id = :organization_id and r.invoice_id = :invoice_id and r.kind = 'coupon';

-- name: uses_of_applied
select r.id, r.source_id as applied_coupon_id, r.invoice_id, r.item_code, r.item_name, r.amount_cents,
    r.amount_currency, i.payment_status
from invoicing.invoice_credits r
join invoicing.invoices i on i.organization_id = r.organization_id and i.id = r.invoice_id
where r.organization_id = :organization_id and r.source_id = any(:ids::uuid[]) and r.kind = 'coupon'
  and i.status = 'finalized'
order by r.id;
