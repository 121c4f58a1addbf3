-- fragment: wanted
-- What callers ask for.
from invoicing.payment_receipts r
join invoicing.payments p on p.organization_id = r.organization_id and p.id = r.payment_id
where r.organization_id = :organization_id
  and (:invoice_id::uuid is null or p.invoice_id = :invoice_id::uuid)
  and (:customer_id::uuid is null or p.customer_id = :customer_id::uuid)
  and (:billing_entity_codes::text[] is null or exists (
       select 1 from invoicing.billing_entities e where e.organization_id = r.organization_id
         and e.id = r.billing_entity_id and e.code = any(:billing_entity_codes::text[])))
  and (:search_term::text is null or strpos(lower(r.number), lower(:search_term::text)) > 0
       or r.id::text = lower(:search_term::text))

-- name: insert_receipt!
insert into invoicing.payment_receipts (
    organization_id, id, payment_id, billing_entity_id, number, created_at)
values (
    :organization_id, :id, :payment_id, :billing_entity_id, :number, :created_at);

-- name: find_receipt^
select
    organization_id, id, payment_id, billing_entity_id, number, created_at
from invoicing.payment_receipts
where organization_id = :organization_id and id = :id;

-- name: list_receipts
select
    r.organization_id, r.id, r.payment_id, r.billing_entity_id, r.number, r.created_at
{wanted}
order by r.created_at desc, r.id
limit :limit offset :offset;

-- name: count_receipts$
select count(*)
{wanted};
