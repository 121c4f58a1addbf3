-- Whom the reconciler looks at.

-- name: recent_customers(since_s, limit)
-- Customers that something was done for lately. Reads the newest pages only.
select distinct o.organization_id, o.customer_id
from wallet.operations o
where o.created_at > clock_timestamp() - make_interval(secs => :since_s::float8)
  and o.customer_id is not null and o.state <> 'refused'
limit :limit;

-- name: customers_after(after_organization_id, after_customer_id, limit)
-- The next slice of all customers that money was ever moved for.
select organization_id, customer_id
from wallet.customer_versions
where (organization_id, customer_id) > (:after_organization_id::uuid, :after_customer_id::uuid)
order by organization_id, customer_id
limit :limit;
