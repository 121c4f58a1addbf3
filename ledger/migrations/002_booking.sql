-- How a judged batch is written, and what a caller reads who judges it under locks of its own. New types, a view and a
-- function: locks nothing that is in use.

-- Rows go in as one array of these: a driver encodes it in half the time of an array a column.
create type ledger.new_transfer as (
    id                uuid,
    debit_account_id  uuid,
    credit_account_id uuid,
    amount            bigint,
    released          bigint,
    ledger            bigint,
    code              integer,
    phase             smallint,
    flags             integer,
    pending_id        uuid,
    user_data_128     uuid,
    user_data_64      bigint,
    user_data_32      bigint,
    timeout_s         bigint,
    expires_at        bigint,
    timestamp         bigint,
    claims_hold       boolean
);
comment on type ledger.new_transfer is
    'A transfer to be kept. If it claims its hold, that was not read: it is kept only if the hold is as this row says.';

create type ledger.moved_balance as (
    account_id       uuid,
    debits_pending   bigint,
    debits_posted    bigint,
    credits_pending  bigint,
    credits_posted   bigint,
    timestamp        bigint,
    timestamp_before bigint
);
comment on type ledger.moved_balance is
    'The new sums of an account with a limit, and the newest transfer of the sums that they were computed from.';

create view ledger.limited_accounts as
select b.account_id, a.ledger, a.flags, b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted,
    b.timestamp
from ledger.balances b
join ledger.accounts a on a.id = b.account_id;
comment on view ledger.limited_accounts is 'Accounts with a limit as a batch is judged against them.';
grant select on ledger.limited_accounts to wallet_committer, wallet_worker;

-- Fewer rows than sent: a concurrent transaction was first with an id, a hold or a balance, and nothing may be kept.
create function ledger.book(
    transfers ledger.new_transfer[], balances ledger.moved_balance[], out booked bigint, out moved bigint
) language plpgsql as $$
begin
    insert into ledger.transfers (
        id, debit_account_id, credit_account_id, amount, released, ledger, code, phase, flags, pending_id,
        user_data_128, user_data_64, user_data_32, timeout_s, expires_at, timestamp)
    select n.id, n.debit_account_id, n.credit_account_id, n.amount, n.released, n.ledger, n.code, n.phase, n.flags,
        n.pending_id, n.user_data_128, n.user_data_64, n.user_data_32, n.timeout_s, n.expires_at, n.timestamp
    from unnest(transfers) n
    where not n.claims_hold or exists (
        select from ledger.transfers hold
        where hold.id = n.pending_id and hold.phase = 1 and hold.amount = n.released
          and hold.debit_account_id = n.debit_account_id and hold.credit_account_id = n.credit_account_id
          and hold.ledger = n.ledger and hold.code = n.code
          and (hold.expires_at is null or hold.expires_at > n.timestamp))
    on conflict do nothing;
    get diagnostics booked = row_count;
    moved := 0;
    if booked < cardinality(transfers) then
        return;  -- the sums were computed as if all were kept
    end if;
    update ledger.balances b
    set debits_pending = n.debits_pending, debits_posted = n.debits_posted, credits_pending = n.credits_pending,
        credits_posted = n.credits_posted, timestamp = n.timestamp
    from unnest(balances) n
    where b.account_id = n.account_id and b.timestamp = n.timestamp_before;
    get diagnostics moved = row_count;
end
$$;
revoke execute on function ledger.book from public;
grant execute on function ledger.book to wallet_committer, wallet_worker;
