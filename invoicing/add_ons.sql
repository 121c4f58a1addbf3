-- name: insert_add_on^
-- No row back means that the code is taken.
insert into invoicing.add_ons (
    organization_id, id, code, name, invoice_display_name, description, amount_cents, amount_currency, tax_codes,
    created_at, updated_at)
values (
    :organization_id, :id, :code, :name, :invoice_display_name, :description, :amount_cents, :amount_currency,
    :tax_codes::jsonb, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: update_add_on^
update invoicing.add_ons set
    code = :code, name = :name, invoice_display_name = :invoice_display_name, description = :description,
    amount_cents = :amount_cents, amount_currency = :amount_currency, tax_codes = :tax_codes::jsonb,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: find_add_on^
select * from invoicing.add_ons
where organization_id = :organization_id and code = :code and deleted_at is null;

-- name: list_add_ons
select * from invoicing.add_ons
where organization_id = :organization_id and deleted_at is null
order by id desc limit :limit offset :offset;

-- name: count_add_ons$
select count(*) from invoicing.add_ons where organization_id = :organization_id and deleted_at is null;

-- name: delete_add_on!
update invoicing.add_ons set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id;
