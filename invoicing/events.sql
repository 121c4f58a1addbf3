-- name: insert_events!
-- Columns in the order of the struct's fields.
insert into invoicing.events (
    organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id,
    external_subscription_id, code, timestamp, properties, precise_total_amount_cents, rating_status,
    plan_version_id, lines, operation_id, created_at, asset_code, paid,
    reverses_event_id, unrated_reason)
select * from unnest(:events::invoicing.new_event[]);

-- name: rate_events_late!
-- Columns in the order of the struct's fields. Only what was unrated changes; of its properties, at most the one that an
-- expression computes.
update invoicing.events e set
    customer_id = n.customer_id, subscription_id = n.subscription_id,
    external_subscription_id = n.external_subscription_id, rating_status = n.rating_status,
    plan_version_id = n.plan_version_id, lines = n.lines, asset_code = n.asset_code, paid = n.paid,
    unrated_reason = null, operation_id = n.operation_id, properties = n.properties
from unnest(:events::invoicing.new_event[]) as n
where e.organization_id = n.organization_id and e.id = n.id and e.timestamp = n.timestamp
  and e.rating_status = 'unrated';

-- name: find_event^
select
    organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id,
    external_subscription_id, code, timestamp, properties, precise_total_amount_cents, rating_status,
    plan_version_id, lines, operation_id, created_at, asset_code, paid,
    reverses_event_id, unrated_reason
from invoicing.events
where organization_id = :organization_id and transaction_id = :transaction_id
  and (:external_subscription_id::text is null or external_subscription_id = :external_subscription_id)
order by id desc limit 1;

-- name: list_events
select
    organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id,
    external_subscription_id, code, timestamp, properties, precise_total_amount_cents, rating_status,
    plan_version_id, lines, operation_id, created_at, asset_code, paid,
    reverses_event_id, unrated_reason
from invoicing.events
where organization_id = :organization_id
  and (:code::text is null or code = :code)
  and (:external_subscription_id::text is null or external_subscription_id = :external_subscription_id)
  and (:external_customer_id::text is null or external_customer_id = :external_customer_id)
  and (:rating_status::text is null or rating_status = :rating_status)
  and (:timestamp_from::timestamptz is null or timestamp >= :timestamp_from)
  and (:timestamp_to::timestamptz is null or timestamp < :timestamp_to)
order by id desc limit :limit offset :offset;

-- name: count_events$
select count(*) from (
    select from invoicing.events
    where organization_id = :organization_id
      and (:code::text is null or code = :code)
      and (:external_subscription_id::text is null or external_subscription_id = :external_subscription_id)
      and (:external_customer_id::text is null or external_customer_id = :external_customer_id)
      and (:rating_status::text is null or rating_status = :rating_status)
      and (:timestamp_from::timestamptz is null or timestamp >= :timestamp_from)
      and (:timestamp_to::timestamptz is null or timestamp < :timestamp_to)
    limit :count_max
) counted;

-- name: ensure_events_of_month$
select invoicing.ensure_events_of_month(:any_day);
