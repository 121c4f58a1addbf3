-- What was billed ahead of a period beyond what its own invoice takes off.

-- name: find_excess
-- By progressive invoice. What it was lowered by itself was billed by those before it.
select p.organization_id, p.subscription_id, p.invoice_id,
    i.fees_amount_cents - i.progressive_billing_credit_amount_cents - c.taken as excess_cents
from unnest(:organization_ids::uuid[], :invoice_ids::uuid[]) as w (organization_id, invoice_id)
join invoicing.billed_periods b on b.organization_id = w.organization_id and b.invoice_id = w.invoice_id
    and b.reason not in ('progressive_billing', 'in_advance_charge')
join invoicing.billed_periods p
    on p.organization_id = b.organization_id and p.subscription_id = b.subscription_id
   and p.reason = 'progressive_billing'
   and p.charges_from_at + (p.charges_to_at - p.charges_from_at) / 2 >= b.charges_from_at
   and p.charges_from_at + (p.charges_to_at - p.charges_from_at) / 2 < b.charges_to_at
join invoicing.invoices i
    on i.organization_id = p.organization_id and i.id = p.invoice_id and i.status in ('finalizing', 'finalized')
cross join lateral (
    select coalesce(sum(c.amount_cents), 0)::bigint as taken from invoicing.invoice_credits c
    where c.organization_id = p.organization_id and c.source_id = p.invoice_id and c.kind = 'progressive_billing'
      and c.invoice_id = w.invoice_id
) c
where i.fees_amount_cents - i.progressive_billing_credit_amount_cents > c.taken
order by p.organization_id, p.invoice_id;
