-- What the worker needs: the term of its leader, and room for `wallet check`. New tables and views only: locks nothing
-- that is in use.

create table wallet.leader_terms (
    only_row   boolean     not null primary key default true check (only_row),
    term       bigint      not null default 0,
    elected_at timestamptz,
    seen_at    timestamptz
);
comment on table wallet.leader_terms is
    'Counts elections. A leader that lost its lock without noticing finds another term here, and writes nothing.';
insert into wallet.leader_terms default values;
grant select, update on wallet.leader_terms to wallet_worker;

-- The open grants in the order in which the worker goes round them.
create index grants_open_in_order on wallet.grants (organization_id, wallet_id, id) where is_open;

-- Room for one run of the checks. A run fills these tables inside a transaction that it rolls back, so nobody else
-- ever sees a row of them, and nothing is left.
create unlogged table wallet.checked_accounts (
    id uuid not null, ledger bigint not null, code integer not null, flags integer not null,
    debits_pending numeric not null, debits_posted numeric not null,
    credits_pending numeric not null, credits_posted numeric not null
);
comment on table wallet.checked_accounts is 'A copy of a book that is kept outside of this database, for one run of the checks.';
create unlogged table wallet.checked_transfers (
    id uuid not null, debit_account_id uuid not null, credit_account_id uuid not null, amount numeric not null,
    released numeric not null, ledger bigint not null, code integer not null, phase smallint not null,
    is_linked boolean not null, pending_id uuid, user_data_128 uuid not null, expires_at bigint not null,
    timestamp bigint not null
);
comment on table wallet.checked_transfers is 'A copy of a book that is kept outside of this database, for one run of the checks.';
create unlogged table wallet.checked_operations (
    reference uuid not null, organization_id uuid not null, kind text not null, key text not null,
    authorization_id uuid, state text not null, created_at timestamptz not null
);
comment on column wallet.checked_operations.reference is 'Hash of organization, kind and key: what the operation''s transfers carry.';
create unlogged table wallet.checked_legs (
    organization_id uuid not null, authorization_id uuid not null, grant_id uuid not null, transfer_id uuid not null,
    amount_minor bigint not null
);
create unlogged table wallet.checked_payments (
    organization_id uuid not null, authorization_id uuid not null, grant_id uuid not null, transfer_id uuid not null,
    amount_minor bigint not null, refunded_minor bigint not null
);
comment on table wallet.checked_legs is 'Legs of authorizations, unpacked, for one run of the checks.';
comment on table wallet.checked_payments is 'What captures took, unpacked, for one run of the checks.';
grant select, insert, update on wallet.checked_accounts, wallet.checked_transfers, wallet.checked_operations,
    wallet.checked_legs, wallet.checked_payments to wallet_worker;

-- The book, wherever it is kept: in this database, or copied here for a run of the checks.
create view wallet.book_transfers with (security_invoker = true) as
select t.id, t.debit_account_id, t.credit_account_id, t.amount::numeric as amount, t.released::numeric as released,
       t.ledger, t.code, t.phase, t.flags & 1 = 1 as is_linked, t.pending_id, t.user_data_128, t.timestamp
from ledger.transfers t
union all
select t.id, t.debit_account_id, t.credit_account_id, t.amount, t.released, t.ledger, t.code, t.phase, t.is_linked,
       t.pending_id, t.user_data_128, t.timestamp
from wallet.checked_transfers t;
comment on column wallet.book_transfers.phase is '0 single, 1 pending, 2 post, 3 void, 4 a pending transfer that timed out';

-- Every transfer from both of its sides, with what it adds to each of the four sums.
create view wallet.book_entries with (security_invoker = true) as
select t.debit_account_id as account_id, t.id, t.code, t.timestamp,
       case t.phase when 1 then t.amount else -t.released end as debits_pending,
       case when t.phase in (0, 2) then t.amount else 0 end as debits_posted,
       0::numeric as credits_pending, 0::numeric as credits_posted
from wallet.book_transfers t
union all
select t.credit_account_id, t.id, t.code, t.timestamp, 0, 0,
       case t.phase when 1 then t.amount else -t.released end,
       case when t.phase in (0, 2) then t.amount else 0 end
from wallet.book_transfers t;

-- Balances as they are kept. Those of the house are the folded sums and whatever is newer.
create view wallet.book_accounts with (security_invoker = true) as
select a.id, a.ledger, a.code, a.flags, b.debits_pending::numeric as debits_pending,
       b.debits_posted::numeric as debits_posted, b.credits_pending::numeric as credits_pending,
       b.credits_posted::numeric as credits_posted
from ledger.accounts a
join ledger.balances b on b.account_id = a.id
union all
select a.id, a.ledger, a.code, a.flags, h.debits_pending + coalesce(n.debits_pending, 0),
       h.debits_posted + coalesce(n.debits_posted, 0), h.credits_pending + coalesce(n.credits_pending, 0),
       h.credits_posted + coalesce(n.credits_posted, 0)
from ledger.accounts a
join ledger.house_balances h on h.account_id = a.id
left join (
    select s.account_id, sum(s.debits_pending) as debits_pending, sum(s.debits_posted) as debits_posted,
           sum(s.credits_pending) as credits_pending, sum(s.credits_posted) as credits_posted
    from (
        select t.debit_account_id as account_id,
               case t.phase when 1 then t.amount else -t.released end as debits_pending,
               case when t.phase in (0, 2) then t.amount else 0 end as debits_posted,
               0 as credits_pending, 0 as credits_posted
        from ledger.transfers t where t.xact_id >= (select folded_below from ledger.marks)
        union all
        select t.credit_account_id, 0, 0,
               case t.phase when 1 then t.amount else -t.released end,
               case when t.phase in (0, 2) then t.amount else 0 end
        from ledger.transfers t where t.xact_id >= (select folded_below from ledger.marks)
    ) s
    group by s.account_id
) n on n.account_id = a.id
union all
select id, ledger, code, flags, debits_pending, debits_posted, credits_pending, credits_posted
from wallet.checked_accounts;
grant select on wallet.book_transfers, wallet.book_entries, wallet.book_accounts to wallet_worker;

-- What is history, and the columns of it that are filled in once, late.
create view wallet.append_only_tables as
select c.oid::regclass as relation, c.relispartition as is_partition,
       case when n.nspname = 'invoicing' then array[
           'customer_id', 'subscription_id', 'external_customer_id', 'external_subscription_id', 'rating_status',
           'plan_version_id', 'lines', 'asset_code', 'paid', 'unrated_reason', 'operation_id'
       ] else '{}' end::name[] as late_columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where (n.nspname, c.relname) in (
        ('ledger', 'transfers'), ('ledger', 'accounts'), ('ledger', 'burnt_ids'), ('invoicing', 'events'))
   or c.oid in (select inhrelid from pg_inherits where inhparent = 'invoicing.events'::regclass);
grant select on wallet.append_only_tables to wallet_worker;
