-- name: insert_section^
-- No row back means that the code is taken.
insert into invoicing.invoice_custom_sections (
    organization_id, id, code, name, description, display_name, details, created_at, updated_at)
values (:organization_id, :id, :code, :name, :description, :display_name, :details, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: update_section^
update invoicing.invoice_custom_sections set
    name = :name, description = :description, display_name = :display_name, details = :details,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: delete_section!
update invoicing.invoice_custom_sections set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id;

-- name: find_sections
select * from invoicing.invoice_custom_sections
where organization_id = :organization_id and code = any(:codes::text[]) and deleted_at is null
order by code;

-- name: list_sections
select * from invoicing.invoice_custom_sections
where organization_id = :organization_id and deleted_at is null
order by id desc limit :limit offset :offset;

-- name: count_sections$
select count(*) from invoicing.invoice_custom_sections
where organization_id = :organization_id and deleted_at is null;
