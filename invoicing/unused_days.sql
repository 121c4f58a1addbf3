-- name: fee_in_advance^
-- The line that billed a plan's amount, in advance, for the period of a time.
select f.id, f.invoice_id
from invoicing.fees f
join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
where f.organization_id = :organization_id and f.subscription_id = :subscription_id
  and f.fee_type = 'subscription' and f.pay_in_advance and f.deleted_at is null
  and f.from_datetime <= :at and f.to_datetime > :at
  and i.status in ('generating', 'draft', 'failed', 'finalizing', 'finalized')
order by f.created_at desc, f.id
limit 1;
