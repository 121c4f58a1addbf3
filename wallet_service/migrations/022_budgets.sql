-- Budgets: how much may be spent of what, by whom, in which time; where each stands, and its alerts. New tables only,
-- and two columns of authorizations without a default, whose lock is held for a moment and rewrites nothing.

create table wallet.budgets (
    organization_id          uuid        not null,
    id                       uuid        not null,
    code                     text        not null,
    name                     text        not null,
    asset_code               text        not null,
    limit_minor              bigint      not null check (limit_minor >= 0),
    mode                     text        not null check (mode in ('hard', 'soft')),
    customer_id              uuid,
    external_customer_id     text,
    external_subscription_id text,
    billable_metric_code     text,
    api_key_id               uuid,
    filters                  jsonb       not null default '{}',
    per                      text,
    time_window              jsonb,
    kept_s                   bigint,
    alert_thresholds         jsonb       not null default '[]',
    created_at               timestamptz not null,
    updated_at               timestamptz not null,
    deleted_at               timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, asset_code) references wallet.assets,
    check ((customer_id is null) = (external_customer_id is null))
);
comment on table wallet.budgets is
    'Scope, asset and window never change: a bucket is always locked in the same way. Name, limit, mode and thresholds may.';
comment on column wallet.budgets.kept_s is 'For how long after its start anything of a window may count, at most; null: for ever.';
create unique index budgets_code on wallet.budgets (organization_id, code) where deleted_at is null;

-- The row that a budget of more than one customer is locked by, after the customers: one a bucket.
create table wallet.budget_buckets (
    organization_id uuid        not null,
    budget_id       uuid        not null,
    bucket          text        not null,
    held_minor      numeric     not null default 0,
    raised          smallint[]  not null default '{}',
    raised_in       timestamptz,
    primary key (organization_id, budget_id, bucket),
    foreign key (organization_id, budget_id) references wallet.budgets
) with (fillfactor = 50);
comment on column wallet.budget_buckets.held_minor is 'What live holds may yet spend, in whatever window.';
comment on column wallet.budget_buckets.raised is 'Percentages whose alerts were raised and are not armed again.';

create table wallet.budget_windows (
    organization_id uuid        not null,
    budget_id       uuid        not null,
    bucket          text        not null,
    starts_at       timestamptz not null,
    spent_minor     numeric     not null,
    primary key (organization_id, budget_id, bucket, starts_at)
) with (fillfactor = 50);
comment on table wallet.budget_windows is
    'What was spent, by calendar window or by slot of a rolling one. Rows that count no more are deleted by the worker.';

create index budget_windows_in_order on wallet.budget_windows (organization_id, budget_id, starts_at);

create table wallet.event_budgets (
    organization_id uuid        not null,
    event_id        uuid        not null,
    operation_id    uuid        not null,
    budget_id       uuid        not null,
    bucket          text        not null,
    is_wide         boolean     not null,
    starts_at       timestamptz not null,
    amount_minor    bigint      not null,
    primary key (organization_id, event_id, operation_id, budget_id)
);
comment on table wallet.event_budgets is
    'What an event spent in a budget; a reversal gives it back (negative). Authorizations say so themselves.';

create table wallet.alerts (
    organization_id uuid        not null,
    id              uuid        not null,
    budget_id       uuid        not null,
    bucket          text        not null,
    percentage      smallint    not null,
    limit_minor     bigint      not null,
    spent_minor     numeric     not null,
    window_start    timestamptz,
    created_at      timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, budget_id) references wallet.budgets
);
create index alerts_of_budget on wallet.alerts (organization_id, budget_id, created_at, id);

alter table wallet.authorizations add column api_key_id uuid, add column budgets bytea;
comment on column wallet.authorizations.api_key_id is 'The key that asked for it; what is captured counts in that key''s budgets.';
comment on column wallet.authorizations.budgets is
    'What is held (no time) and was spent in budgets: msgpack [[budget, bucket, is wide, metric, starts_at, amount], …].';

do $$
declare
    name text;
begin
    foreach name in array array['budgets', 'budget_buckets', 'budget_windows', 'event_budgets', 'alerts'] loop
        execute format('alter table wallet.%I enable row level security', name);
        execute format('create policy tenant on wallet.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on wallet.%I to wallet_committer, wallet_worker using (true)', name);
        execute format('grant select on wallet.%I to wallet_api, wallet_committer, wallet_worker', name);
    end loop;
end $$;

grant insert, update on wallet.budgets to wallet_api;
grant insert, update on wallet.budget_buckets, wallet.budget_windows to wallet_committer;
grant insert on wallet.event_budgets, wallet.alerts to wallet_committer;
grant delete on wallet.budget_windows to wallet_worker;

-- Room for one run of the checks, as for legs and payments.
create unlogged table wallet.checked_budget_parts (
    organization_id uuid not null, authorization_id uuid not null, budget_id uuid not null, bucket text not null,
    starts_at timestamptz, amount_minor bigint not null
);
comment on table wallet.checked_budget_parts is 'What authorizations have in budgets, unpacked, for one run of the checks.';
grant select, insert, update on wallet.checked_budget_parts to wallet_worker;
