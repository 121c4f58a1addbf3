-- What the database can take at most: the rows that usage comes to, and nothing else. Tables of a database of their own.

-- name: create_tables#
create table events (
    id uuid primary key, organization_id uuid not null, transaction_id text not null, customer_id uuid not null,
    code text not null, timestamp timestamptz not null, properties jsonb not null, lines jsonb not null);
create table transfers (
    id uuid primary key, debit_account_id uuid not null, credit_account_id uuid not null, amount bigint not null,
    code integer not null, timestamp timestamptz not null);
create table balances (account_id uuid primary key, debits_posted bigint not null) with (fillfactor = 50);
insert into balances
select (lpad(to_hex(n), 32, '0'))::uuid, 0 from generate_series(0, 9999) n;

-- name: insert_events!
insert into events
select * from unnest(
    :ids::uuid[], :organization_ids::uuid[], :transaction_ids::text[], :customer_ids::uuid[], :codes::text[],
    :timestamps::timestamptz[], :properties::jsonb[], :lines::jsonb[]);

-- name: insert_transfers!
insert into transfers
select * from unnest(
    :ids::uuid[], :debit_account_ids::uuid[], :credit_account_ids::uuid[], :amounts::bigint[], :codes::integer[],
    :timestamps::timestamptz[]);

-- name: add_to_balances!
update balances b set debits_posted = b.debits_posted + n.amount
from unnest(:account_ids::uuid[], :amounts::bigint[]) as n (account_id, amount)
where b.account_id = n.account_id;
