-- What came late for periods that are billed.

-- name: late_since
-- Since when, of each subscription for whose sealed periods something was committed after the last of them was sealed, or
-- after one that has ended was last looked at. What is captured of a hold after the end is the last period's.
-- Reads the events since then by their transactions.
select w.organization_id, w.subscription_id, late.since
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :before::timestamptz[])
    as w (organization_id, subscription_id, before)
cross join lateral (
    select p.sealed_xact_id, p.charges_to_at,
        case when p.reason = 'subscription_terminating' then p.charges_to_at - interval '1 microsecond' end as last_at
    from invoicing.billed_periods p
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
    select min(least(e.timestamp, o.timestamp, sealed.last_at)) as since
    from invoicing.events e
    left join lateral (
        select o.timestamp from invoicing.events o
        where o.organization_id = e.organization_id and o.id = e.reverses_event_id
    ) o on true
    where e.organization_id = w.organization_id and e.subscription_id = w.subscription_id
      and e.xact_id >= greatest(sealed.sealed_xact_id, looked.sealed_xact_id)
      and (e.timestamp < sealed.charges_to_at or e.reverses_event_id is not null or sealed.last_at is not null)
      and least(e.timestamp, o.timestamp, sealed.last_at) < sealed.charges_to_at
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
-- Corrections among them, and what events were billed by themselves; in the order in which they were made.
select w.period, f.*
from unnest(:periods::timestamptz[], :starts::timestamptz[], :ends::timestamptz[], :sinces::timestamptz[])
    as w (period, start, "end", since)
cross join lateral (
    select f.* from invoicing.fees f
    join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
    where f.organization_id = :organization_id and f.subscription_id = :subscription_id and f.fee_type = 'charge'
      and f.from_datetime = w.period and f.deleted_at is null and f.event_transaction_id is null
      and i.status in ('finalizing', 'finalized', 'closed') and i.invoice_type <> 'progressive_billing'
    union all
    select f.* from invoicing.fees_in_advance(:organization_id, :subscription_id, w.start, w."end", w.since) f
) f
order by f.created_at, f.position, f.id;
