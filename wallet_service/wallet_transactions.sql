-- name: find_transaction^
select t.*, w.asset_code, w.rate_amount
from wallet.wallet_transactions t
join wallet.wallets w on w.organization_id = t.organization_id and w.id = t.wallet_id
where t.organization_id = :organization_id and t.id = :id;

-- name: list_transactions
-- Newest first: ids are ordered by time.
select t.*, w.asset_code, w.rate_amount
from wallet.wallet_transactions t
join wallet.wallets w on w.organization_id = t.organization_id and w.id = t.wallet_id
where t.organization_id = :organization_id and t.wallet_id = :wallet_id
  and (:status::text is null or t.status = :status::text)
  and (:transaction_type::text is null or t.transaction_type = :transaction_type::text)
  and (:transaction_status::text is null or t.transaction_status = :transaction_status::text)
order by t.id desc limit :limit offset :offset;

-- name: count_transactions$
select count(*) from (
    select 1 from wallet.wallet_transactions t
    where t.organization_id = :organization_id and t.wallet_id = :wallet_id
      and (:status::text is null or t.status = :status::text)
      and (:transaction_type::text is null or t.transaction_type = :transaction_type::text)
      and (:transaction_status::text is null or t.transaction_status = :transaction_status::text)
    limit :count_max
) counted;
