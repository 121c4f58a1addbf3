-- name: deferred_grants(after_organization_id, after_id, limit)
-- The next grants of the round that were sold at a cost basis, and are open or not wholly earned.
select g.organization_id, g.id, g.customer_id, g.amount_minor, g.expired_minor, g.voided_minor, g.deferred_minor,
    g.earned_minor, g.broken_minor, g.cost_basis_currency, m.ledger as money_ledger,
    m.scale as money_scale, w.asset_code, s.scale, s.ledger,
    s.kind = 'unit' as is_unit
from wallet.grants g
join wallet.wallets w on w.organization_id = g.organization_id and w.id = g.wallet_id
join wallet.assets s on s.organization_id = w.organization_id and s.code = w.asset_code
join wallet.assets m on m.organization_id = g.organization_id and m.code = g.cost_basis_currency
where g.deferred_minor > 0 and (g.is_open or g.earned_minor + g.broken_minor < g.deferred_minor)
  and (g.organization_id, g.id) > (:after_organization_id::uuid, :after_id::uuid)
order by g.organization_id, g.id
limit :limit;
