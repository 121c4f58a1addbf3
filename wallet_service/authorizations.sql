-- name: find_authorization^
select a.* from wallet.authorizations a where a.organization_id = :organization_id and a.id = :id;

-- name: list_authorizations
select a.* from wallet.authorizations a
where a.organization_id = :organization_id
  and (:external_customer_id::text is null or a.external_customer_id = :external_customer_id)
  and (:transaction_id::text is null or a.transaction_id = :transaction_id)
  and (:status::text is null or a.status = :status)
order by a.id desc limit :limit offset :offset;

-- name: count_authorizations$
select count(*) from (
    select from wallet.authorizations a
    where a.organization_id = :organization_id
      and (:external_customer_id::text is null or a.external_customer_id = :external_customer_id)
      and (:transaction_id::text is null or a.transaction_id = :transaction_id)
      and (:status::text is null or a.status = :status)
    limit :count_max
) counted;
