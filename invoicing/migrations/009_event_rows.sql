-- How events go in: as one array of rows, which a driver encodes in half the time of an array a column.
-- A new type only: locks nothing.

create type invoicing.new_event as (
    organization_id            uuid,
    id                         uuid,
    transaction_id             text,
    customer_id                uuid,
    external_customer_id       text,
    subscription_id            uuid,
    external_subscription_id   text,
    code                       text,
    timestamp                  timestamptz,
    properties                 jsonb,
    precise_total_amount_cents numeric,
    rating_status              text,
    plan_version_id            uuid,
    lines                      jsonb,
    operation_id               uuid,
    created_at                 timestamptz,
    asset_code                 text,
    paid                       jsonb,
    reverses_event_id          uuid,
    unrated_reason             text
);
