-- name: oldest_waiting^
-- Each from an index that holds only what waits.
select
    (select extract(epoch from statement_timestamp() - min(expires_at)) from wallet.authorizations
      where status = 'held' and expires_at <= statement_timestamp()) as hold,
    (select extract(epoch from statement_timestamp() - min(created_at)) from wallet.operations
      where state = 'open') as intent,
    (select extract(epoch from statement_timestamp() - created_at) from wallet.unrated_events
      order by organization_id, event_id limit 1) as unrated_event;

-- name: unbalanced_ledgers
-- Ledgers whose debits are not their credits, by the balances that are kept.
select ledger from wallet.book_accounts
group by ledger
having sum(debits_posted) <> sum(credits_posted) or sum(debits_pending) <> sum(credits_pending)
order by ledger;

-- name: ledgers
select ledger from wallet.assets order by ledger;
