-- fragment: columns
    organization_id, id, customer_id, billing_entity_id, invoice_type, status, payment_status, currency, number,
    sequential_id, issuing_date, expected_finalization_date, payment_due_date, net_payment_term, timezone,
    fees_amount_cents, progressive_billing_credit_amount_cents, coupons_amount_cents, taxes_amount_cents, taxes_rate,
    sub_total_excluding_taxes_amount_cents, sub_total_including_taxes_amount_cents, credit_notes_amount_cents,
    prepaid_credit_amount_cents, prepaid_granted_credit_amount_cents, prepaid_purchased_credit_amount_cents,
    debited_amount_minor, total_amount_cents, total_paid_amount_cents, total_offsetted_credit_note_amount_cents,
    applied_taxes, custom_sections, applied_usage_thresholds, metadata, error_details, customer_as_billed,
    entity_as_billing, settlement, content_hash, sealed_at, voided_invoice_id, purchase_order_number, self_billed,
    payment_overdue, payment_dispute_lost_at, version_number, revision,
    tzdata_version, finalized_at, voided_at, created_at, updated_at

-- fragment: wanted
-- What callers ask for.
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
  and (:billing_entity_codes::text[] is null or i.billing_entity_id in (
       select e.id from invoicing.billing_entities e
       where e.organization_id = :organization_id and e.code = any(:billing_entity_codes::text[])))
  and (:subscription_id::uuid is null or exists (
       select from invoicing.billed_periods b
       where b.organization_id = i.organization_id and b.invoice_id = i.id
         and b.subscription_id = :subscription_id::uuid))
  and (:self_billed::boolean is null or i.self_billed = :self_billed::boolean)
  and (:partially_paid::boolean is null or :partially_paid::boolean = (
       i.total_paid_amount_cents > 0 and i.total_paid_amount_cents < i.total_amount_cents))
  and (:positive_due_amount::boolean is null or :positive_due_amount::boolean = (
       i.total_amount_cents > i.total_paid_amount_cents + i.total_offsetted_credit_note_amount_cents))
  and (:metadata::jsonb is null or i.metadata @> :metadata::jsonb)
  and (:search_term::text is null or strpos(lower(i.number), lower(:search_term::text)) > 0 or i.id::text = :search_term::text)

-- name: insert_invoices!
insert into invoicing.invoices ({columns}, sealed_xact_id)
select {columns}, sealed_xact_id
from jsonb_populate_recordset(null::invoicing.invoices, :rows::jsonb);

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
    content_hash = :content_hash, sealed_at = :sealed_at, sealed_xact_id = :sealed_xact_id::bigint::text::xid8,
    voided_invoice_id = :voided_invoice_id, purchase_order_number = :purchase_order_number,
    self_billed = :self_billed, payment_overdue = :payment_overdue,
    payment_dispute_lost_at = :payment_dispute_lost_at, version_number = :version_number, revision = :revision,
    tzdata_version = :tzdata_version, finalized_at = :finalized_at, voided_at = :voided_at,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_invoice^
select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
from invoicing.invoices
where organization_id = :organization_id and id = :id;

-- name: lock_invoice^
select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
from invoicing.invoices
where organization_id = :organization_id and id = :id
for no key update;

-- name: lock_invoices
-- In one order, so that nobody deadlocks.
select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
from invoicing.invoices
where (organization_id, id) in (select * from unnest(:organization_ids::uuid[], :ids::uuid[])) and status = any(:statuses::text[])
order by organization_id, id
for no key update;

-- name: find_waiting
-- Those in a status since before a time, the longest waiting first.
select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
from invoicing.invoices
where status = any(:statuses::text[]) and updated_at < :before
  and (:over_at::timestamptz is null or (
       expected_finalization_date <= :tomorrow::date
       and expected_finalization_date <= (:over_at::timestamptz at time zone timezone)::date))
  and (:after_at::timestamptz is null or (updated_at, id) > (:after_at::timestamptz, :after_id::uuid))
order by updated_at, id
limit :limit;

-- name: find_voiding
-- A partial index has them: there are few.
select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
from invoicing.invoices
where status = 'finalized' and (settlement ->> 'voiding') = 'true' and updated_at < :before
  and (:after_at::timestamptz is null or (updated_at, id) > (:after_at::timestamptz, :after_id::uuid))
order by updated_at, id
limit :limit;

-- name: find_given_up
-- Demands of subscriptions that were given up since a time, before anybody paid. By key, since those are few.
select i.*
from invoicing.subscriptions s
cross join lateral (
    select b.invoice_id from invoicing.billed_periods b
    where b.organization_id = s.organization_id and b.subscription_id = s.id and b.reason = 'subscription_starting'
    offset 0
) b
cross join lateral (
    select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
    from invoicing.invoices i
    where i.organization_id = s.organization_id and i.id = b.invoice_id and i.status in ('draft', 'finalized')
      and i.payment_status <> 'succeeded' and i.total_paid_amount_cents = 0
    offset 0
) i
where s.status = 'canceled' and s.activation_rules <> '[]' and s.canceled_at >= :since
  and (:after_at::timestamptz is null or (i.updated_at, i.id) > (:after_at::timestamptz, :after_id::uuid))
order by i.updated_at, i.id
limit :limit;

-- name: conclude_invoices!
-- What the book has said, and the numbers.
update invoicing.invoices i set
    status = r.status, payment_status = r.payment_status, number = r.number, sequential_id = r.sequential_id,
    prepaid_credit_amount_cents = r.prepaid_credit_amount_cents,
    prepaid_granted_credit_amount_cents = r.prepaid_granted_credit_amount_cents,
    prepaid_purchased_credit_amount_cents = r.prepaid_purchased_credit_amount_cents,
    total_amount_cents = r.total_amount_cents, settlement = r.settlement, content_hash = decode(r.content_hash, 'hex'),
    finalized_at = r.finalized_at, tzdata_version = r.tzdata_version, updated_at = r.updated_at
from jsonb_to_recordset(:rows::jsonb) as r (
    organization_id uuid, id uuid, status text, payment_status text, number text, sequential_id bigint,
    prepaid_credit_amount_cents bigint, prepaid_granted_credit_amount_cents bigint,
    prepaid_purchased_credit_amount_cents bigint, total_amount_cents bigint, settlement jsonb, content_hash text,
    finalized_at timestamptz, tzdata_version text, updated_at timestamptz)
where i.organization_id = r.organization_id and i.id = r.id;

-- name: mark_overdue
-- Demands whose day to be paid is over where the customer lives, and that are not paid.
update invoicing.invoices i set payment_overdue = true, updated_at = :now
where i.id in (
    select id from invoicing.invoices
    where status = 'finalized' and payment_status <> 'succeeded' and not payment_overdue
      and payment_due_date < :today and total_amount_cents > 0 and payment_dispute_lost_at is null
      and payment_due_date < (:now::timestamptz at time zone timezone)::date
    order by payment_due_date limit :limit
    for no key update skip locked)
returning i.organization_id, i.id;

-- name: list_invoices
select {columns}, sealed_xact_id::text::bigint as sealed_xact_id
{wanted}
order by i.issuing_date desc, i.created_at desc, i.id
limit :limit offset :offset;

-- name: count_invoices$
select count(*)
{wanted};
