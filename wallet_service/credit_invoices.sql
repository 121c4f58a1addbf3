-- Purchases of credits, and their invoices.

-- name: purchases
-- Those that have none yet; of native units those that say what they cost.
select t.organization_id, t.id, t.customer_id, t.name, t.amount_minor, t.credit_amount, t.cost_basis,
    t.cost_basis_currency, t.created_at, w.name as wallet_name, w.rate_amount, w.asset_code, a.scale
from wallet.wallet_transactions t
join wallet.wallets w on w.organization_id = t.organization_id and w.id = t.wallet_id
join wallet.assets a on a.organization_id = w.organization_id and a.code = w.asset_code
where t.created_at >= :since and t.transaction_status = 'purchased' and t.status in ('pending', 'settled')
  and t.amount_minor > 0
  and (a.kind = 'money' or t.cost_basis_currency is not null and t.cost_basis is not null)
  and not exists (
    select from invoicing.fees f
    where f.organization_id = t.organization_id and f.wallet_transaction_id = t.id and f.fee_type = 'credit'
      and f.deleted_at is null)
order by t.organization_id, t.id
limit :limit;

-- name: settled
-- Invoices whose purchase is settled, or has failed, since they were made.
select i.organization_id, i.id, t.status
from invoicing.invoices i
join invoicing.fees f on f.organization_id = i.organization_id and f.invoice_id = i.id and f.fee_type = 'credit'
join wallet.wallet_transactions t on t.organization_id = f.organization_id and t.id = f.wallet_transaction_id
where i.invoice_type = 'credit' and i.status = 'finalized' and i.payment_status = 'pending'
  and t.status in ('settled', 'failed')
order by i.updated_at limit :limit;
