-- fragment: columns
    organization_id, id, invoice_id, customer_id, subscription_id, fee_type, position, charge_id, charge_filter_id,
    fixed_charge_id, add_on_id, wallet_transaction_id, true_up_parent_fee_id, original_fee_id, item_code, item_name,
    invoice_display_name, filter_display_name, filter_values, description, billable_metric_code, pricing_group, units,
    total_aggregated_units, events_count, amount_cents, precise_amount_cents, precise_unit_amount, amount_currency,
    tax_codes, precise_coupons_amount_cents, taxes_amount_cents, taxes_precise_amount_cents, taxes_rate,
    applied_taxes, amount_details, presentation_breakdowns, pricing_unit_details, debited_minor, pay_in_advance,
    invoiceable, is_adjusted, adjustment, event_transaction_id, from_datetime, to_datetime, payment_status,
    succeeded_at, failed_at, refunded_at, created_at, updated_at, deleted_at

-- fragment: shown
-- Fees of invoices that callers see (invoices.SHOWN), and those that stand alone.
from invoicing.fees f
where f.organization_id = :organization_id and f.deleted_at is null
  and (f.invoice_id is null or exists (
       select from invoicing.invoices i
       where i.organization_id = f.organization_id and i.id = f.invoice_id
         and i.status in ('draft', 'pending', 'failed', 'finalized', 'voided')))

-- fragment: wanted
-- What callers ask for of them.
  and (:customer_id::uuid is null or f.customer_id = :customer_id::uuid)
  and (:external_subscription_id::text is null or f.subscription_id in (
       select s.id from invoicing.subscriptions s
       where s.organization_id = :organization_id and s.external_id = :external_subscription_id::text))
  and (:currency::text is null or f.amount_currency = :currency::text)
  and (:fee_type::text is null or f.fee_type = :fee_type::text)
  and (:billable_metric_code::text is null or f.billable_metric_code = :billable_metric_code::text)
  and (:payment_status::text is null or f.payment_status = :payment_status::text)
  and (:event_transaction_id::text is null or f.event_transaction_id = :event_transaction_id::text)
  and (:created_at_from::timestamptz is null or f.created_at >= :created_at_from::timestamptz)
  and (:created_at_to::timestamptz is null or f.created_at <= :created_at_to::timestamptz)
  and (:succeeded_at_from::timestamptz is null or f.succeeded_at >= :succeeded_at_from::timestamptz)
  and (:succeeded_at_to::timestamptz is null or f.succeeded_at <= :succeeded_at_to::timestamptz)
  and (:failed_at_from::timestamptz is null or f.failed_at >= :failed_at_from::timestamptz)
  and (:failed_at_to::timestamptz is null or f.failed_at <= :failed_at_to::timestamptz)
  and (:refunded_at_from::timestamptz is null or f.refunded_at >= :refunded_at_from::timestamptz)
  and (:refunded_at_to::timestamptz is null or f.refunded_at <= :refunded_at_to::timestamptz)

-- name: insert_fees!
insert into invoicing.fees ({columns})
select {columns}
from jsonb_populate_recordset(null::invoicing.fees, :rows::jsonb);

-- name: update_fee!
update invoicing.fees set
    invoice_id = :invoice_id, customer_id = :customer_id, subscription_id = :subscription_id,
    fee_type = :fee_type, position = :position, charge_id = :charge_id, charge_filter_id = :charge_filter_id,
    fixed_charge_id = :fixed_charge_id, add_on_id = :add_on_id, wallet_transaction_id = :wallet_transaction_id,
    true_up_parent_fee_id = :true_up_parent_fee_id, original_fee_id = :original_fee_id, item_code = :item_code,
    item_name = :item_name, invoice_display_name = :invoice_display_name,
    filter_display_name = :filter_display_name, filter_values = :filter_values::jsonb, description = :description,
    billable_metric_code = :billable_metric_code, pricing_group = :pricing_group::jsonb, units = :units,
    total_aggregated_units = :total_aggregated_units, events_count = :events_count,
    amount_cents = :amount_cents, precise_amount_cents = :precise_amount_cents,
    precise_unit_amount = :precise_unit_amount, amount_currency = :amount_currency,
    tax_codes = :tax_codes::jsonb, precise_coupons_amount_cents = :precise_coupons_amount_cents,
    taxes_amount_cents = :taxes_amount_cents, taxes_precise_amount_cents = :taxes_precise_amount_cents,
    taxes_rate = :taxes_rate, applied_taxes = :applied_taxes::jsonb, amount_details = :amount_details::jsonb,
    presentation_breakdowns = :presentation_breakdowns::jsonb,
    pricing_unit_details = :pricing_unit_details::jsonb, debited_minor = :debited_minor,
    pay_in_advance = :pay_in_advance, invoiceable = :invoiceable, is_adjusted = :is_adjusted,
    adjustment = :adjustment::jsonb, event_transaction_id = :event_transaction_id,
    from_datetime = :from_datetime, to_datetime = :to_datetime, payment_status = :payment_status,
    succeeded_at = :succeeded_at, failed_at = :failed_at, refunded_at = :refunded_at, updated_at = :updated_at,
    deleted_at = :deleted_at
where organization_id = :organization_id and id = :id;

-- name: find_fee^
select {columns}
{shown}
  and f.id = :id;

-- name: fees_of_invoices
select {columns}
from invoicing.fees
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[]) and deleted_at is null
order by invoice_id, position, id;

-- name: delete_fees_of_invoice!
delete from invoicing.fees where organization_id = :organization_id and invoice_id = :invoice_id;

-- name: list_fees
select {columns}
{shown}
{wanted}
order by f.id desc  -- which begin with when their invoice was made, so that the key is in order
limit :limit offset :offset;

-- name: count_fees$
select count(*)
{shown}
{wanted};

-- name: fees_by_id
select {columns}
from invoicing.fees
where organization_id = :organization_id and id = any(:ids::uuid[]);
