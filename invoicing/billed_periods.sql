-- The moments at which subscriptions were billed.

-- name: insert_periods
-- Those that were not billed before. A moment that another transaction is about to bill is waited for.
insert into invoicing.billed_periods (
    organization_id, subscription_id, billing_at, reason, invoice_id, plan_id, from_at, to_at, charges_from_at,
    charges_to_at, fixed_charges_from_at, fixed_charges_to_at, sealed_xact_id, moment, created_at)
select organization_id, subscription_id, billing_at, reason, invoice_id, plan_id, from_at, to_at, charges_from_at,
    charges_to_at, fixed_charges_from_at, fixed_charges_to_at, sealed_xact_id::text::xid8, moment, created_at
from jsonb_to_recordset(:rows::jsonb) as r (
    organization_id uuid, subscription_id uuid, billing_at timestamptz, reason text, invoice_id uuid, plan_id uuid,
    from_at timestamptz, to_at timestamptz, charges_from_at timestamptz, charges_to_at timestamptz,
    fixed_charges_from_at timestamptz, fixed_charges_to_at timestamptz, sealed_xact_id bigint, moment jsonb,
    created_at timestamptz)
order by organization_id, subscription_id, billing_at, reason
on conflict (organization_id, subscription_id, billing_at, reason) where reason <> 'in_advance_charge' do nothing
returning subscription_id, billing_at, reason;

-- name: periods_of_invoices
select organization_id, subscription_id, billing_at, reason, invoice_id, plan_id, from_at, to_at, charges_from_at,
    charges_to_at, fixed_charges_from_at, fixed_charges_to_at, sealed_xact_id::text::bigint as sealed_xact_id, moment,
    created_at
from invoicing.billed_periods
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[])
order by billing_at, subscription_id, reason;

-- name: reseal!
-- A draft was computed anew: later events are in it.
update invoicing.billed_periods set sealed_xact_id = :sealed_xact_id::bigint::text::xid8
where organization_id = :organization_id and invoice_id = :invoice_id
  and (charges_to_at is not null or reason = 'late_usage');

-- name: last_seal$
-- As of when the usage of invoices was read last.
select max(sealed_xact_id)::text::bigint from invoicing.billed_periods
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[]);

-- name: move_to_invoice!
-- What a voided invoice had billed is billed by the one made from it.
update invoicing.billed_periods set invoice_id = :to_id
where organization_id = :organization_id and invoice_id = :from_id;

-- name: billed_by_others$
-- Which invoices that stand have billed something of these subscriptions, in what revision: as one text, to be compared.
-- What is billed with its event is never billed with a period.
select coalesce(md5(string_agg(i.id || ':' || i.revision, ',' order by i.id)), '')
from invoicing.invoices i
where i.organization_id = :organization_id and i.id <> :own_id and i.status in ('finalizing', 'finalized', 'closed')
  and i.id in (
    select p.invoice_id from invoicing.billed_periods p
    where p.organization_id = :organization_id and p.subscription_id = any(:subscription_ids::uuid[])
      and p.reason <> 'in_advance_charge');
