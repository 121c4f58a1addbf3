-- Grants and wallets that have come to their end.

-- name: due_grants(after_expires_at, after_id, limit)
select g.organization_id, g.id, g.customer_id, g.expires_at, w.asset_code, s.scale, s.ledger, s.kind = 'unit' as is_unit
from wallet.grants g
join wallet.wallets w on w.organization_id = g.organization_id and w.id = g.wallet_id
join wallet.assets s on s.organization_id = w.organization_id and s.code = w.asset_code
where g.is_open and g.expires_at <= statement_timestamp()
  and (g.expires_at, g.id) > (:after_expires_at::timestamptz, :after_id::uuid)
order by g.expires_at, g.id
limit :limit;

-- name: open_grants(after_organization_id, after_wallet_id, after_id, limit)
-- The next open grants of the round; those with an heir have a newer one beside them.
select g.organization_id, g.wallet_id, g.id, g.customer_id, w.asset_code, s.scale, s.ledger, s.kind = 'unit' as is_unit,
    g.kind <> 'overdraft' and exists (
        select from wallet.grants n
        where n.organization_id = g.organization_id and n.wallet_id = g.wallet_id and n.is_open
          and n.kind <> 'overdraft' and n.id > g.id) as has_heir
from wallet.grants g
join wallet.wallets w on w.organization_id = g.organization_id and w.id = g.wallet_id
join wallet.assets s on s.organization_id = w.organization_id and s.code = w.asset_code
where g.is_open and (g.organization_id, g.wallet_id, g.id)
    > (:after_organization_id::uuid, :after_wallet_id::uuid, :after_id::uuid)
order by g.organization_id, g.wallet_id, g.id
limit :limit;

-- name: due_wallets(after_expiration_at, after_id, limit)
select w.organization_id, w.id, w.customer_id, w.expiration_at, w.asset_code, s.scale, s.ledger,
    s.kind = 'unit' as is_unit
from wallet.wallets w
join wallet.assets s on s.organization_id = w.organization_id and s.code = w.asset_code
where w.status = 'active' and w.expiration_at <= statement_timestamp()
  and (w.expiration_at, w.id) > (:after_expiration_at::timestamptz, :after_id::uuid)
order by w.expiration_at, w.id
limit :limit;
