-- name: promotional_grants(organization_id, ids)
-- Which of these grants were given away.
select id from wallet.grants
where organization_id = :organization_id and id = any(:ids::uuid[]) and kind = 'promotional';

-- name: payers(organization_id, ids)
-- Grants that had paid an invoice, open or not.
select id, wallet_id, kind, priority, expires_at from wallet.grants
where organization_id = :organization_id and id = any(:ids::uuid[])
order by id;
