-- name: promotional_grants(organization_id, ids)
-- Which of these grants were given away.
select id from wallet.grants
where organization_id = :organization_id and id = any(:ids::uuid[]) and kind = 'promotional';

-- name: payers(organization_id, ids)
-- Grants that had paid an invoice, open or not.
select id, wallet_id, kind, priority, expires_at from wallet.grants
where organization_id = :organization_id and id = any(:ids::uuid[])
order by id;

-- name: grants_given_away(organization_ids, ids)
-- Of many organizations: those of these grants that were given away.
select g.id
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join wallet.grants g on g.organization_id = w.organization_id and g.id = w.id
where g.kind = 'promotional';
