-- name: insert_tax^
-- No row back means that the code is taken.
insert into invoicing.taxes (organization_id, id, code, name, description, rate, created_at, updated_at)
values (:organization_id, :id, :code, :name, :description, :rate, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: update_tax^
update invoicing.taxes set name = :name, description = :description, rate = :rate, updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: delete_tax!
update invoicing.taxes set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id;

-- name: find_taxes
select * from invoicing.taxes
where organization_id = :organization_id and code = any(:codes::text[]) and deleted_at is null;

-- name: list_taxes
select * from invoicing.taxes
where organization_id = :organization_id and deleted_at is null
order by id desc limit :limit offset :offset;

-- name: count_taxes$
select count(*) from invoicing.taxes where organization_id = :organization_id and deleted_at is null;
