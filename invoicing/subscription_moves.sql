-- name: organizations_with_moves
-- Whose catalogues are about to change: those with something to start, to switch, to end or to give up.
select organization_id from invoicing.subscriptions
where status = 'pending' and starts_at is null and subscription_at <= :now
union
select organization_id from invoicing.subscriptions where status = 'pending' and starts_at <= :now
union
select organization_id from invoicing.subscriptions where status = 'active' and ending_at <= :now
union
select organization_id from invoicing.subscriptions
where status = 'incomplete' and (activation_rules -> 0 ->> 'expires_at')::timestamptz <= :now
union
select s.organization_id from invoicing.subscriptions s
join invoicing.billed_periods b on b.organization_id = s.organization_id and b.subscription_id = s.id
left join invoicing.invoices i on i.organization_id = b.organization_id and i.id = b.invoice_id
where s.status = 'incomplete' and (b.invoice_id is null or i.payment_status in ('succeeded', 'failed'));

-- name: end_due
-- Terminates what was agreed to end by now.
update invoicing.subscriptions
set status = 'terminated', terminated_at = greatest(ending_at, started_at), updated_at = :now
where status = 'active' and ending_at <= :now
returning organization_id, id, 'terminated' as word;

-- name: end_switched
-- Terminates what a cheaper plan takes the place of by now.
update invoicing.subscriptions s
set status = 'terminated', terminated_at = greatest(n.starts_at, s.started_at), updated_at = :now
from invoicing.subscriptions n
where n.status = 'pending' and n.starts_at <= :now
  and s.organization_id = n.organization_id and s.id = n.previous_subscription_id and s.status = 'active'
returning s.organization_id, s.id, 'terminated' as word;

-- name: start_switched
-- Activates what waited for the end of the one before it. One whose predecessor ended earlier has nothing to follow.
update invoicing.subscriptions n
set status = case when s.terminated_at = greatest(n.starts_at, s.started_at) then 'active' else 'canceled' end,
    started_at = case when s.terminated_at = greatest(n.starts_at, s.started_at) then s.terminated_at end,
    canceled_at = case when s.terminated_at = greatest(n.starts_at, s.started_at) then null else :now end,
    updated_at = :now
from invoicing.subscriptions s
where n.status = 'pending' and (n.starts_at <= :now or s.status <> 'active') and n.starts_at is not null
  and s.organization_id = n.organization_id and s.id = n.previous_subscription_id and s.status <> 'active'
returning n.organization_id, n.id, case n.status when 'active' then 'started' else 'canceled' end as word;

-- name: start_due
-- Activates what was agreed for a time that has come; what is to be paid first is incomplete. What cannot start, since
-- its external id is in use, stays pending.
update invoicing.subscriptions s
set status = case when d.waits then 'incomplete' else 'active' end, started_at = s.subscription_at, updated_at = :now,
    activation_rules = case when d.waits then jsonb_set(jsonb_set(
        s.activation_rules, '{0,status}', '"pending"'), '{0,expires_at}', d.expires_at) else s.activation_rules end
from (
    select p.organization_id, p.id,
        p.activation_rules <> '[]' and (
            pl.pay_in_advance and pl.amount_cents > 0 and coalesce(pl.trial_period, 0) = 0
            or jsonb_path_exists(v.fixed_charges, '$[*] ? (@.pay_in_advance == true)')) as waits,
        case when (p.activation_rules -> 0 ->> 'timeout_hours')::int > 0 then to_jsonb(
            p.subscription_at + make_interval(hours => (p.activation_rules -> 0 ->> 'timeout_hours')::int))
            else 'null'::jsonb end as expires_at
    from invoicing.subscriptions p
    join invoicing.plans pl on pl.organization_id = p.organization_id and pl.id = p.plan_id
    join invoicing.plan_versions v on v.organization_id = pl.organization_id and v.id = pl.current_version_id
    where p.status = 'pending' and p.starts_at is null and p.subscription_at <= :now
) d
where s.organization_id = d.organization_id and s.id = d.id and s.status = 'pending'
  and not exists (select from invoicing.subscriptions other where other.organization_id = s.organization_id
                  and other.external_id = s.external_id and other.status in ('active', 'incomplete'))
returning s.organization_id, s.id, case s.status when 'active' then 'started' else 'incomplete' end as word;

-- name: activate_paid
-- Activates what waited for its first invoice to be paid; one that came to nothing is paid.
update invoicing.subscriptions s
set status = 'active', activated_at = :now, updated_at = :now,
    activation_rules = jsonb_set(s.activation_rules, '{0,status}', '"satisfied"')
from invoicing.billed_periods b
left join invoicing.invoices i on i.organization_id = b.organization_id and i.id = b.invoice_id
where s.status = 'incomplete' and b.organization_id = s.organization_id and b.subscription_id = s.id
  and b.reason = 'subscription_starting' and b.billing_at = s.started_at
  and (b.invoice_id is null or i.status in ('finalized', 'closed') and i.payment_status = 'succeeded')
  and not exists (select from invoicing.subscriptions other where other.organization_id = s.organization_id
                  and other.external_id = s.external_id and other.status = 'active')
returning s.organization_id, s.id, 'started' as word;

-- name: give_up_failed
-- Cancels what waited for an invoice whose payment failed.
update invoicing.subscriptions s
set status = 'canceled', canceled_at = :now, cancellation_reason = 'payment_failed', updated_at = :now,
    activation_rules = jsonb_set(s.activation_rules, '{0,status}', '"failed"')
from invoicing.billed_periods b
join invoicing.invoices i on i.organization_id = b.organization_id and i.id = b.invoice_id
where s.status = 'incomplete' and b.organization_id = s.organization_id and b.subscription_id = s.id
  and b.reason = 'subscription_starting' and i.payment_status = 'failed'
returning s.organization_id, s.id, 'canceled' as word;

-- name: give_up_due
-- Cancels what was not paid in time.
update invoicing.subscriptions
set status = 'canceled', canceled_at = :now, cancellation_reason = 'timeout', updated_at = :now,
    activation_rules = jsonb_set(activation_rules, '{0,status}', '"expired"')
where status = 'incomplete' and (activation_rules -> 0 ->> 'expires_at')::timestamptz <= :now
returning organization_id, id, 'canceled' as word;

-- name: end_trials
update invoicing.subscriptions set trial_ended_at = trial_ends_at, updated_at = :now
where status = 'active' and trial_ended_at is null and trial_ends_at <= :now
returning organization_id, id, 'trial_ended' as word;

-- name: alert_due
-- Those that end in so many days: told once, on the day that begins then.
update invoicing.subscriptions set alerted_days_before = :days, updated_at = :now
where status = 'active' and ending_at <= :now::timestamptz + make_interval(days => :days)
  and ending_at > :now::timestamptz + make_interval(days => :days) - interval '1 day'
  and (alerted_days_before is null or alerted_days_before > :days)
returning organization_id, id, 'termination_alert' as word;
