-- fragment: columns
    n.organization_id, n.id, n.invoice_id, n.customer_id, n.billing_entity_id, n.status, n.step, n.number,
    n.sequential_id, n.credit_status, n.refund_status, n.reason, n.description, n.currency, n.issuing_date,
    n.total_amount_cents, n.credit_amount_cents, n.balance_amount_cents, n.refund_amount_cents, n.offset_amount_cents,
    n.voided_amount_cents, n.taxes_amount_cents, n.taxes_rate, n.sub_total_excluding_taxes_amount_cents,
    n.coupons_adjustment_amount_cents, n.applied_taxes, n.metadata, n.settlement, n.request_hash, n.refunded_at,
    n.voided_at, n.created_at, n.updated_at

-- fragment: wanted
-- What callers ask for.
from invoicing.credit_notes n
join invoicing.invoices i on i.organization_id = n.organization_id and i.id = n.invoice_id
where n.organization_id = :organization_id and n.status = 'finalized'
  and (:customer_id::uuid is null or n.customer_id = :customer_id::uuid)
  and (:invoice_number::text is null or i.number = :invoice_number::text)
  and (:reasons::text[] is null or n.reason = any(:reasons::text[]))
  and (:credit_statuses::text[] is null or n.credit_status = any(:credit_statuses::text[]))
  and (:refund_statuses::text[] is null or n.refund_status = any(:refund_statuses::text[]))
  and (:currency::text is null or n.currency = :currency::text)
  and (:issuing_date_from::date is null or n.issuing_date >= :issuing_date_from::date)
  and (:issuing_date_to::date is null or n.issuing_date <= :issuing_date_to::date)
  and (:amount_from::bigint is null or n.total_amount_cents >= :amount_from::bigint)
  and (:amount_to::bigint is null or n.total_amount_cents <= :amount_to::bigint)
  and (:billing_entity_codes::text[] is null or exists (
       select 1 from invoicing.billing_entities e where e.organization_id = n.organization_id
         and e.id = n.billing_entity_id and e.code = any(:billing_entity_codes::text[])))
  and (:self_billed::boolean is null or i.self_billed = :self_billed::boolean)
  and (:search_term::text is null or strpos(lower(n.number), lower(:search_term::text)) > 0
       or n.id::text = lower(:search_term::text))

-- name: insert_credit_note!
insert into invoicing.credit_notes (
    organization_id, id, invoice_id, customer_id, billing_entity_id, status, step, number, sequential_id,
    credit_status, refund_status, reason, description, currency, issuing_date, total_amount_cents,
    credit_amount_cents, balance_amount_cents, refund_amount_cents, offset_amount_cents, voided_amount_cents,
    taxes_amount_cents, taxes_rate, sub_total_excluding_taxes_amount_cents, coupons_adjustment_amount_cents,
    applied_taxes, metadata, settlement, request_hash, refunded_at, voided_at, created_at, updated_at)
values (
    :organization_id, :id, :invoice_id, :customer_id, :billing_entity_id, :status, :step, :number,
    :sequential_id, :credit_status, :refund_status, :reason, :description, :currency, :issuing_date,
    :total_amount_cents, :credit_amount_cents, :balance_amount_cents, :refund_amount_cents,
    :offset_amount_cents, :voided_amount_cents, :taxes_amount_cents, :taxes_rate,
    :sub_total_excluding_taxes_amount_cents, :coupons_adjustment_amount_cents, :applied_taxes::jsonb,
    :metadata::jsonb, :settlement::jsonb, :request_hash, :refunded_at, :voided_at, :created_at, :updated_at);

-- name: update_credit_note!
update invoicing.credit_notes set
    status = :status, step = :step, number = :number, sequential_id = :sequential_id, credit_status =
    :credit_status, refund_status = :refund_status, description = :description, issuing_date = :issuing_date,
    total_amount_cents = :total_amount_cents, credit_amount_cents = :credit_amount_cents, balance_amount_cents =
    :balance_amount_cents, refund_amount_cents = :refund_amount_cents, offset_amount_cents =
    :offset_amount_cents, voided_amount_cents = :voided_amount_cents, taxes_amount_cents = :taxes_amount_cents,
    taxes_rate = :taxes_rate, sub_total_excluding_taxes_amount_cents = :sub_total_excluding_taxes_amount_cents,
    coupons_adjustment_amount_cents = :coupons_adjustment_amount_cents, applied_taxes = :applied_taxes::jsonb,
    metadata = :metadata::jsonb, settlement = :settlement::jsonb, refunded_at = :refunded_at, voided_at =
    :voided_at, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_credit_note^
select {columns}
from invoicing.credit_notes n
where n.organization_id = :organization_id and n.id = :id;

-- name: lock_credit_note^
select {columns}
from invoicing.credit_notes n
where n.organization_id = :organization_id and n.id = :id
for no key update;

-- name: notes_of_invoice
select {columns}
from invoicing.credit_notes n
where n.organization_id = :organization_id and n.invoice_id = :invoice_id
order by n.created_at, n.id;

-- name: list_credit_notes
select {columns}
{wanted}
order by n.issuing_date desc, n.created_at desc, n.id
limit :limit offset :offset;

-- name: count_credit_notes$
select count(*)
{wanted};

-- name: insert_item!
insert into invoicing.credit_note_items (
    organization_id, id, credit_note_id, fee_id, amount_cents, precise_amount_cents, amount_currency, created_at)
values (
    :organization_id, :id, :credit_note_id, :fee_id, :amount_cents, :precise_amount_cents, :amount_currency,
    :created_at);

-- name: delete_items!
delete from invoicing.credit_note_items where organization_id = :organization_id and credit_note_id = :credit_note_id;

-- name: items_of_notes
select organization_id, id, credit_note_id, fee_id, amount_cents, precise_amount_cents, amount_currency, created_at
from invoicing.credit_note_items
where organization_id = :organization_id and credit_note_id = any(:credit_note_ids::uuid[])
order by credit_note_id, id;

-- name: mode_of_note$
-- As when it is billed: where another plan took the place of the subscription, what was agreed of its end does not count.
select case when not exists (
    select from invoicing.subscriptions n
    where n.organization_id = s.organization_id and n.previous_subscription_id = s.id and n.started_at is not null)
    then s.on_termination_credit_note end
from invoicing.credit_note_items i
join invoicing.fees f on f.organization_id = i.organization_id and f.id = i.fee_id
join invoicing.subscriptions s on s.organization_id = f.organization_id and s.id = f.subscription_id
where i.organization_id = :organization_id and i.credit_note_id = :credit_note_id
order by i.id
limit 1;

-- name: unfinished
select organization_id, id, updated_at
from invoicing.credit_notes
where step is not null and updated_at < :before
  and (:after_at::timestamptz is null or (updated_at, id) > (:after_at::timestamptz, :after_id::uuid))
order by updated_at, id
limit :limit;

-- name: surroundings
-- What is shown with notes of their invoices.
select i.id, i.number, i.purchase_order_number, i.self_billed, e.code as billing_entity_code, c.external_id,
    i.customer_as_billed, i.timezone
from invoicing.invoices i
join invoicing.billing_entities e on e.organization_id = i.organization_id and e.id = i.billing_entity_id
join invoicing.customers c on c.organization_id = i.organization_id and c.id = i.customer_id
where i.organization_id = :organization_id and i.id = any(:ids::uuid[]);

-- name: invoices_with_drafts
select distinct n.organization_id, n.invoice_id
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.credit_notes n on n.organization_id = w.organization_id and n.invoice_id = w.id
where n.status = 'draft';
