-- Holds whose time is over.

-- name: due_holds(after_expires_at, after_id, limit)
-- Those that nothing is under way on: an operation the ledger has not answered decides first what they are.
select a.organization_id, a.id, a.customer_id, a.expires_at, a.asset_code, s.scale, s.ledger, s.kind = 'unit' as is_unit
from wallet.authorizations a
join wallet.assets s on s.organization_id = a.organization_id and s.code = a.asset_code
where a.status = 'held' and a.expires_at <= statement_timestamp()
  and (a.expires_at, a.id) > (:after_expires_at::timestamptz, :after_id::uuid)
  and not exists (
    select from wallet.operations o
    where o.organization_id = a.organization_id and o.customer_id = a.customer_id
      and o.authorization_id = a.id and o.state = 'open')
order by a.expires_at, a.id
limit :limit;
