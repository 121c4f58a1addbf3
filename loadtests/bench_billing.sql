-- Customers, subscriptions and a month of usage, made in bulk.

-- name: add_customers!
with made as (
    insert into invoicing.customers (
        organization_id, id, external_id, currency, finalize_zero_amount_invoice, skip_invoice_custom_sections,
        billing_configuration, tax_codes, metadata, created_at, updated_at)
    select :organization_id, gen_random_uuid(), 'customer-' || n, 'USD', 'inherit', false, '{}', '[]', '[]',
        :started_at, :started_at
    from generate_series(1, :count::int) n
    returning id, external_id
)
insert into invoicing.subscriptions (
    organization_id, id, external_id, customer_id, plan_id, status, billing_time, subscription_at, started_at,
    started_by_default, consolidate_invoice, created_at, updated_at, next_billing_at)
select :organization_id, gen_random_uuid(), external_id, id, :plan_id, 'active', 'calendar', :started_at, :started_at,
    false, true, :started_at, :started_at, :started_at
from made;

-- name: store_events!
-- The n-th event is of the n-th subscription, going round, and of the charges in turn.
with subscribers as materialized (
    select s.id, s.external_id, s.customer_id, row_number() over (order by s.id) - 1 as place,
        g.id as grant_id
    from invoicing.subscriptions s
    join wallet.grants g on g.organization_id = s.organization_id and g.customer_id = s.customer_id
    where s.organization_id = :organization_id
),
charges as materialized (
    select v.id as version_id, c.charge ->> 'id' as charge_id, c.charge ->> 'billable_metric_code' as code, c.place - 1 as place
    from invoicing.plan_versions v
    cross join lateral jsonb_array_elements(v.charges) with ordinality as c (charge, place)
    where v.organization_id = :organization_id and v.plan_id = :plan_id
)
insert into invoicing.events (
    organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id, external_subscription_id,
    code, timestamp, properties, rating_status, plan_version_id, lines, operation_id, created_at, asset_code, paid)
select :organization_id, gen_random_uuid(), 'event-' || n, s.customer_id, s.external_id, s.id, s.external_id, c.code,
    :start::timestamptz + interval '30 days' * n / :total::int, '{"value": 7}', 'rated', c.version_id,
    jsonb_build_array(jsonb_build_object(
        'charge_id', c.charge_id, 'filter_id', null, 'units', '7', 'exact', '0.0' || c.place + 1,
        'amount_minor', 10000000 * (c.place + 1))),
    gen_random_uuid(), :start, 'USD',
    jsonb_build_array(jsonb_build_array(gen_random_uuid(), s.grant_id, 10000000 * (c.place + 1), 0, c.code))
from generate_series(:first::int, :last::int) n
join subscribers s on s.place = n % :subscriptions::int
join charges c on c.place = (n / :subscriptions::int) % 10;
