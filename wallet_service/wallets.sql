-- name: find_wallet^
-- A wallet, and what its grants were ever funded with (the overdraft is no funding).
select w.*, funded.minor as funded_minor
from wallet.wallets w
cross join lateral (
    select coalesce(sum(g.amount_minor - g.expired_minor - g.voided_minor), 0) as minor
    from wallet.grants g
    where g.organization_id = w.organization_id and g.wallet_id = w.id and g.kind <> 'overdraft'
) funded
where w.organization_id = :organization_id and w.id = :id;

-- name: find_wallet_by_code^
-- The customer's active wallet of this code, or else the last that had it.
select w.*, funded.minor as funded_minor
from wallet.wallets w
cross join lateral (
    select coalesce(sum(g.amount_minor - g.expired_minor - g.voided_minor), 0) as minor
    from wallet.grants g
    where g.organization_id = w.organization_id and g.wallet_id = w.id and g.kind <> 'overdraft'
) funded
where w.organization_id = :organization_id and w.customer_id = :customer_id and w.code = :code
order by w.status, w.id desc
limit 1;

-- name: list_wallets
-- Newest first: ids are ordered by time.
select w.*, funded.minor as funded_minor
from (
    select * from wallet.wallets
    where organization_id = :organization_id
      and (:customer_id::uuid is null or customer_id = :customer_id::uuid)
    order by id desc limit :limit offset :offset
) w
cross join lateral (
    select coalesce(sum(g.amount_minor - g.expired_minor - g.voided_minor), 0) as minor
    from wallet.grants g
    where g.organization_id = w.organization_id and g.wallet_id = w.id and g.kind <> 'overdraft'
) funded
order by w.id desc;

-- name: count_wallets$
select count(*) from (
    select 1 from wallet.wallets
    where organization_id = :organization_id
      and (:customer_id::uuid is null or customer_id = :customer_id::uuid)
    limit :count_max
) counted;

-- name: known_metrics
select code from invoicing.billable_metrics
where organization_id = :organization_id and code = any(:codes::text[]) and deleted_at is null;
