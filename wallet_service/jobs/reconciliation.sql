-- Whom the reconciler looks at.

-- name: recent_customers(since_s, salt, limit)
-- Customers that something was done for lately, a random choice where there are too many, and the version that must be
-- shown of each. Reads the newest pages only.
select v.organization_id, v.customer_id, v.version
from (
    select o.organization_id, o.customer_id
    from wallet.operations o
    where o.created_at > statement_timestamp() - make_interval(secs => :since_s::float8)
      and o.customer_id is not null and o.state <> 'refused'
    group by o.organization_id, o.customer_id
    order by uuid_hash_extended(o.customer_id, :salt::bigint)
    limit :limit
) moved
join wallet.customer_versions v using (organization_id, customer_id);

-- name: customers_after(after_organization_id, after_customer_id, limit)
-- The next slice of all customers that money was ever moved for.
select organization_id, customer_id, version
from wallet.customer_versions
where (organization_id, customer_id) > (:after_organization_id::uuid, :after_customer_id::uuid)
order by organization_id, customer_id
limit :limit;

-- name: versions_now(organization_ids, customer_ids)
select v.organization_id, v.customer_id, v.version
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) wanted (organization_id, customer_id)
join wallet.customer_versions v using (organization_id, customer_id);
