-- Invoices of credits that were bought: each purchase has one. Indexes of tables that are read and written by few, built
-- while their writers wait.

create unique index fees_of_purchase on invoicing.fees (organization_id, wallet_transaction_id)
    where fee_type = 'credit' and deleted_at is null;
create index invoices_of_purchases on invoicing.invoices (updated_at)
    where invoice_type = 'credit' and status = 'finalized' and payment_status = 'pending';
