-- What is billed before its period ends.

-- name: find_to_look_at
-- Thresholds of the subscription count instead of its plan's. Without those that were looked at with these thresholds, and
-- not used since by transactions that were not seen then.
select s.organization_id, s.id, s.external_id, t.thresholds, md5(t.thresholds::text) as thresholds_hash
from (
    -- All subscriptions are many, those with thresholds few: each kind is found by its index.
    select o.organization_id, o.id from invoicing.subscriptions o
    where o.status = 'active' and jsonb_array_length(o.usage_thresholds) > 0
    union
    select o.organization_id, o.id
    from invoicing.plans p
    join invoicing.subscriptions o on o.organization_id = p.organization_id and o.plan_id = p.id
    where o.status = 'active' and jsonb_array_length(p.usage_thresholds) > 0
) w
join invoicing.subscriptions s on s.organization_id = w.organization_id and s.id = w.id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
cross join lateral (
    select case when jsonb_array_length(s.usage_thresholds) > 0 then s.usage_thresholds
        else p.usage_thresholds end as thresholds
    offset 0
) t
left join invoicing.threshold_looks l on l.organization_id = s.organization_id and l.subscription_id = s.id
where s.id > :after
  and (l.looked_at is null or l.looked_at <= :long_ago::timestamptz or l.looked_at > :now::timestamptz
       or l.thresholds_hash <> md5(t.thresholds::text)
       or exists (
           select from invoicing.events e
           where e.organization_id = s.organization_id and e.subscription_id = s.id and e.xact_id >= l.sealed_xact_id))
order by s.id limit :limit;

-- name: note_looks!
insert into invoicing.threshold_looks (organization_id, subscription_id, thresholds_hash, sealed_xact_id, looked_at)
select w.organization_id, w.subscription_id, w.thresholds_hash, w.sealed_xact_id, :now
from unnest(:organization_ids::uuid[], :ids::uuid[], :hashes::text[], :seals::text[]::xid8[])
    as w (organization_id, subscription_id, thresholds_hash, sealed_xact_id)
order by 1, 2
on conflict (organization_id, subscription_id) do update set
    thresholds_hash = excluded.thresholds_hash, sealed_xact_id = excluded.sealed_xact_id,
    looked_at = excluded.looked_at;

-- name: keep_subscription^
-- Whoever else has read it meanwhile, to bill its period, has to read it again.
update invoicing.subscriptions set updated_at = greatest(:now, updated_at + interval '1 microsecond')
where organization_id = :organization_id and id = :id and updated_at = :read_at
  and next_billing_at is not distinct from :next_billing_at
returning id;

-- name: reached_before$
-- What was voided is not billed again before its period ends. Lifetime usage goes on when a subscription is followed by another one, and so do the thresholds that it has crossed.
select max((t.threshold ->> 'lifetime_usage_amount_cents')::bigint)
from invoicing.subscriptions s
join invoicing.billed_periods b on b.organization_id = s.organization_id and b.subscription_id = s.id
join invoicing.invoices i on i.organization_id = b.organization_id and i.id = b.invoice_id
cross join lateral jsonb_array_elements(i.applied_usage_thresholds) as t (threshold)
where s.organization_id = :organization_id and s.external_id = :external_id
  and b.reason = 'progressive_billing';

-- name: is_taken_off$
-- Whether a final invoice of its period has taken off what a progressive invoice had billed: of the amount, or only of what
-- had been debited for it.
select exists (
    select from invoicing.billed_periods p
    join invoicing.billed_periods b
        on b.organization_id = p.organization_id and b.subscription_id = p.subscription_id
       and b.reason not in ('progressive_billing', 'in_advance_charge')
       and p.charges_from_at + (p.charges_to_at - p.charges_from_at) / 2 >= b.charges_from_at
       and p.charges_from_at + (p.charges_to_at - p.charges_from_at) / 2 < b.charges_to_at
    join invoicing.invoices i on i.organization_id = b.organization_id and i.id = b.invoice_id
    where p.organization_id = :organization_id and p.invoice_id = :invoice_id and p.reason = 'progressive_billing'
      and i.status in ('finalizing', 'finalized', 'closed'));

-- name: drafts_taking_off
-- Drafts that take off what a progressive invoice had billed.
select i.id from invoicing.invoice_credits c
join invoicing.invoices i on i.organization_id = c.organization_id and i.id = c.invoice_id
where c.organization_id = :organization_id and c.source_id = :invoice_id and c.kind = 'progressive_billing'
  and i.status = 'draft' and i.invoice_type = 'subscription'
order by i.id;

-- name: billed_ahead
-- What was billed of each period, without what a later one of them took off again. Where the customer's zone was changed
-- since, periods are cut elsewhere: one counts where its middle lies, so always in one of them.
select w.position, b.organization_id, b.subscription_id, b.invoice_id, i.number,
    i.fees_amount_cents - i.progressive_billing_credit_amount_cents as amount_cents,
    b.sealed_xact_id::text::bigint as sealed_xact_id
from unnest(
    :positions::int[], :organization_ids::uuid[], :subscription_ids::uuid[], :starts::timestamptz[],
    :ends::timestamptz[]) as w (position, organization_id, subscription_id, start, "end")
join invoicing.billed_periods b
    on b.organization_id = w.organization_id and b.subscription_id = w.subscription_id
   and b.reason = 'progressive_billing'
   and b.charges_from_at + (b.charges_to_at - b.charges_from_at) / 2 >= w.start
   and b.charges_from_at + (b.charges_to_at - b.charges_from_at) / 2 < w."end"
join invoicing.invoices i
    on i.organization_id = b.organization_id and i.id = b.invoice_id and i.status in ('finalizing', 'finalized')
   and not coalesce(i.settlement ? 'voiding', false)
order by w.position, b.billing_at;

-- name: excess_notes
-- What each of these has credited of what its invoice had billed: nothing, where it was voided.
select n.id, case when n.voided_amount_cents < n.total_amount_cents then coalesce(round(
        t.amount_cents * (i.fees_amount_cents - i.progressive_billing_credit_amount_cents)
        / nullif(i.fees_amount_cents, 0)), 0) else 0 end::bigint as amount_cents
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.credit_notes n on n.organization_id = w.organization_id and n.id = w.id
join invoicing.invoices i on i.organization_id = n.organization_id and i.id = n.invoice_id
cross join lateral (
    select sum(c.amount_cents)::numeric as amount_cents from invoicing.credit_note_items c
    where c.organization_id = n.organization_id and c.credit_note_id = n.id
) t;

-- name: lines_ahead
select * from invoicing.fees
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[]) and deleted_at is null
order by created_at, position, id;

-- name: keep_ahead
-- In one order, so that nobody deadlocks.
select i.id from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
join invoicing.invoices i on i.organization_id = w.organization_id and i.id = w.id
where i.status in ('finalizing', 'finalized') and not coalesce(i.settlement ? 'voiding', false)
order by i.id
for share of i;
