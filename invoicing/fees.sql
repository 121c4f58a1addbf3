-- name: insert_fees!
insert into invoicing.fees (
    organization_id, id, invoice_id, customer_id, subscription_id, fee_type, position, charge_id,
    charge_filter_id, fixed_charge_id, add_on_id, wallet_transaction_id, true_up_parent_fee_id,
    original_fee_id, item_code, item_name, invoice_display_name, filter_display_name, description,
    billable_metric_code, pricing_group, units, total_aggregated_units, events_count, amount_cents,
    precise_amount_cents, precise_unit_amount, amount_currency, tax_codes, precise_coupons_amount_cents,
    taxes_amount_cents, taxes_precise_amount_cents, taxes_rate, applied_taxes, amount_details,
    presentation_breakdowns, pricing_unit_details, debited_minor, pay_in_advance, invoiceable, is_adjusted,
    adjustment, event_transaction_id, from_datetime, to_datetime, payment_status, succeeded_at, failed_at,
    refunded_at, created_at, updated_at, deleted_at)
select
    organization_id, id, invoice_id, customer_id, subscription_id, fee_type, position, charge_id,
    charge_filter_id, fixed_charge_id, add_on_id, wallet_transaction_id, true_up_parent_fee_id,
    original_fee_id, item_code, item_name, invoice_display_name, filter_display_name, description,
    billable_metric_code, pricing_group, units, total_aggregated_units, events_count, amount_cents,
    precise_amount_cents, precise_unit_amount, amount_currency, tax_codes, precise_coupons_amount_cents,
    taxes_amount_cents, taxes_precise_amount_cents, taxes_rate, applied_taxes, amount_details,
    presentation_breakdowns, pricing_unit_details, debited_minor, pay_in_advance, invoiceable, is_adjusted,
    adjustment, event_transaction_id, from_datetime, to_datetime, payment_status, succeeded_at, failed_at,
    refunded_at, created_at, updated_at, deleted_at
from jsonb_populate_recordset(null::invoicing.fees, :rows::jsonb);

-- name: update_fee!
update invoicing.fees set
    invoice_id = :invoice_id, customer_id = :customer_id, subscription_id = :subscription_id,
    fee_type = :fee_type, position = :position, charge_id = :charge_id, charge_filter_id = :charge_filter_id,
    fixed_charge_id = :fixed_charge_id, add_on_id = :add_on_id, wallet_transaction_id = :wallet_transaction_id,
    true_up_parent_fee_id = :true_up_parent_fee_id, original_fee_id = :original_fee_id, item_code = :item_code,
    item_name = :item_name, invoice_display_name = :invoice_display_name,
    filter_display_name = :filter_display_name, description = :description,
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
select
    organization_id, id, invoice_id, customer_id, subscription_id, fee_type, position, charge_id,
    charge_filter_id, fixed_charge_id, add_on_id, wallet_transaction_id, true_up_parent_fee_id,
    original_fee_id, item_code, item_name, invoice_display_name, filter_display_name, description,
    billable_metric_code, pricing_group, units, total_aggregated_units, events_count, amount_cents,
    precise_amount_cents, precise_unit_amount, amount_currency, tax_codes, precise_coupons_amount_cents,
    taxes_amount_cents, taxes_precise_amount_cents, taxes_rate, applied_taxes, amount_details,
    presentation_breakdowns, pricing_unit_details, debited_minor, pay_in_advance, invoiceable, is_adjusted,
    adjustment, event_transaction_id, from_datetime, to_datetime, payment_status, succeeded_at, failed_at,
    refunded_at, created_at, updated_at, deleted_at
from invoicing.fees
where organization_id = :organization_id and id = :id and deleted_at is null;

-- name: fees_of_invoices
select
    organization_id, id, invoice_id, customer_id, subscription_id, fee_type, position, charge_id,
    charge_filter_id, fixed_charge_id, add_on_id, wallet_transaction_id, true_up_parent_fee_id,
    original_fee_id, item_code, item_name, invoice_display_name, filter_display_name, description,
    billable_metric_code, pricing_group, units, total_aggregated_units, events_count, amount_cents,
    precise_amount_cents, precise_unit_amount, amount_currency, tax_codes, precise_coupons_amount_cents,
    taxes_amount_cents, taxes_precise_amount_cents, taxes_rate, applied_taxes, amount_details,
    presentation_breakdowns, pricing_unit_details, debited_minor, pay_in_advance, invoiceable, is_adjusted,
    adjustment, event_transaction_id, from_datetime, to_datetime, payment_status, succeeded_at, failed_at,
    refunded_at, created_at, updated_at, deleted_at
from invoicing.fees
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[]) and deleted_at is null
order by invoice_id, position, id;

-- name: delete_fees_of_invoice!
delete from invoicing.fees where organization_id = :organization_id and invoice_id = :invoice_id;
