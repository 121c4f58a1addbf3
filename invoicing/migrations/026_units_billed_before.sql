-- Units that were added within a period to fixed charges paid in advance used to be billed with that period's end; now each
-- change is a moment of its own, and one without a row here is billed. So the changes that periods have billed get theirs,
-- or customers would pay twice. A period that is still a draft, or failed, is computed anew and bills them no more: its
-- changes are left to their moments, as are those of running periods. Adds rows alone: locks nothing that is in use.

insert into invoicing.billed_periods (
    organization_id, subscription_id, billing_at, reason, plan_id, created_at)
select distinct s.organization_id, s.id, u.effective_at, 'fixed_charge_units_changed', s.plan_id, now()
from invoicing.fixed_charge_units u
join invoicing.subscriptions s on s.organization_id = u.organization_id and s.plan_id = u.plan_id
join invoicing.billed_periods b on b.organization_id = s.organization_id and b.subscription_id = s.id
where u.applies_immediately and u.effective_at > s.started_at
  and b.reason in ('subscription_periodic', 'subscription_terminating')
  and b.fixed_charges_to_at <= b.billing_at
  and u.effective_at >= b.fixed_charges_from_at and u.effective_at < b.fixed_charges_to_at
  and not exists (
      select from invoicing.invoices i
      where i.organization_id = b.organization_id and i.id = b.invoice_id and i.status in ('draft', 'failed'))
on conflict (organization_id, subscription_id, billing_at, reason) where reason <> 'in_advance_charge' do nothing;
