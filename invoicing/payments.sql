-- fragment: columns
    organization_id, id, invoice_id, customer_id, amount_cents, amount_currency, payment_status, payment_type,
    provider, reference, external_payment_id, request_hash, paid_at, created_at, updated_at

-- fragment: wanted
-- What callers ask for.
from invoicing.payments p
where p.organization_id = :organization_id
  and (:customer_id::uuid is null or p.customer_id = :customer_id::uuid)
  and (:invoice_id::uuid is null or p.invoice_id = :invoice_id::uuid)
  and (:billing_entity_codes::text[] is null or exists (
       select 1 from invoicing.invoices i
       join invoicing.billing_entities e on e.organization_id = i.organization_id and e.id = i.billing_entity_id
       where i.organization_id = p.organization_id and i.id = p.invoice_id
         and e.code = any(:billing_entity_codes::text[])))
  and (:search_term::text is null or strpos(lower(p.reference), lower(:search_term::text)) > 0
       or p.id::text = lower(:search_term::text))

-- name: insert_payment!
insert into invoicing.payments ({columns})
values (
    :organization_id, :id, :invoice_id, :customer_id, :amount_cents, :amount_currency, :payment_status,
    :payment_type, :provider, :reference, :external_payment_id, :request_hash, :paid_at, :created_at,
    :updated_at);

-- name: update_payment!
update invoicing.payments set
    payment_status = :payment_status, paid_at = :paid_at, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_payment^
select {columns}
from invoicing.payments
where organization_id = :organization_id and id = :id;

-- name: find_payments
select {columns}
from invoicing.payments
where organization_id = :organization_id and id = any(:ids::uuid[]);

-- name: processing_of_invoice
select id
from invoicing.payments
where organization_id = :organization_id and invoice_id = :invoice_id and payment_status = 'processing'
order by id;

-- name: list_payments
select {columns}
{wanted}
order by p.created_at desc, p.id
limit :limit offset :offset;

-- name: count_payments$
select count(*)
{wanted};

-- name: reserved$
-- What is being paid or set off just now.
select
    coalesce((select sum(amount_cents) from invoicing.payments
              where organization_id = :organization_id and invoice_id = :invoice_id
                and payment_status in ('pending', 'processing')), 0)::bigint
  + coalesce((select sum(offset_amount_cents) from invoicing.credit_notes
              where organization_id = :organization_id and invoice_id = :invoice_id
                and step = 'issue'), 0)::bigint;

-- name: pay_fees!
update invoicing.fees set payment_status = 'succeeded', succeeded_at = :now, updated_at = :now
where organization_id = :organization_id and invoice_id = :invoice_id and deleted_at is null
  and payment_status <> 'succeeded';

-- name: unfinished
select organization_id, id, updated_at
from invoicing.payments
where payment_status = 'processing' and updated_at < :before
  and (:after_at::timestamptz is null or (updated_at, id) > (:after_at::timestamptz, :after_id::uuid))
order by updated_at, id
limit :limit;

-- name: numbers_of_invoices
select id, number
from invoicing.invoices
where organization_id = :organization_id and id = any(:ids::uuid[]);

-- name: fail_payment!
update invoicing.payments set payment_status = 'failed', updated_at = :now
where organization_id = :organization_id and id = :id and payment_status = 'processing';
