-- Many customers like one that was made through the API: its rows are copied, with new ids and names. What is in the
-- book is dated two months back, like money of operations whose keys are forgotten by now.

-- name: find_template(organization_id, external_id)^
select c.id as customer_id, w.id as wallet_id, s.id as subscription_id, a.ledger
from invoicing.customers c
join wallet.wallets w on w.organization_id = c.organization_id and w.customer_id = c.id
join wallet.assets a on a.organization_id = w.organization_id and a.code = w.asset_code
left join invoicing.subscriptions s on s.organization_id = c.organization_id and s.customer_id = c.id
where c.organization_id = :organization_id and c.external_id = :external_id;

-- name: make_seeds#
create temporary table if not exists seeds (
    n integer primary key, name text not null, customer_id uuid not null, wallet_id uuid not null,
    subscription_id uuid not null);
create temporary table if not exists seeded_grants (
    n integer not null, template_id uuid not null, grant_id uuid not null, transaction_id uuid not null,
    transfer_id uuid not null);
create or replace function pg_temp.id_at(ms bigint) returns uuid language sql volatile as $$
    select (substr(lpad(to_hex(ms), 12, '0'), 1, 12) || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;
truncate seeds, seeded_grants;

-- name: fill_seeds!
insert into seeds
select n, 'c' || lpad(n::text, 7, '0'), pg_temp.id_at(ms), pg_temp.id_at(ms + 1), pg_temp.id_at(ms + 2)
from generate_series(:first::integer, :last::integer) n,
    lateral (select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms) t;

-- name: fill_seeded_grants!
insert into seeded_grants
select s.n, g.id, pg_temp.id_at(ms), pg_temp.id_at(ms + 1), pg_temp.id_at(ms - 60 * 86400000::bigint)
from seeds s
join wallet.grants g on g.organization_id = :organization_id and g.customer_id = :customer_id,
    lateral (select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms) t;

-- name: copy_customers!
insert into invoicing.customers
select r.* from seeds s
join invoicing.customers t on t.organization_id = :organization_id and t.id = :customer_id,
    lateral jsonb_populate_record(t, jsonb_build_object('id', s.customer_id, 'external_id', s.name, 'name', s.name)) r;

-- name: copy_subscriptions!
-- Whoever begins is looked at once by the billing run. Ten thousand who begin in one moment are nobody's; it would go on
-- beside what is measured.
insert into invoicing.subscriptions
select r.* from seeds s
join invoicing.subscriptions t on t.organization_id = :organization_id and t.customer_id = :customer_id,
    lateral jsonb_populate_record(t, jsonb_build_object(
        'id', s.subscription_id, 'customer_id', s.customer_id, 'external_id', s.name,
        'next_billing_at', greatest(t.next_billing_at, date_trunc('month', now(), 'UTC') + interval '1 month'))) r;

-- name: copy_versions!
insert into wallet.customer_versions (organization_id, customer_id, version)
select :organization_id, customer_id, 1 from seeds;

-- name: copy_wallets!
insert into wallet.wallets
select r.* from seeds s
join wallet.wallets t on t.organization_id = :organization_id and t.customer_id = :customer_id,
    lateral jsonb_populate_record(t, jsonb_build_object(
        'id', s.wallet_id, 'customer_id', s.customer_id, 'external_customer_id', s.name)) r;

-- name: copy_transactions!
insert into wallet.wallet_transactions
select r.* from seeds s
join seeded_grants g on g.n = s.n
join wallet.wallet_transactions t on t.organization_id = :organization_id and t.grant_id = g.template_id,
    lateral jsonb_populate_record(t, jsonb_build_object(
        'id', g.transaction_id, 'customer_id', s.customer_id, 'wallet_id', s.wallet_id, 'grant_id', g.grant_id)) r;

-- name: copy_grants!
insert into wallet.grants
select r.* from seeds s
join seeded_grants g on g.n = s.n
join wallet.grants t on t.organization_id = :organization_id and t.id = g.template_id,
    lateral jsonb_populate_record(t, jsonb_build_object(
        'id', g.grant_id, 'customer_id', s.customer_id, 'wallet_id', s.wallet_id,
        'wallet_transaction_id', g.transaction_id)) r;

-- name: copy_accounts!
insert into ledger.accounts
select r.* from seeded_grants g
join ledger.accounts t on t.id = g.template_id,
    lateral jsonb_populate_record(t, jsonb_build_object(
        'id', g.grant_id, 'timestamp', t.timestamp - 60 * 86400000000000::bigint + g.n)) r;

-- name: copy_balances!
-- The template's own holds are not copied.
insert into ledger.balances (account_id, limits_debits, limits_credits, credits_posted, timestamp)
select g.grant_id, t.limits_debits, t.limits_credits, t.credits_posted,
    t.timestamp - 60 * 86400000000000::bigint + g.n
from seeded_grants g
join ledger.balances t on t.account_id = g.template_id;

-- name: copy_transfers!
insert into ledger.transfers
select r.* from seeded_grants g
join ledger.transfers t on t.credit_account_id = g.template_id,
    lateral jsonb_populate_record(t, jsonb_build_object(
        'id', g.transfer_id, 'credit_account_id', g.grant_id, 'user_data_128', gen_random_uuid(),
        'timestamp', t.timestamp - 60 * 86400000000000::bigint + g.n, 'xact_id', pg_current_xact_id()::text)) r;

-- name: read_seeded_grants
select template_id, grant_id, transfer_id from seeded_grants order by n;

-- name: write_operations!
-- A book that dates its transfers itself has them from today, and so their keys must be known.
insert into wallet.operations (organization_id, kind, key, id, body_hash, state, attempt, reply, created_at)
select :organization_id, :kind, grant_id::text, transaction_id, '\x00', 'posted', 1, '\x7b7d', now() from seeded_grants;
