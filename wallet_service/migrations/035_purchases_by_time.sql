-- Purchases without an invoice are looked for every five seconds, by when they were made. Without an index that reads all
-- that was ever put into wallets. Holds off writers of wallet.wallet_transactions while it reads them once.

create index wallet_transactions_purchased on wallet.wallet_transactions (created_at)
    where transaction_status = 'purchased';
