-- What is billed with each event.

-- name: take_mark$
-- Nothing where somebody else is at it.
select billed_below::text from invoicing.advance_marks for no key update skip locked;

-- name: portion_end^
-- Whole transactions, that are over: about so many events of them.
select (case when max(p.xact_id) is null then pg_snapshot_xmin(pg_current_snapshot())
        else least(pg_snapshot_xmin(pg_current_snapshot()), (max(p.xact_id)::text::numeric + 1)::text::xid8) end)::text as mark,
    count(*) = :limit as has_more
from (
    select xact_id from invoicing.events where xact_id >= :mark::text::xid8 order by xact_id limit :limit
) p;

-- name: move_mark!
update invoicing.advance_marks set billed_below = :mark::text::xid8;

-- name: events_in_advance
-- Those whose prices have charges that are paid in advance, and that were not taken back meanwhile.
with portion as materialized (
    select e.organization_id, e.id, e.transaction_id, e.customer_id, e.subscription_id, e.timestamp, e.asset_code,
        e.plan_version_id, e.rating_status, e.paid, e.lines
    from invoicing.events e
    where e.xact_id >= :from_mark::text::xid8 and e.xact_id < :to_mark::text::xid8 and e.rating_status <> 'unrated'
      and e.subscription_id is not null and e.customer_id is not null and e.reverses_event_id is null
      and e.plan_version_id is not null
),
paying as materialized (
    select v.organization_id, v.id
    from (select distinct organization_id, plan_version_id from portion) p
    join invoicing.plan_versions v on v.organization_id = p.organization_id and v.id = p.plan_version_id
    where jsonb_path_exists(v.charges, '$[*] ? (@.pay_in_advance == true)')
)
select p.* from portion p
join paying v on v.organization_id = p.organization_id and v.id = p.plan_version_id
where not exists (
    select from invoicing.events r
    where r.organization_id = p.organization_id and r.reverses_event_id = p.id
      and r.lines -> 0 ->> 'charge_id' is not null)
  and not exists (
    select from invoicing.fees f
    where f.organization_id = p.organization_id and f.subscription_id = p.subscription_id
      and f.event_transaction_id = p.transaction_id)
order by p.timestamp, p.id;

-- name: events_taken_back
-- Which of these are no longer used: their charge was reversed.
select w.subscription_id, w.transaction_id
from unnest(:subscription_ids::uuid[], :transaction_ids::text[]) as w (subscription_id, transaction_id)
where exists (
    select from invoicing.events e
    join invoicing.events r on r.organization_id = e.organization_id and r.reverses_event_id = e.id
    where e.organization_id = :organization_id and e.transaction_id = w.transaction_id
      and e.subscription_id = w.subscription_id and e.reverses_event_id is null
      and r.lines -> 0 ->> 'charge_id' is not null);

-- name: events_billed_with_periods
-- The events whose period has been billed: what came late is billed by the invoice that follows.
select w.id
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :ids::uuid[], :times::timestamptz[])
    as w (organization_id, subscription_id, id, at)
where exists (
    select from invoicing.billed_periods b
    where b.organization_id = w.organization_id and b.subscription_id = w.subscription_id
      and b.charges_to_at is not null and b.reason not in ('progressive_billing', 'in_advance_charge')
      and (w.at < b.charges_to_at or b.reason = 'subscription_terminating'));

-- name: billed_in_advance
-- By line, with one of its fees. Also what was voided since: that is billed again by hand.
select w.position, (array_agg(to_jsonb(f) order by f.id))[1] as fee, sum(f.units) as units, count(*) as events_count,
    sum(f.precise_amount_cents) as precise_amount_cents, sum(f.debited_minor) as debited_minor
from unnest(:positions::int[], :organization_ids::uuid[], :subscription_ids::uuid[], :starts::timestamptz[],
    :ends::timestamptz[], :sinces::timestamptz[])
    as w (position, organization_id, subscription_id, start, "end", since)
cross join lateral invoicing.fees_in_advance(w.organization_id, w.subscription_id, w.start, w."end", w.since) f
group by w.position, f.charge_id, f.charge_filter_id, f.pricing_group;
