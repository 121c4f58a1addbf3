-- The numbers of customers, which those of their invoices begin with.

-- name: find_numbers
-- Locked where they have none yet, in one order, so that each gets one.
select c.organization_id, c.id, c.sequential_id
from invoicing.customers c
where (c.organization_id, c.id) in (select * from unnest(:organization_ids::uuid[], :ids::uuid[]))
order by c.organization_id, c.id
for no key update;

-- name: number_customers!
update invoicing.customers c set sequential_id = w.number
from unnest(:organization_ids::uuid[], :ids::uuid[], :numbers::bigint[]) as w (organization_id, id, number)
where c.organization_id = w.organization_id and c.id = w.id;
