-- What lowers invoices: found, and used, for many customers at once.

-- name: customers_with_coupons
select distinct a.organization_id, a.customer_id
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as w (organization_id, customer_id)
join invoicing.applied_coupons a
    on a.organization_id = w.organization_id and a.customer_id = w.customer_id and a.status = 'active'
order by a.organization_id, a.customer_id;

-- name: find_credit_notes
select n.organization_id, n.customer_id, n.id, n.number, n.currency, n.balance_amount_cents
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as w (organization_id, customer_id)
join invoicing.credit_notes n on n.organization_id = w.organization_id and n.customer_id = w.customer_id
where n.credit_status = 'available' and n.status = 'finalized' and n.balance_amount_cents > 0
order by n.created_at, n.id;

-- name: lock_credit_notes
-- Kept from other invoices until the commit; in one order, so that nobody deadlocks.
select n.organization_id, n.customer_id, n.id, n.number, n.currency, n.balance_amount_cents
from invoicing.credit_notes n
where (n.organization_id, n.customer_id) in (select * from unnest(:organization_ids::uuid[], :customer_ids::uuid[]))
  and n.credit_status = 'available' and n.status = 'finalized' and n.balance_amount_cents > 0
order by n.created_at, n.id
for no key update;

-- name: keep_credit_notes!
-- Kept from others before several change, in the order of lock_credit_notes, so that nobody deadlocks.
select n.id
from invoicing.credit_notes n
where n.organization_id = :organization_id and n.id = any(:ids::uuid[])
order by n.created_at, n.id
for no key update;

-- name: use_credit_notes!
-- The caller has locked the notes.
-- An amount below nothing gives back; what comes back to a note whose rest was voided can be used again.
update invoicing.credit_notes n set
    balance_amount_cents = n.balance_amount_cents - u.amount,
    credit_status = case
        when n.balance_amount_cents - u.amount = 0 then 'consumed' else 'available' end,
    updated_at = :now
from (
    select w.organization_id, w.id, sum(w.amount)::bigint as amount
    from unnest(:organization_ids::uuid[], :ids::uuid[], :amounts::bigint[]) as w (organization_id, id, amount)
    group by w.organization_id, w.id
) u
where n.organization_id = u.organization_id and n.id = u.id;
