-- How a batch's rows go in: as one array a table, which a driver encodes in half the time of an array a column.
-- New types only: locks nothing.

create type wallet.new_operation as (
    organization_id  uuid,
    kind             text,
    key              text,
    id               uuid,
    customer_id      uuid,
    authorization_id uuid,
    body_hash        bytea,
    state            text,
    attempt          integer,
    intent           bytea,
    reply            bytea,
    created_at       timestamptz
);

create type wallet.authorization_now as (
    organization_id      uuid,
    id                   uuid,
    customer_id          uuid,
    external_customer_id text,
    transaction_id       text,
    status               text,
    asset_code           text,
    amount_minor         bigint,
    captured_minor       bigint,
    overage_minor        bigint,
    refunded_minor       bigint,
    subscription_id      uuid,
    plan_version_id      uuid,
    items                bytea,
    legs                 bytea,
    paid                 bytea,
    step                 integer,
    expires_at           timestamptz,
    created_at           timestamptz,
    ended_at             timestamptz,
    api_key_id           uuid,
    budgets              bytea
);
comment on type wallet.authorization_now is 'An authorization as it stands after a batch.';
