-- name: insert_subscription$
-- No id back means that a subscription of this status has the external id already.
insert into invoicing.subscriptions (
    organization_id, id, external_id, customer_id, plan_id, name, status, billing_time, subscription_at, started_at,
    starts_at, first_started_at, ending_at, terminated_at, canceled_at, cancellation_reason, activated_at, trial_ended_at,
    previous_subscription_id, is_upgraded, started_by_default, on_termination_credit_note, on_termination_invoice,
    purchase_order_number, consolidate_invoice, billing_entity_code, activation_rules, usage_thresholds, created_at,
    updated_at)
values (
    :organization_id, :id, :external_id, :customer_id, :plan_id, :name, :status, :billing_time, :subscription_at,
    :started_at, :starts_at, :first_started_at, :ending_at, :terminated_at, :canceled_at, :cancellation_reason,
    :activated_at, :trial_ended_at, :previous_subscription_id, :is_upgraded, :started_by_default,
    :on_termination_credit_note, :on_termination_invoice, :purchase_order_number, :consolidate_invoice,
    :billing_entity_code, :activation_rules::jsonb, :usage_thresholds::jsonb, :created_at, :updated_at)
on conflict do nothing
returning id;

-- name: update_subscription!
update invoicing.subscriptions set
    plan_id = :plan_id, name = :name, status = :status, billing_time = :billing_time,
    subscription_at = :subscription_at, started_at = :started_at, starts_at = :starts_at,
    first_started_at = :first_started_at, ending_at = :ending_at,
    alerted_days_before = case when ending_at is not distinct from :ending_at then alerted_days_before end,
    terminated_at = :terminated_at, canceled_at = :canceled_at, cancellation_reason = :cancellation_reason,
    activated_at = :activated_at, trial_ended_at = :trial_ended_at, is_upgraded = :is_upgraded,
    on_termination_credit_note = :on_termination_credit_note, on_termination_invoice = :on_termination_invoice,
    purchase_order_number = :purchase_order_number, consolidate_invoice = :consolidate_invoice,
    billing_entity_code = :billing_entity_code, activation_rules = :activation_rules::jsonb,
    usage_thresholds = :usage_thresholds::jsonb, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- name: find_subscription^
-- The newest first, where an external id was used again after a termination; what runs before what waits.
select * from invoicing.shown_subscriptions
where organization_id = :organization_id and external_id = :external_id and status = any(:statuses::text[])
order by status = 'active' desc, terminated_at desc nulls first, started_at desc nulls first, created_at desc
limit 1;

-- name: find_of_ids
select s.* from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join invoicing.shown_subscriptions s on s.organization_id = wanted.organization_id and s.id = wanted.id;

-- name: lock_subscription^
select id from invoicing.subscriptions
where organization_id = :organization_id and external_id = :external_id and status = any(:statuses::text[])
order by status = 'active' desc, terminated_at desc nulls first, started_at desc nulls first, created_at desc
limit 1
for no key update;

-- name: list_subscriptions
select * from invoicing.shown_subscriptions
where organization_id = :organization_id and status = any(:statuses::text[])
  and (:external_customer_id::text is null or external_customer_id = :external_customer_id)
  and (:plan_code::text is null or plan_code = :plan_code)
order by id desc limit :limit offset :offset;

-- name: count_subscriptions$
select count(*)
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
left join invoicing.plans parent on parent.organization_id = p.organization_id and parent.id = p.parent_id
where s.organization_id = :organization_id and s.status = any(:statuses::text[])
  and (:external_customer_id::text is null or c.external_id = :external_customer_id)
  and (:plan_code::text is null or coalesce(parent.code, p.code) = :plan_code);
