-- The book: accounts, the transfers between them, and what is kept so that balances need not be
-- summed from the beginning. New tables only: locks nothing that exists.
--
-- Transfers and accounts are append-only; no role may change them, and a trigger refuses it to the
-- owner too. What moves are the balances of customers' accounts (locked while a batch is judged)
-- and the folded sums of the house's (locked by nobody but the fold).
--
-- Restore this schema from physical backups (or together with the cluster's transaction ids): the
-- fold compares `xact_id` with the running counter, which a logical restore begins anew.

create schema if not exists ledger;

create table ledger.accounts (
    id              uuid    not null primary key,
    ledger          bigint  not null check (ledger between 1 and 4294967295),
    code            integer not null check (code between 1 and 65535),
    flags           integer not null,
    user_data_128   uuid    not null,
    user_data_64    bigint  not null,
    user_data_32    bigint  not null,
    timestamp       bigint  not null
);
create index accounts_of_a_ledger on ledger.accounts (ledger, timestamp, id);

comment on column ledger.accounts.flags is
    '2: debits must not exceed credits; 4: credits must not exceed debits; neither: of the house';
comment on column ledger.accounts.user_data_64 is 'unsigned, kept as two''s complement';

-- Balances of accounts with a limit. Updated in place for every batch: half-empty pages and no index
-- on what changes keep the updates on their page.
create table ledger.balances (
    account_id      uuid    not null primary key,
    limits_debits   boolean not null,
    limits_credits  boolean not null,
    debits_pending  bigint  not null default 0 check (debits_pending >= 0),
    debits_posted   bigint  not null default 0 check (debits_posted >= 0),
    credits_pending bigint  not null default 0 check (credits_pending >= 0),
    credits_posted  bigint  not null default 0 check (credits_posted >= 0),
    timestamp       bigint  not null,
    constraint debits_must_not_exceed_credits
        check (not limits_debits or debits_pending + debits_posted <= credits_posted),
    constraint credits_must_not_exceed_debits
        check (not limits_credits or credits_pending + credits_posted <= debits_posted)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

comment on column ledger.balances.timestamp is 'of the newest transfer that touched the account';

-- Accounts of the house: the sums of all transfers below `marks.folded_below`.
create table ledger.house_balances (
    account_id      uuid    not null primary key,
    debits_pending  numeric not null default 0,
    debits_posted   numeric not null default 0,
    credits_pending numeric not null default 0,
    credits_posted  numeric not null default 0
);

create table ledger.transfers (
    id                uuid     not null primary key,
    debit_account_id  uuid     not null,
    credit_account_id uuid     not null,
    amount            bigint   not null check (amount >= 0),
    released          bigint   not null default 0 check (released >= 0),
    ledger            bigint   not null,
    code              integer  not null,
    phase             smallint not null check (phase between 0 and 4),
    flags             integer  not null,
    pending_id        uuid,
    user_data_128     uuid     not null,
    user_data_64      bigint   not null,
    user_data_32      bigint   not null,
    timeout_s         bigint   not null default 0,
    expires_at        bigint,
    timestamp         bigint   not null,
    xact_id           xid8     not null default pg_current_xact_id(),
    constraint two_accounts check (debit_account_id <> credit_account_id),
    constraint only_an_end_names_its_hold check ((pending_id is not null) = (phase in (2, 3, 4))),
    constraint a_post_stays_within_its_hold check (phase <> 2 or amount <= released)
);

comment on column ledger.transfers.phase is
    '0 single, 1 pending, 2 post, 3 void, 4 a pending transfer that timed out (shown to nobody)';
comment on column ledger.transfers.released is
    'what this row takes off the pending sums: the whole amount of the hold that it ends';
comment on column ledger.transfers.xact_id is
    'tells the fold which rows every later snapshot will see';

-- A hold ends once, whatever two transactions believe.
create unique index a_hold_ends_once on ledger.transfers (pending_id) where pending_id is not null;
create index transfers_by_debit_account on ledger.transfers (debit_account_id, timestamp);
create index transfers_by_credit_account on ledger.transfers (credit_account_id, timestamp);
create index transfers_not_folded on ledger.transfers (xact_id);
create index holds_by_timeout on ledger.transfers (expires_at) where expires_at is not null;

-- Ids that were refused because of the state of the book. They are never used again: whoever asks
-- twice with one id hears the same denial twice, also when money has come in between.
create table ledger.burnt_ids (
    id uuid not null primary key
);

create table ledger.marks (
    only_row       boolean not null primary key default true check (only_row),
    folded_below   xid8    not null,
    released_until bigint  not null
);
insert into ledger.marks (folded_below, released_until)
values (pg_snapshot_xmin(pg_current_snapshot()), 0);

-- Makes timestamps of batches that are booked at the same moment differ.
create sequence ledger.batches;

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.% is append-only: a correction is another transfer', tg_table_name
        using errcode = 'restrict_violation';
end
$$;

create trigger append_only before update or delete on ledger.transfers
    for each row execute function ledger.refuse_change();
create trigger never_emptied before truncate on ledger.transfers
    for each statement execute function ledger.refuse_change();
create trigger append_only before update or delete on ledger.accounts
    for each row execute function ledger.refuse_change();
create trigger never_emptied before truncate on ledger.accounts
    for each statement execute function ledger.refuse_change();
create trigger append_only before update or delete on ledger.burnt_ids
    for each row execute function ledger.refuse_change();
create trigger never_emptied before truncate on ledger.burnt_ids
    for each statement execute function ledger.refuse_change();

grant usage on schema ledger to wallet_committer, wallet_worker;
grant select, insert on ledger.accounts, ledger.transfers, ledger.burnt_ids
    to wallet_committer, wallet_worker;
grant select, insert, update on ledger.balances to wallet_committer, wallet_worker;
grant select, insert on ledger.house_balances to wallet_committer;
grant select, insert, update on ledger.house_balances to wallet_worker;
grant select on ledger.marks to wallet_committer;
grant select, update on ledger.marks to wallet_worker;
grant usage on sequence ledger.batches to wallet_committer, wallet_worker;
