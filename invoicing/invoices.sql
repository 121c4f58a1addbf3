-- name: insert_invoice!
insert into invoicing.invoices (
    organization_id, id, customer_id, billing_entity_id, invoice_type, status, payment_status, currency,
    number, sequential_id, issuing_date, expected_finalization_date, payment_due_date, net_payment_term,
    timezone, fees_amount_cents, progressive_billing_credit_amount_cents, coupons_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents,
    sub_total_including_taxes_amount_cents, credit_notes_amount_cents, prepaid_credit_amount_cents,
    prepaid_granted_credit_amount_cents, prepaid_purchased_credit_amount_cents, debited_amount_minor,
    total_amount_cents, total_paid_amount_cents, total_offsetted_credit_note_amount_cents, applied_taxes,
    custom_sections, applied_usage_thresholds, metadata, error_details, customer_as_billed, entity_as_billing,
    settlement, content_hash, sealed_at, sealed_xact_id, voided_invoice_id, purchase_order_number, self_billed,
    payment_overdue, payment_dispute_lost_at, ready_for_payment, skip_charges, version_number, revision,
    tzdata_version, finalized_at, voided_at, created_at, updated_at)
values (
    :organization_id, :id, :customer_id, :billing_entity_id, :invoice_type, :status, :payment_status,
    :currency, :number, :sequential_id, :issuing_date, :expected_finalization_date, :payment_due_date,
    :net_payment_term, :timezone, :fees_amount_cents, :progressive_billing_credit_amount_cents,
    :coupons_amount_cents, :taxes_amount_cents, :taxes_rate, :sub_total_excluding_taxes_amount_cents,
    :sub_total_including_taxes_amount_cents, :credit_notes_amount_cents, :prepaid_credit_amount_cents,
    :prepaid_granted_credit_amount_cents, :prepaid_purchased_credit_amount_cents, :debited_amount_minor,
    :total_amount_cents, :total_paid_amount_cents, :total_offsetted_credit_note_amount_cents,
    :applied_taxes::jsonb, :custom_sections::jsonb, :applied_usage_thresholds::jsonb, :metadata::jsonb,
    :error_details::jsonb, :customer_as_billed::jsonb, :entity_as_billing::jsonb, :settlement::jsonb,
    :content_hash, :sealed_at, :sealed_xact_id::text::xid8, :voided_invoice_id, :purchase_order_number,
    :self_billed, :payment_overdue, :payment_dispute_lost_at, :ready_for_payment, :skip_charges,
    :version_number, :revision, :tzdata_version, :finalized_at, :voided_at, :created_at, :updated_at);

-- name: update_invoice!
update invoicing.invoices set
    customer_id = :customer_id, billing_entity_id = :billing_entity_id, invoice_type = :invoice_type,
    status = :status, payment_status = :payment_status, currency = :currency, number = :number,
    sequential_id = :sequential_id, issuing_date = :issuing_date,
    expected_finalization_date = :expected_finalization_date, payment_due_date = :payment_due_date,
    net_payment_term = :net_payment_term, timezone = :timezone, fees_amount_cents = :fees_amount_cents,
    progressive_billing_credit_amount_cents = :progressive_billing_credit_amount_cents,
    coupons_amount_cents = :coupons_amount_cents, taxes_amount_cents = :taxes_amount_cents,
    taxes_rate = :taxes_rate, sub_total_excluding_taxes_amount_cents = :sub_total_excluding_taxes_amount_cents,
    sub_total_including_taxes_amount_cents = :sub_total_including_taxes_amount_cents,
    credit_notes_amount_cents = :credit_notes_amount_cents,
    prepaid_credit_amount_cents = :prepaid_credit_amount_cents,
    prepaid_granted_credit_amount_cents = :prepaid_granted_credit_amount_cents,
    prepaid_purchased_credit_amount_cents = :prepaid_purchased_credit_amount_cents,
    debited_amount_minor = :debited_amount_minor, total_amount_cents = :total_amount_cents,
    total_paid_amount_cents = :total_paid_amount_cents,
    total_offsetted_credit_note_amount_cents = :total_offsetted_credit_note_amount_cents,
    applied_taxes = :applied_taxes::jsonb, custom_sections = :custom_sections::jsonb,
    applied_usage_thresholds = :applied_usage_thresholds::jsonb, metadata = :metadata::jsonb,
    error_details = :error_details::jsonb, customer_as_billed = :customer_as_billed::jsonb,
    entity_as_billing = :entity_as_billing::jsonb, settlement = :settlement::jsonb,
    content_hash = :content_hash, sealed_at = :sealed_at, sealed_xact_id = :sealed_xact_id::text::xid8,
    voided_invoice_id = :voided_invoice_id, purchase_order_number = :purchase_order_number,
    self_billed = :self_billed, payment_overdue = :payment_overdue,
    payment_dispute_lost_at = :payment_dispute_lost_at, ready_for_payment = :ready_for_payment,
    skip_charges = :skip_charges, version_number = :version_number, revision = :revision,
    tzdata_version = :tzdata_version, finalized_at = :finalized_at, voided_at = :voided_at,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_invoice^
select
    organization_id, id, customer_id, billing_entity_id, invoice_type, status, payment_status, currency,
    number, sequential_id, issuing_date, expected_finalization_date, payment_due_date, net_payment_term,
    timezone, fees_amount_cents, progressive_billing_credit_amount_cents, coupons_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents,
    sub_total_including_taxes_amount_cents, credit_notes_amount_cents, prepaid_credit_amount_cents,
    prepaid_granted_credit_amount_cents, prepaid_purchased_credit_amount_cents, debited_amount_minor,
    total_amount_cents, total_paid_amount_cents, total_offsetted_credit_note_amount_cents, applied_taxes,
    custom_sections, applied_usage_thresholds, metadata, error_details, customer_as_billed, entity_as_billing,
    settlement, content_hash, sealed_at, sealed_xact_id::text::bigint as sealed_xact_id, voided_invoice_id,
    purchase_order_number, self_billed, payment_overdue, payment_dispute_lost_at, ready_for_payment,
    skip_charges, version_number, revision, tzdata_version, finalized_at, voided_at, created_at, updated_at
from invoicing.invoices
where organization_id = :organization_id and id = :id;

-- name: lock_invoice^
select
    organization_id, id, customer_id, billing_entity_id, invoice_type, status, payment_status, currency,
    number, sequential_id, issuing_date, expected_finalization_date, payment_due_date, net_payment_term,
    timezone, fees_amount_cents, progressive_billing_credit_amount_cents, coupons_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents,
    sub_total_including_taxes_amount_cents, credit_notes_amount_cents, prepaid_credit_amount_cents,
    prepaid_granted_credit_amount_cents, prepaid_purchased_credit_amount_cents, debited_amount_minor,
    total_amount_cents, total_paid_amount_cents, total_offsetted_credit_note_amount_cents, applied_taxes,
    custom_sections, applied_usage_thresholds, metadata, error_details, customer_as_billed, entity_as_billing,
    settlement, content_hash, sealed_at, sealed_xact_id::text::bigint as sealed_xact_id, voided_invoice_id,
    purchase_order_number, self_billed, payment_overdue, payment_dispute_lost_at, ready_for_payment,
    skip_charges, version_number, revision, tzdata_version, finalized_at, voided_at, created_at, updated_at
from invoicing.invoices
where organization_id = :organization_id and id = :id
for no key update;

-- name: list_invoices
select
    organization_id, id, customer_id, billing_entity_id, invoice_type, status, payment_status, currency,
    number, sequential_id, issuing_date, expected_finalization_date, payment_due_date, net_payment_term,
    timezone, fees_amount_cents, progressive_billing_credit_amount_cents, coupons_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents,
    sub_total_including_taxes_amount_cents, credit_notes_amount_cents, prepaid_credit_amount_cents,
    prepaid_granted_credit_amount_cents, prepaid_purchased_credit_amount_cents, debited_amount_minor,
    total_amount_cents, total_paid_amount_cents, total_offsetted_credit_note_amount_cents, applied_taxes,
    custom_sections, applied_usage_thresholds, metadata, error_details, customer_as_billed, entity_as_billing,
    settlement, content_hash, sealed_at, sealed_xact_id::text::bigint as sealed_xact_id, voided_invoice_id,
    purchase_order_number, self_billed, payment_overdue, payment_dispute_lost_at, ready_for_payment,
    skip_charges, version_number, revision, tzdata_version, finalized_at, voided_at, created_at, updated_at
from invoicing.invoices i
where i.organization_id = :organization_id and i.status = any(:statuses::text[])
  and (:customer_id::uuid is null or i.customer_id = :customer_id::uuid)
  and (:invoice_types::text[] is null or i.invoice_type = any(:invoice_types::text[]))
  and (:payment_statuses::text[] is null or i.payment_status = any(:payment_statuses::text[]))
  and (:currency::text is null or i.currency = :currency::text)
  and (:payment_overdue::boolean is null or i.payment_overdue = :payment_overdue::boolean)
  and (:payment_dispute_lost::boolean is null
       or (i.payment_dispute_lost_at is not null) = :payment_dispute_lost::boolean)
  and (:issuing_date_from::date is null or i.issuing_date >= :issuing_date_from::date)
  and (:issuing_date_to::date is null or i.issuing_date <= :issuing_date_to::date)
  and (:amount_from::bigint is null or i.total_amount_cents >= :amount_from::bigint)
  and (:amount_to::bigint is null or i.total_amount_cents <= :amount_to::bigint)
  and (:billing_entity_ids::uuid[] is null or i.billing_entity_id = any(:billing_entity_ids::uuid[]))
  and (:search_term::text is null or strpos(lower(i.number), lower(:search_term::text)) > 0 or i.id::text = :search_term::text)
order by i.issuing_date desc, i.created_at desc, i.id
limit :limit offset :offset;

-- name: count_invoices$
select count(*)
from invoicing.invoices i
where i.organization_id = :organization_id and i.status = any(:statuses::text[])
  and (:customer_id::uuid is null or i.customer_id = :customer_id::uuid)
  and (:invoice_types::text[] is null or i.invoice_type = any(:invoice_types::text[]))
  and (:payment_statuses::text[] is null or i.payment_status = any(:payment_statuses::text[]))
  and (:currency::text is null or i.currency = :currency::text)
  and (:payment_overdue::boolean is null or i.payment_overdue = :payment_overdue::boolean)
  and (:payment_dispute_lost::boolean is null
       or (i.payment_dispute_lost_at is not null) = :payment_dispute_lost::boolean)
  and (:issuing_date_from::date is null or i.issuing_date >= :issuing_date_from::date)
  and (:issuing_date_to::date is null or i.issuing_date <= :issuing_date_to::date)
  and (:amount_from::bigint is null or i.total_amount_cents >= :amount_from::bigint)
  and (:amount_to::bigint is null or i.total_amount_cents <= :amount_to::bigint)
  and (:billing_entity_ids::uuid[] is null or i.billing_entity_id = any(:billing_entity_ids::uuid[]))
  and (:search_term::text is null or strpos(lower(i.number), lower(:search_term::text)) > 0 or i.id::text = :search_term::text);
