-- fragment: plans
-- With the version in force. Versions and subscriptions are found plan by plan, by key: a tenant may have many of both.
select p.organization_id, p.id, p.code, p.name, p.invoice_display_name, p.description, p.interval, p.amount_cents,
    p.amount_currency, p.trial_period, p.pay_in_advance, p.bill_charges_monthly, p.bill_fixed_charges_monthly,
    p.is_default, p.parent_id, p.minimum_commitment, p.usage_thresholds, p.tax_codes, p.metadata, p.created_at, p.updated_at,
    v.id as current_version_id, v.version, v.charges, v.fixed_charges,
    (select sum(c.subscriptions)::bigint
     from (select p.id union all
           select o.id from invoicing.plans o where o.organization_id = p.organization_id and o.parent_id = p.id) o
     cross join lateral (
         select count(*) as subscriptions from invoicing.subscriptions s
         where s.organization_id = p.organization_id and s.plan_id = o.id and s.status = 'active') c)
        as active_subscriptions_count
from invoicing.plans p
cross join lateral (
    select coalesce(
        (select f.id from invoicing.plan_versions f
         where f.organization_id = p.organization_id and f.plan_id = p.id and f.effective_at <= :now
         order by f.effective_at desc, f.version desc limit 1),
        p.current_version_id) as id
    offset 0  -- under row security a subquery within the condition would keep the index from being used
) f
join invoicing.plan_versions v on v.organization_id = p.organization_id and v.id = f.id

-- name: insert_plan^
-- No row back means that the code is taken.
insert into invoicing.plans (
    organization_id, id, code, name, invoice_display_name, description, interval, amount_cents,
    amount_currency, trial_period, pay_in_advance, bill_charges_monthly, bill_fixed_charges_monthly,
    is_default, minimum_commitment, usage_thresholds, tax_codes, metadata, parent_id, current_version_id, created_at,
    updated_at)
values (
    :organization_id, :id, :code, :name, :invoice_display_name, :description, :interval, :amount_cents,
    :amount_currency, :trial_period, :pay_in_advance, :bill_charges_monthly, :bill_fixed_charges_monthly,
    :is_default, :minimum_commitment::jsonb, :usage_thresholds::jsonb, :tax_codes::jsonb, :metadata::jsonb, :parent_id,
    :current_version_id, :created_at, :updated_at)
on conflict (organization_id, code) where deleted_at is null do nothing
returning *;

-- name: update_plan^
update invoicing.plans set
    code = :code, name = :name, invoice_display_name = :invoice_display_name, description = :description,
    interval = :interval, amount_cents = :amount_cents, amount_currency = :amount_currency,
    trial_period = :trial_period, pay_in_advance = :pay_in_advance,
    bill_charges_monthly = :bill_charges_monthly, bill_fixed_charges_monthly = :bill_fixed_charges_monthly,
    is_default = :is_default, minimum_commitment = :minimum_commitment::jsonb,
    usage_thresholds = :usage_thresholds::jsonb, tax_codes = :tax_codes::jsonb, metadata = :metadata::jsonb,
    current_version_id = :current_version_id, updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: end_other_defaults!
-- At most one plan is the default: the latest to say so.
update invoicing.plans set is_default = false, updated_at = :now
where organization_id = :organization_id and is_default and id <> :id;

-- name: find_plan^
{plans}
where p.organization_id = :organization_id and p.code = :code and p.deleted_at is null;

-- name: find_plan_id$
select id from invoicing.plans where organization_id = :organization_id and code = :code and deleted_at is null;

-- name: lock_plan!
select from invoicing.plans
where organization_id = :organization_id and code = :code and deleted_at is null
for no key update;

-- name: lock_plan_against_subscriptions!
-- Conflicts with the key-share lock that a new subscription takes on its plan.
select from invoicing.plans where organization_id = :organization_id and id = :id for update;

-- name: has_subscriptions$
select exists (
    select from invoicing.subscriptions
    where organization_id = :organization_id and plan_id = :plan_id and status in ('active', 'pending'));

-- name: list_plans
{plans}
where p.organization_id = :organization_id and p.deleted_at is null and p.parent_id is null
order by p.id desc limit :limit offset :offset;

-- name: count_plans$
select count(*) from invoicing.plans
where organization_id = :organization_id and deleted_at is null and parent_id is null;

-- name: find_default_plan^
select id, code from invoicing.plans
where organization_id = :organization_id and is_default and deleted_at is null;

-- name: delete_plan!
update invoicing.plans set deleted_at = :now, updated_at = :now, is_default = false
where organization_id = :organization_id and id = :id;

-- name: end_subscriptions_to_plan
-- What is active terminates, what is pending never starts. Locked in one order, so that nobody deadlocks.
with held as materialized (
    select id from invoicing.subscriptions
    where organization_id = :organization_id and status in ('active', 'pending', 'incomplete')
      and plan_id in (select p.id from invoicing.plans p where p.organization_id = :organization_id
                      and (p.id = :plan_id or p.parent_id = :plan_id))
    order by id for no key update
)
update invoicing.subscriptions s
set status = case s.status when 'active' then 'terminated' else 'canceled' end,
    terminated_at = case s.status when 'active' then greatest(:now, s.started_at) end,
    canceled_at = case s.status when 'active' then null else :now::timestamptz end,
    updated_at = :now
from held
where s.organization_id = :organization_id and s.id = held.id
returning s.id;
