-- How customers are locked, before anything of theirs is read: step (1) of a batch.

-- name: lock_free_customers
-- (1) Take the customers that are free, in the order of their ids, and count their versions up. Whose version is not
-- of this transaction is busy (or unknown).
with free as (
    select v.organization_id, v.customer_id
    from wallet.customer_versions v
    join unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
        using (organization_id, customer_id)
    order by v.organization_id, v.customer_id
    for no key update of v skip locked
)
update wallet.customer_versions v set version = v.version + 1
from free
where v.organization_id = free.organization_id and v.customer_id = free.customer_id;

-- name: wait_for_customers
-- (1) The same for the batch of those who were busy: waits, up to lock_timeout.
with mine as (
    select v.organization_id, v.customer_id
    from wallet.customer_versions v
    join unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
        using (organization_id, customer_id)
    order by v.organization_id, v.customer_id
    for no key update of v
)
update wallet.customer_versions v set version = v.version + 1
from mine
where v.organization_id = mine.organization_id and v.customer_id = mine.customer_id;

-- name: introduce_customers
-- A customer's first operation: the row that everything of it is locked by.
insert into wallet.customer_versions (organization_id, customer_id)
select * from unnest(:organization_ids::uuid[], :customer_ids::uuid[])
on conflict do nothing;
