-- Usage event by event, as rollups sum it: without events that were reversed as a whole, and without their reversals.

-- name: lines
-- In no order. Where codes are given, one index finds them.
select l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code, l.plan_version_id, l.timestamp, l.event_id,
    l.units, l.exact, l.debited_minor, l.precise_cents, l.member, l.removes
from invoicing.usage_lines l
where l.organization_id = :organization_id and l.subscription_id = :subscription_id
  and l.timestamp >= :start and l.timestamp < :end and not l.is_reversal
  and (:codes::text[] is null or l.code = any(:codes))
  and (:charge_ids::uuid[] is null or l.charge_id = any(:charge_ids))
  and not exists (
    select from invoicing.events r
    where r.organization_id = :organization_id and r.reverses_event_id = l.event_id
      and r.lines -> 0 ->> 'charge_id' is not null);

-- name: lines_in_order
-- In the order in which they count, which is that of an index, so that the first are found without looking at the rest.
select l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code, l.plan_version_id, l.timestamp, l.event_id,
    l.units, l.exact, l.debited_minor, l.precise_cents, l.member, l.removes
from invoicing.usage_lines l
where l.organization_id = :organization_id and l.subscription_id = :subscription_id and l.code = :code
  and l.timestamp >= :start and l.timestamp < :end and not l.is_reversal and l.charge_id = :charge_id
  and not exists (
    select from invoicing.events r
    where r.organization_id = :organization_id and r.reverses_event_id = l.event_id
      and r.lines -> 0 ->> 'charge_id' is not null)
order by l.timestamp, l.event_id;
