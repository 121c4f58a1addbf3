-- The billing run: how far it is, and what it could not bill. New tables, and columns of invoicing.customers (without a
-- default) and invoicing.billed_periods (with a constant one), which takes an exclusive lock on each for a moment and
-- rewrites nothing.

alter table invoicing.customers add column sequential_id bigint;
comment on column invoicing.customers.sequential_id is
    'The number of the customer in the numbers of its invoices: given with the first of them.';

alter table invoicing.billed_periods add column moment jsonb not null default '{}';
comment on column invoicing.billed_periods.moment is
    'What was to be billed then, with the days that count: a draft that is computed anew bills the same.';

create index invoices_voiding on invoicing.invoices (updated_at)
    where status = 'finalized' and (settlement ->> 'voiding') = 'true';

create table invoicing.billing_runs (
    id              uuid        not null primary key,
    until           timestamptz not null,
    organization_id uuid,
    started_at      timestamptz not null,
    updated_at      timestamptz not null,
    finished_at     timestamptz,
    subscriptions   bigint      not null,
    invoices        bigint      not null,
    fees            bigint      not null,
    problems        bigint      not null,
    term            bigint
);
comment on table invoicing.billing_runs is 'How far billing runs are: a row for each that found something to bill.';
create index billing_runs_latest on invoicing.billing_runs (started_at);

create table invoicing.billing_problems (
    organization_id uuid        not null,
    subscription_id uuid        not null,
    billing_at      timestamptz not null,
    reason          text        not null,
    problem         text        not null,
    tries           int         not null,
    next_try_at     timestamptz not null,
    created_at      timestamptz not null,
    primary key (organization_id, subscription_id, billing_at, reason)
);
comment on table invoicing.billing_problems is
    'Moments that could not be billed, and why: they are tried again later, and hold up no other subscription.';

do $$
declare
    name text;
begin
    foreach name in array array['billing_problems'] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert, update on invoicing.billing_runs to wallet_worker;
grant select, insert, update, delete on invoicing.billing_problems to wallet_worker;
grant select on invoicing.billing_problems to wallet_api;
