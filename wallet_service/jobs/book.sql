-- Authorizations whose transfers must be in the ledger: with nothing under way.

-- name: recent_authorizations(since_s, limit)
select a.organization_id, a.id, a.legs, a.paid
from (
    select distinct o.organization_id, o.authorization_id
    from wallet.operations o
    where o.created_at > statement_timestamp() - make_interval(secs => :since_s::float8)
      and o.authorization_id is not null and o.state = 'posted'
    limit :limit
) moved
join wallet.authorizations a on a.organization_id = moved.organization_id and a.id = moved.authorization_id
where not exists (
    select from wallet.operations o
    where o.organization_id = a.organization_id and o.customer_id = a.customer_id
      and o.authorization_id = a.id and o.state = 'open');

-- name: held_authorizations(after_expires_at, after_id, limit)
select a.organization_id, a.id, a.legs, a.paid, a.expires_at
from wallet.authorizations a
where a.status = 'held' and (a.expires_at, a.id) > (:after_expires_at::timestamptz, :after_id::uuid)
order by a.expires_at, a.id
limit :limit;
