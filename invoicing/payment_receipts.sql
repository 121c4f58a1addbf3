-- name: insert_receipt!
insert into invoicing.payment_receipts (
    organization_id, id, payment_id, billing_entity_id, number, created_at)
values (
    :organization_id, :id, :payment_id, :billing_entity_id, :number, :created_at);

-- name: prefix_of_entity$
select document_number_prefix
from invoicing.billing_entities
where organization_id = :organization_id and id = :id;

-- name: find_receipt^
select
    organization_id, id, payment_id, billing_entity_id, number, created_at
from invoicing.payment_receipts
where organization_id = :organization_id and id = :id;

-- name: receipt_of_payment^
select
    organization_id, id, payment_id, billing_entity_id, number, created_at
from invoicing.payment_receipts
where organization_id = :organization_id and payment_id = :payment_id;

-- name: list_receipts
select
    r.organization_id, r.id, r.payment_id, r.billing_entity_id, r.number, r.created_at
from invoicing.payment_receipts r
join invoicing.payments p on p.organization_id = r.organization_id and p.id = r.payment_id
where r.organization_id = :organization_id
  and (:invoice_id::uuid is null or p.invoice_id = :invoice_id::uuid)
  and (:customer_id::uuid is null or p.customer_id = :customer_id::uuid)
  and (:billing_entity_ids::uuid[] is null or r.billing_entity_id = any(:billing_entity_ids::uuid[]))
  and (:search_term::text is null or strpos(lower(r.number), lower(:search_term::text)) > 0
       or r.id::text = lower(:search_term::text))
order by r.created_at desc, r.id
limit :limit offset :offset;

-- name: count_receipts$
select count(*)
from invoicing.payment_receipts r
join invoicing.payments p on p.organization_id = r.organization_id and p.id = r.payment_id
where r.organization_id = :organization_id
  and (:invoice_id::uuid is null or p.invoice_id = :invoice_id::uuid)
  and (:customer_id::uuid is null or p.customer_id = :customer_id::uuid)
  and (:billing_entity_ids::uuid[] is null or r.billing_entity_id = any(:billing_entity_ids::uuid[]))
  and (:search_term::text is null or strpos(lower(r.number), lower(:search_term::text)) > 0
       or r.id::text = lower(:search_term::text));
