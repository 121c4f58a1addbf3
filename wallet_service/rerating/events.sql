-- Past usage, as another plan would see it.

-- name: used
-- In no order. Without events that were taken back as a whole and what takes them back, and without amounts that were
-- charged or given back apart from any price. What could not be rated is usage, too.
select e.id, e.code, e.timestamp, e.properties, e.precise_total_amount_cents, e.rating_status, e.plan_version_id,
    e.asset_code, e.lines
from invoicing.events e
where e.organization_id = :organization_id and e.subscription_id = :subscription_id
  and e.timestamp >= :start and e.timestamp < :end and e.reverses_event_id is null
  and (:codes::text[] is null or e.code = any(:codes))
  and (e.rating_status = 'unrated' or e.lines -> 0 ->> 'charge_id' is not null)
  and not exists (
    select from invoicing.events r
    where r.organization_id = :organization_id and r.reverses_event_id = e.id
      and r.lines -> 0 ->> 'charge_id' is not null);
