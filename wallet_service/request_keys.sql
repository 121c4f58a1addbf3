-- name: claim_key$
-- Waits for whoever has just claimed it and has not committed. Nothing back: it is somebody else's.
insert into wallet.request_keys (organization_id, kind, key, body_hash, object_id, created_at)
values (:organization_id, :kind, :key, :body_hash, :object_id, :now)
on conflict do nothing
returning object_id;

-- name: find_key^
select body_hash, object_id from wallet.request_keys
where organization_id = :organization_id and kind = :kind and key = :key;
