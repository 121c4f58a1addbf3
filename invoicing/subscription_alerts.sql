-- fragment: shown
select a.organization_id, a.id, a.external_subscription_id, a.code, a.name, a.alert_type, a.billable_metric_id,
    a.thresholds, a.previous_value, a.last_processed_at, a.created_at, a.updated_at,
    a.sealed_xact_id::text::bigint as sealed_xact_id, a.counted_at, m.code as billable_metric_code
from invoicing.subscription_alerts a
left join invoicing.billable_metrics m on m.organization_id = a.organization_id and m.id = a.billable_metric_id
where a.deleted_at is null

-- name: insert_alert$
-- Nothing back: the subscription has one of this code.
insert into invoicing.subscription_alerts (
    organization_id, id, external_subscription_id, code, name, alert_type, billable_metric_id, thresholds,
    created_at, updated_at)
values (
    :organization_id, :id, :external_subscription_id, :code, :name, :alert_type, :billable_metric_id,
    :thresholds::jsonb, :created_at, :updated_at)
on conflict (organization_id, external_subscription_id, code) where deleted_at is null do nothing
returning id;

-- name: update_alert!
update invoicing.subscription_alerts set
    code = :code, name = :name, alert_type = :alert_type, billable_metric_id = :billable_metric_id,
    thresholds = :thresholds::jsonb, previous_value = :previous_value, last_processed_at = :last_processed_at,
    updated_at = :updated_at, sealed_xact_id = :sealed_xact_id::bigint::text::xid8, counted_at = :counted_at
where organization_id = :organization_id and id = :id;

-- name: put_off_alerts!
update invoicing.subscription_alerts set last_processed_at = :now, sealed_xact_id = null
where organization_id = :organization_id and id = any(:ids::uuid[]);

-- name: delete_alerts!
update invoicing.subscription_alerts set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and external_subscription_id = :external_subscription_id
  and (:code::text is null or code = :code::text) and deleted_at is null;

-- name: find_alert^
{shown}
  and a.organization_id = :organization_id and a.external_subscription_id = :external_subscription_id
  and a.code = :code;

-- name: lock_alert^
{shown}
  and a.organization_id = :organization_id and a.id = :id
for no key update of a;

-- name: list_alerts
{shown}
  and a.organization_id = :organization_id and a.external_subscription_id = :external_subscription_id
order by a.id desc limit :limit offset :offset;

-- name: count_alerts$
select count(*) from invoicing.subscription_alerts
where organization_id = :organization_id and external_subscription_id = :external_subscription_id
  and deleted_at is null;

-- name: due_alerts
-- Of active subscriptions, those that nobody has looked at for the longest time first. Without those whose subscription was
-- not used since by transactions that were not seen then.
{shown}
  and (a.last_processed_at is null or a.last_processed_at < :before)
  and exists (
    select from invoicing.subscriptions s
    where s.organization_id = a.organization_id and s.external_id = a.external_subscription_id and s.status = 'active'
      and (a.sealed_xact_id is null or a.last_processed_at <= :long_ago or exists (
        select from invoicing.events e
        where e.organization_id = s.organization_id and e.subscription_id = s.id and e.xact_id >= a.sealed_xact_id)))
order by a.last_processed_at nulls first, a.organization_id, a.external_subscription_id limit :limit;
