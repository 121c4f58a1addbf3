-- name: insert_assets!
-- Assets that are not there yet; those that are keep their ledger.
insert into wallet.assets (organization_id, code, name, kind, scale, created_at)
select :organization_id, n.code, n.name, n.kind, n.scale, :now
from unnest(:codes::text[], :names::text[], :kinds::text[], :scales::smallint[]) as n (code, name, kind, scale)
on conflict do nothing;

-- name: find_asset^
select organization_id, code, name, kind, scale, ledger, created_at
from wallet.assets where organization_id = :organization_id and code = :code;

-- name: list_assets
select organization_id, code, name, kind, scale, ledger, created_at
from wallet.assets where organization_id = :organization_id
order by kind desc, code limit :limit offset :offset;

-- name: count_assets$
select count(*) from wallet.assets where organization_id = :organization_id;
