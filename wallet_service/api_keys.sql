-- name: insert_api_key^
insert into wallet.api_keys (organization_id, id, name, prefix, hash, scopes, expires_at, created_at)
values (:organization_id, :id, :name, :prefix, :hash, :scopes, :expires_at, :created_at)
returning *;

-- name: find_api_key^
-- Asked before it is known whose the key is; see the function.
select * from wallet.find_api_key(:hash);

-- name: find_api_key_by_id^
select * from wallet.api_keys where organization_id = :organization_id and id = :id;

-- name: list_api_keys
select * from wallet.api_keys where organization_id = :organization_id
order by id desc limit :limit offset :offset;

-- name: count_api_keys$
select count(*) from wallet.api_keys where organization_id = :organization_id;

-- name: revoke_api_key!
-- The first revocation stands.
update wallet.api_keys set revoked_at = :now
where organization_id = :organization_id and id = :id and revoked_at is null;
