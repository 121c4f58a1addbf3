-- Wallets, grants, holds and the operations that move them. New tables only: locks nothing that is in use.

create table wallet.assets (
    organization_id uuid        not null,
    code            text        not null,
    name            text        not null,
    kind            text        not null check (kind in ('money', 'unit')),
    scale           smallint    not null check (scale between 0 and 18),
    ledger          integer     generated always as identity unique,
    created_at      timestamptz not null,
    primary key (organization_id, code)
);
comment on table wallet.assets is 'What a balance is counted in; each has a ledger of its own. Amounts are integers of 10^-scale.';

-- The one row that every movement of a customer's money locks first. Narrow, and updated in place.
create table wallet.customer_versions (
    organization_id uuid   not null,
    customer_id     uuid   not null,
    version         bigint not null default 0,
    primary key (organization_id, customer_id)
) with (fillfactor = 50);
comment on column wallet.customer_versions.version is 'Counts the batches that touched the customer; the newer version wins in the hot balances.';

create table wallet.operations (
    organization_id  uuid        not null,
    kind             text        not null,
    key              text        not null,
    id               uuid        not null,
    customer_id      uuid,
    authorization_id uuid,
    body_hash        bytea       not null,
    state            text        not null check (state in ('open', 'posted', 'refused')),
    attempt          integer     not null,
    intent           bytea,
    reply            bytea,
    created_at       timestamptz not null,
    primary key (organization_id, kind, key)
) partition by hash (organization_id, kind, key);
comment on table wallet.operations is 'Idempotency has the last word here: key, body hash, state, attempt, and the first reply verbatim. Kept 30 days.';
comment on column wallet.operations.intent is 'What an open operation will write once its transfers are posted (engines outside this database).';
comment on column wallet.operations.authorization_id is
    'What only one open operation may be about: an authorization, an event that is reversed, a customer''s wallets.';
create table wallet.operations_0 partition of wallet.operations for values with (modulus 4, remainder 0);
create table wallet.operations_1 partition of wallet.operations for values with (modulus 4, remainder 1);
create table wallet.operations_2 partition of wallet.operations for values with (modulus 4, remainder 2);
create table wallet.operations_3 partition of wallet.operations for values with (modulus 4, remainder 3);
create index operations_created on wallet.operations using brin (created_at) with (pages_per_range = 16);
create index operations_open on wallet.operations (organization_id, customer_id) where state = 'open';

create table wallet.wallets (
    organization_id          uuid        not null,
    id                       uuid        not null,
    customer_id              uuid        not null,
    external_customer_id     text        not null,
    code                     text        not null,
    name                     text,
    asset_code               text        not null,
    rate_amount              numeric     not null check (rate_amount > 0),
    priority                 smallint    not null check (priority between 1 and 50),
    status                   text        not null check (status in ('active', 'terminated')),
    fee_types                text[]      not null default '{}',
    billable_metric_codes    text[]      not null default '{}',
    on_shortfall             text        not null check (on_shortfall in ('overage', 'reject')),
    frozen                   boolean     not null default false,
    overdraft_limit_minor    bigint      not null default 0 check (overdraft_limit_minor >= 0),
    overdraft_grant_id       uuid,
    paid_top_up_min_minor    bigint,
    paid_top_up_max_minor    bigint,
    invoice_requires_successful_payment boolean not null default false,
    metadata                 jsonb       not null default '{}',
    expiration_at            timestamptz,
    terminated_at            timestamptz,
    created_at               timestamptz not null,
    updated_at               timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, asset_code) references wallet.assets
);
create unique index wallets_code on wallet.wallets (organization_id, customer_id, code) where status = 'active';
create index wallets_of_customer on wallet.wallets (organization_id, customer_id, id);
create index wallets_expiring on wallet.wallets (expiration_at) where status = 'active' and expiration_at is not null;

create table wallet.grants (
    organization_id uuid        not null,
    id              uuid        not null,
    customer_id     uuid        not null,
    wallet_id       uuid        not null,
    kind            text        not null check (kind in ('paid', 'promotional', 'overdraft')),
    name            text,
    priority        smallint    not null check (priority between 1 and 50),
    amount_minor    bigint      not null check (amount_minor >= 0),
    expired_minor   bigint      not null default 0,
    voided_minor    bigint      not null default 0,
    cost_basis      numeric,
    cost_basis_currency text,
    expires_at      timestamptz,
    is_open         boolean     not null default true,
    wallet_transaction_id uuid,
    metadata        jsonb       not null default '{}',
    created_at      timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, wallet_id) references wallet.wallets
) with (fillfactor = 80);
comment on table wallet.grants is 'One funding of a wallet. The id is also that of its ledger account; the balance stands there.';
create index grants_open on wallet.grants (organization_id, wallet_id) where is_open;
create index grants_of_wallet on wallet.grants (organization_id, wallet_id, id);
create index grants_expiring on wallet.grants (expires_at) where is_open and expires_at is not null;

create table wallet.wallet_transactions (
    organization_id    uuid        not null,
    id                 uuid        not null,
    wallet_id          uuid        not null,
    customer_id        uuid        not null,
    grant_id           uuid,
    name               text,
    status             text        not null check (status in ('pending', 'settled', 'failed')),
    transaction_type   text        not null check (transaction_type in ('inbound', 'outbound')),
    transaction_status text        not null check (transaction_status in ('purchased', 'granted', 'voided', 'invoiced')),
    source             text        not null default 'manual',
    amount_minor       bigint      not null check (amount_minor >= 0),
    credit_amount      numeric     not null,
    priority           smallint    not null,
    kind               text        not null check (kind in ('paid', 'promotional')),
    cost_basis         numeric,
    cost_basis_currency text,
    expires_at         timestamptz,
    voided_grants      jsonb,
    metadata           jsonb       not null default '[]',
    invoice_requires_successful_payment boolean not null default false,
    settled_at         timestamptz,
    failed_at          timestamptz,
    created_at         timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, wallet_id) references wallet.wallets
);
create index wallet_transactions_of_wallet on wallet.wallet_transactions (organization_id, wallet_id, id);

create table wallet.authorizations (
    organization_id       uuid        not null,
    id                    uuid        not null,
    customer_id           uuid        not null,
    external_customer_id  text        not null,
    transaction_id        text        not null,
    status                text        not null check (status in ('held', 'captured', 'voided', 'expired')),
    asset_code            text        not null,
    amount_minor          bigint      not null,
    captured_minor        bigint      not null default 0,
    overage_minor         bigint      not null default 0,
    refunded_minor        bigint      not null default 0,
    subscription_id       uuid,
    plan_version_id       uuid,
    items                 bytea       not null,
    legs                  bytea       not null,
    paid                  bytea       not null,
    step                  integer     not null default 0,
    expires_at            timestamptz not null,
    created_at            timestamptz not null,
    ended_at              timestamptz,
    primary key (organization_id, id)
) with (fillfactor = 70);
comment on table wallet.authorizations is 'The decision and its life: held, then captured, voided or expired.';
comment on column wallet.authorizations.legs is 'Pending transfers that are the hold now: msgpack [[grant, wallet, transfer, amount], …].';
comment on column wallet.authorizations.paid is 'What captures took and from where: msgpack [[transfer, grant, amount, refunded, item], …].';
create index authorizations_due on wallet.authorizations (expires_at) where status = 'held';
create index authorizations_of_customer on wallet.authorizations (organization_id, customer_id, id);

create table wallet.totals (
    organization_id uuid        not null,
    subscription_id uuid        not null,
    charge_id       uuid        not null,
    filter_id       uuid        not null,
    period_start    timestamptz not null,
    total           bytea       not null,
    primary key (organization_id, subscription_id, charge_id, filter_id, period_start)
) with (fillfactor = 50);
comment on table wallet.totals is 'Running totals of charges whose price depends on them; the nil filter id is the default bucket.';

create table wallet.unrated_events (
    organization_id uuid        not null,
    event_id        uuid        not null,
    timestamp       timestamptz not null,
    reason          text        not null,
    detail          text,
    created_at      timestamptz not null,
    primary key (organization_id, event_id)
);
comment on table wallet.unrated_events is 'Usage that could not be rated yet: re-driven when the cause is gone, never lost.';

do $$
declare
    name text;
begin
    foreach name in array array[
        'assets', 'customer_versions', 'operations', 'wallets', 'grants', 'wallet_transactions',
        'authorizations', 'totals', 'unrated_events'
    ] loop
        execute format('alter table wallet.%I enable row level security', name);
        execute format('create policy tenant on wallet.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on wallet.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert on wallet.assets to wallet_api;
grant select on wallet.operations, wallet.grants, wallet.wallet_transactions, wallet.authorizations,
    wallet.totals, wallet.unrated_events, wallet.wallets, wallet.customer_versions to wallet_api;
grant insert on wallet.customer_versions to wallet_api;
grant select, insert, update on wallet.customer_versions, wallet.operations, wallet.wallets, wallet.grants,
    wallet.wallet_transactions, wallet.authorizations, wallet.totals to wallet_committer;
grant select on wallet.assets to wallet_committer, wallet_worker;
grant select, insert, delete on wallet.unrated_events to wallet_committer;
grant select on all tables in schema wallet to wallet_worker;
grant delete on wallet.operations to wallet_worker;
