-- Usage that waits for its price.

-- name: organizations_with_unrated
-- One step of the index an organization, however many events wait.
with recursive found as (
    (select organization_id from wallet.unrated_events order by organization_id limit 1)
    union all
    select (select u.organization_id from wallet.unrated_events u
            where u.organization_id > found.organization_id order by u.organization_id limit 1)
    from found where found.organization_id is not null
)
select organization_id from found where organization_id is not null;

-- name: unrated_events(organization_id, after_id, limit)
-- The oldest first: their ids begin with the time.
select e.organization_id, e.id, e.transaction_id, e.customer_id, e.external_customer_id, e.subscription_id,
    e.external_subscription_id, e.code, e.timestamp, e.properties, e.precise_total_amount_cents, e.rating_status,
    e.plan_version_id, e.lines, e.operation_id, e.created_at, e.asset_code, e.paid, e.reverses_event_id,
    e.unrated_reason
from (
    select organization_id, event_id, timestamp from wallet.unrated_events
    where organization_id = :organization_id::uuid and event_id > :after_id::uuid
    order by event_id limit :limit
) u
join invoicing.events e
    on e.organization_id = u.organization_id and e.id = u.event_id and e.timestamp = u.timestamp
order by e.id;
