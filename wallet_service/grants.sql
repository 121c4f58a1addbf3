-- name: find_grant^
select g.*, w.code as wallet_code, w.asset_code, w.external_customer_id
from wallet.grants g
join wallet.wallets w on w.organization_id = g.organization_id and w.id = g.wallet_id
where g.organization_id = :organization_id and g.id = :id;

-- name: list_grants
-- Newest first: ids are ordered by time.
select g.*, w.code as wallet_code, w.asset_code, w.external_customer_id
from wallet.grants g
join wallet.wallets w on w.organization_id = g.organization_id and w.id = g.wallet_id
where g.organization_id = :organization_id
  and (:wallet_id::uuid is null or g.wallet_id = :wallet_id::uuid)
  and (:customer_id::uuid is null or g.wallet_id in (
      select id from wallet.wallets
      where organization_id = :organization_id and customer_id = :customer_id::uuid))
order by g.id desc limit :limit offset :offset;

-- name: count_grants$
select count(*) from (
    select 1 from wallet.grants g
    where g.organization_id = :organization_id
      and (:wallet_id::uuid is null or g.wallet_id = :wallet_id::uuid)
      and (:customer_id::uuid is null or g.wallet_id in (
          select id from wallet.wallets
          where organization_id = :organization_id and customer_id = :customer_id::uuid))
    limit :count_max
) counted;
