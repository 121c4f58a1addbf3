-- name: lock_available
-- The oldest first, and everybody in this order: nobody waits for one who waits for him.
select
    organization_id, id, invoice_id, customer_id, billing_entity_id, status, step, number, sequential_id,
    credit_status, refund_status, reason, description, currency, issuing_date, total_amount_cents,
    credit_amount_cents, balance_amount_cents, refund_amount_cents, offset_amount_cents, voided_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents, coupons_adjustment_amount_cents,
    applied_taxes, metadata, settlement, request_hash, refunded_at, voided_at, created_at, updated_at
from invoicing.credit_notes
where organization_id = :organization_id and customer_id = :customer_id and currency = :currency
  and credit_status = 'available' and balance_amount_cents > 0 and step is null
order by created_at, id
for no key update;

-- name: lock_notes
select
    organization_id, id, invoice_id, customer_id, billing_entity_id, status, step, number, sequential_id,
    credit_status, refund_status, reason, description, currency, issuing_date, total_amount_cents,
    credit_amount_cents, balance_amount_cents, refund_amount_cents, offset_amount_cents, voided_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents, coupons_adjustment_amount_cents,
    applied_taxes, metadata, settlement, request_hash, refunded_at, voided_at, created_at, updated_at
from invoicing.credit_notes
where organization_id = :organization_id and id = any(:ids::uuid[])
order by created_at, id
for no key update;

-- name: available_cents$
select coalesce(sum(balance_amount_cents), 0)::bigint
from invoicing.credit_notes
where organization_id = :organization_id and customer_id = :customer_id and currency = :currency
  and credit_status = 'available' and step is null;
