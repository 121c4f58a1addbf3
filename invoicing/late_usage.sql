-- What came late for periods that are billed.

-- name: late_since
-- Since when, of each subscription for whose sealed periods something was committed after the last of them was sealed, or
-- after one that has ended was last looked at.
-- Reads the events since then by their transactions.
select w.organization_id, w.subscription_id, late.since
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :before::timestamptz[])
    as w (organization_id, subscription_id, before)
cross join lateral (
    select p.sealed_xact_id, p.charges_to_at from invoicing.billed_periods p
    where p.organization_id = w.organization_id and p.subscription_id = w.subscription_id
      and p.billing_at < w.before and p.sealed_xact_id is not null
      and p.reason not in ('progressive_billing', 'late_usage')
    order by p.charges_to_at desc limit 1
) sealed
left join lateral (
    select p.sealed_xact_id from invoicing.billed_periods p
    where p.organization_id = w.organization_id and p.subscription_id = w.subscription_id
      and p.billing_at < w.before and p.reason = 'late_usage'
    order by p.billing_at desc limit 1
) looked on true
cross join lateral (
    select min(least(e.timestamp, o.timestamp)) as since
    from invoicing.events e
    left join lateral (
        select o.timestamp from invoicing.events o
        where o.organization_id = e.organization_id and o.id = e.reverses_event_id
    ) o on true
    where e.organization_id = w.organization_id and e.subscription_id = w.subscription_id
      and e.xact_id >= greatest(sealed.sealed_xact_id, looked.sealed_xact_id)
      and (e.timestamp < sealed.charges_to_at or e.reverses_event_id is not null)
      and least(e.timestamp, o.timestamp) < sealed.charges_to_at
) late
where late.since is not null;

-- name: sealed_periods
-- Those that end after that, and whose invoices stand: a draft is computed anew, a voided one billed again by hand.
select p.organization_id, p.subscription_id, p.billing_at, p.reason, p.invoice_id, p.plan_id, p.from_at, p.to_at,
    p.charges_from_at, p.charges_to_at, p.fixed_charges_from_at, p.fixed_charges_to_at,
    p.sealed_xact_id::text::bigint as sealed_xact_id, p.moment, p.created_at
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :since::timestamptz[])
    as w (organization_id, subscription_id, since)
join invoicing.billed_periods p on p.organization_id = w.organization_id and p.subscription_id = w.subscription_id
join invoicing.invoices i on i.organization_id = p.organization_id and i.id = p.invoice_id
where p.charges_to_at > w.since and p.sealed_xact_id is not null and p.reason <> 'progressive_billing'
  and i.status in ('finalizing', 'finalized', 'closed')
order by p.organization_id, p.subscription_id, p.charges_from_at;

-- name: billed_lines
-- Corrections among them; in the order in which they were made.
select
    f.organization_id, f.id, f.invoice_id, f.customer_id, f.subscription_id, f.fee_type, f.position, f.charge_id,
    f.charge_filter_id, f.fixed_charge_id, f.add_on_id, f.wallet_transaction_id, f.true_up_parent_fee_id,
    f.original_fee_id, f.item_code, f.item_name, f.invoice_display_name, f.filter_display_name, f.filter_values,
    f.description,
    f.billable_metric_code, f.pricing_group, f.units, f.total_aggregated_units, f.events_count, f.amount_cents,
    f.precise_amount_cents, f.precise_unit_amount, f.amount_currency, f.tax_codes, f.precise_coupons_amount_cents,
    f.taxes_amount_cents, f.taxes_precise_amount_cents, f.taxes_rate, f.applied_taxes, f.amount_details,
    f.presentation_breakdowns, f.pricing_unit_details, f.debited_minor, f.pay_in_advance, f.invoiceable,
    f.is_adjusted, f.adjustment, f.event_transaction_id, f.from_datetime, f.to_datetime, f.payment_status,
    f.succeeded_at, f.failed_at, f.refunded_at, f.created_at, f.updated_at, f.deleted_at
from invoicing.fees f
left join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
where f.organization_id = :organization_id and f.subscription_id = :subscription_id and f.fee_type = 'charge'
  and f.from_datetime = any(:starts::timestamptz[]) and f.deleted_at is null
  and (f.event_transaction_id is not null
       or i.status in ('finalizing', 'finalized', 'closed') and i.invoice_type <> 'progressive_billing')
order by f.created_at, f.position, f.id;
