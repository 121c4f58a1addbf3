-- name: delete_old_operations(kept_days, limit)
delete from wallet.operations o
using (
    select organization_id, kind, key from wallet.operations
    where created_at < statement_timestamp() - make_interval(days => :kept_days::integer) and state <> 'open'
    limit :limit
) old
where o.organization_id = old.organization_id and o.kind = old.kind and o.key = old.key and o.state <> 'open'
returning 1;

-- name: delete_old_keys(kept_days, limit)
delete from wallet.request_keys k
using (
    select organization_id, kind, key from wallet.request_keys
    where created_at < statement_timestamp() - make_interval(days => :kept_days::integer)
    limit :limit
) old
where k.organization_id = old.organization_id and k.kind = old.kind and k.key = old.key
returning 1;
