-- name: insert_assets!
-- Assets that are not there yet; those that are keep their ledger. A row that conflicts would use up a number of a
-- ledger all the same, so what is there is left out before.
insert into wallet.assets (organization_id, code, name, kind, scale, created_at)
select :organization_id, n.code, n.name, n.kind, n.scale, :now
from unnest(:codes::text[], :names::text[], :kinds::text[], :scales::smallint[]) as n (code, name, kind, scale)
where not exists (
    select 1 from wallet.assets a where a.organization_id = :organization_id and a.code = n.code)
on conflict do nothing;

-- name: find_asset^
select organization_id, code, name, kind, scale, ledger, created_at
from wallet.assets where organization_id = :organization_id and code = :code;

-- name: find_asset_by_ledger^
select organization_id, code, name, kind, scale, ledger, created_at
from wallet.assets where organization_id = :organization_id and ledger = :ledger;

-- name: find_units
select code, scale from wallet.assets
where organization_id = :organization_id and code = any(:codes::text[]) and kind = 'unit';

-- name: list_assets
select organization_id, code, name, kind, scale, ledger, created_at
from wallet.assets where organization_id = :organization_id
order by kind desc, code limit :limit offset :offset;

-- name: count_assets$
select count(*) from wallet.assets where organization_id = :organization_id;
