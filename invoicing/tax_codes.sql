-- name: find_tax_codes
select code from invoicing.taxes
where organization_id = :organization_id and code = any(:codes::text[]) and deleted_at is null;
