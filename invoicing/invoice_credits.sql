-- What lowered invoices.

-- name: insert_credits!
insert into invoicing.invoice_credits (
    organization_id, id, invoice_id, kind, source_id, item_code, item_name, amount_cents, amount_currency,
    before_taxes, created_at)
select organization_id, id, invoice_id, kind, source_id, item_code, item_name, amount_cents, amount_currency,
    before_taxes, created_at
from jsonb_populate_recordset(null::invoicing.invoice_credits, :rows::jsonb);

-- name: credits_of_invoices
select organization_id, id, invoice_id, kind, source_id, item_code, item_name, amount_cents, amount_currency,
    before_taxes, created_at
from invoicing.invoice_credits
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[])
order by invoice_id,
    case kind when 'progressive_billing' then 0 when 'coupon' then 1 else 2 end, created_at, id;

-- name: delete_credits_of_invoice!
delete from invoicing.invoice_credits where organization_id = :organization_id and invoice_id = :invoice_id;
