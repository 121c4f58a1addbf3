-- What invoices say, against their lines, the book, and each other. A breach is a line of text; the last parameter of a
-- query is how many of them are shown. Currencies come with what their minor unit is in the asset's smallest one.

-- name: invoices_checked$
select (select count(*) from invoicing.invoices where status in ('finalized', 'voided'))
     + (select count(*) from wallet.book_accounts where code in (14, 21));

-- name: final_invoices
-- In portions, each with its lines read after it.
select i.* from invoicing.invoices i where i.status in ('finalized', 'voided') order by i.organization_id, i.id;

-- name: invoices_otherwise_than_lines(limit)
-- I12: amounts are what the lines, credits and taxes come to, in the order in which they are taken off.
select format('invoice %s: fees, progressive, coupons, taxes, credit notes %s, its lines say %s', i.id, i.said, i.lines)
    as breach
from (
    select i.organization_id, i.id,
        array[i.fees_amount_cents, i.progressive_billing_credit_amount_cents, i.coupons_amount_cents,
              i.taxes_amount_cents, i.credit_notes_amount_cents, i.sub_total_excluding_taxes_amount_cents,
              i.sub_total_including_taxes_amount_cents, i.prepaid_credit_amount_cents + i.total_amount_cents]::numeric[]
            as said,
        array[f.fees, c.progressive, c.coupons, t.taxes, c.notes, f.fees - c.progressive - c.coupons,
              f.fees - c.progressive - c.coupons + t.taxes,
              f.fees - c.progressive - c.coupons + t.taxes - c.notes]::numeric[] as lines
    from invoicing.invoices i
    cross join lateral (
        select coalesce(sum(amount_cents), 0) as fees from invoicing.fees f
        where f.organization_id = i.organization_id and f.invoice_id = i.id and f.deleted_at is null
    ) f
    cross join lateral (
        select coalesce(sum(amount_cents) filter (where kind = 'progressive_billing'), 0) as progressive,
               coalesce(sum(amount_cents) filter (where kind = 'coupon'), 0) as coupons,
               coalesce(sum(amount_cents) filter (where kind = 'credit_note'), 0) as notes
        from invoicing.invoice_credits c where c.organization_id = i.organization_id and c.invoice_id = i.id
    ) c
    cross join lateral (
        select coalesce(sum((tax ->> 'amount_cents')::numeric), 0) as taxes
        from jsonb_array_elements(i.applied_taxes) tax
    ) t
    where i.status in ('finalized', 'voided')
) i
where i.said is distinct from i.lines
order by i.id limit :limit;

-- name: invoices_otherwise_than_booked(currencies, cents, limit)
-- I12: what the book has for an invoice is what it comes to: its lines, with the true-up and the rounding that its
-- settlement lists. Each name is what it adds to `receivable`; together they are what is due.
select format('invoice %s: booked (fees, overage, coupons, taxes, credit notes, prepaid, refund, credit, rounding, due) %s, '
    'it comes to %s', i.id, i.booked, i.expected) as breach
from (
    select i.id,
        array[coalesce(sum(b.amount) filter (where b.name = 'fees'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'overage'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'coupons'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'taxes'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'credit_notes'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'prepaid'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'refund'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'credit'), 0),
              coalesce(sum(b.amount) filter (where b.name = 'rounding'), 0),
              coalesce(sum(b.amount), 0)] as booked,
        array[(i.fees_amount_cents - i.progressive_billing_credit_amount_cents) * i.cent_minor
                  - i.debited_minor - i.overage_minor,
              i.overage_minor, -i.coupons_amount_cents * i.cent_minor, i.taxes_amount_cents * i.cent_minor,
              -i.credit_notes_amount_cents * i.cent_minor, -i.wallets_minor, i.refunded_minor, i.credited_minor,
              -i.rounding_minor, i.total_amount_cents * i.cent_minor] as expected
    from (
        select i.*, m.cent_minor, s.debited_minor, s.overage_minor, s.wallets_minor, s.refunded_minor,
            s.credited_minor, s.rounding_minor
        from invoicing.invoices i
        join unnest(:currencies::text[], :cents::numeric[]) as m (currency, cent_minor) on m.currency = i.currency
        cross join lateral jsonb_to_record(i.settlement) as s (
            debited_minor numeric, overage_minor numeric, wallets_minor numeric, refunded_minor numeric,
            credited_minor numeric, rounding_minor numeric)
        where i.status in ('finalized', 'voided') and i.invoice_type <> 'credit'
    ) i
    left join (
        select i.organization_id, i.id, b ->> 'name' as name,
            case 14 when d.code then t.amount when c.code then -t.amount end as amount
        from invoicing.invoices i
        cross join jsonb_array_elements(i.settlement -> 'transfers') b
        left join wallet.book_transfers t on t.id = (b ->> 'id')::uuid and t.phase = 0
        left join wallet.book_accounts d on d.id = t.debit_account_id
        left join wallet.book_accounts c on c.id = t.credit_account_id
        where i.status in ('finalized', 'voided') and i.invoice_type <> 'credit'
    ) b on b.organization_id = i.organization_id and b.id = i.id
    group by i.organization_id, i.id, i.fees_amount_cents, i.progressive_billing_credit_amount_cents,
        i.coupons_amount_cents, i.taxes_amount_cents, i.credit_notes_amount_cents, i.total_amount_cents, i.cent_minor,
        i.debited_minor, i.overage_minor, i.wallets_minor, i.refunded_minor, i.credited_minor, i.rounding_minor
) i
where i.booked is distinct from i.expected
order by i.id limit :limit;

-- name: voided_otherwise_than_booked(limit)
-- I12: of an invoice that was taken back nothing is left on `receivable`: all of it was booked the other way, or it was
-- voided by a credit note, and then nothing of it is due.
select format('invoice %s is voided, and %s of it is left on receivable', i.id, sum(i.amount)) as breach
from (
    select i.organization_id, i.id, case 14 when d.code then t.amount when c.code then -t.amount end as amount
    from invoicing.invoices i
    cross join lateral (
        select (b ->> 'id')::uuid as transfer_id from jsonb_array_elements(i.settlement -> 'transfers') b
        union all
        select (b #>> '{}')::uuid
        from jsonb_array_elements(coalesce(i.settlement -> 'voided' -> 'transfers', '[]')) b
    ) s
    left join wallet.book_transfers t on t.id = s.transfer_id
    left join wallet.book_accounts d on d.id = t.debit_account_id
    left join wallet.book_accounts c on c.id = t.credit_account_id
    where i.status = 'voided' and i.invoice_type <> 'credit' and i.settlement -> 'voided' is not null
    union all
    select i.organization_id, i.id,
        i.total_amount_cents - i.total_paid_amount_cents - i.total_offsetted_credit_note_amount_cents
    from invoicing.invoices i
    where i.status = 'voided' and i.invoice_type <> 'credit' and i.settlement -> 'voided' is null
) i
group by i.organization_id, i.id having sum(i.amount) <> 0
order by i.id limit :limit;

-- name: receivable_otherwise_than_dues(currencies, cents, limit)
-- I12: `receivable` is what is left to pay of all final invoices. The documents of top-ups book nothing.
select format('organization %s: receivable has %s %s, its invoices ask for %s', s.organization_id,
    coalesce(a.balance, 0), s.code, coalesce(i.due, 0)) as breach
from wallet.assets s
left join (
    select ledger, sum(debits_posted - credits_posted) as balance
    from wallet.book_accounts where code = 14 group by ledger
) a on a.ledger = s.ledger
left join (
    select i.organization_id, i.currency, sum(m.cent_minor * (
        i.total_amount_cents - i.total_paid_amount_cents - i.total_offsetted_credit_note_amount_cents)) as due
    from invoicing.invoices i
    join unnest(:currencies::text[], :cents::numeric[]) as m (currency, cent_minor) on m.currency = i.currency
    where i.status = 'finalized' and i.invoice_type <> 'credit'
    group by i.organization_id, i.currency
) i on i.organization_id = s.organization_id and i.currency = s.code
where coalesce(a.balance, 0) <> coalesce(i.due, 0)
order by 1 limit :limit;

-- name: customer_credit_otherwise_than_notes(currencies, cents, limit)
-- I12: `customer_credit` is what final credit notes are still worth.
select format('organization %s: customer_credit has %s %s, its credit notes are worth %s', s.organization_id,
    coalesce(a.balance, 0), s.code, coalesce(n.worth, 0)) as breach
from wallet.assets s
left join (
    select ledger, sum(credits_posted - debits_posted) as balance
    from wallet.book_accounts where code = 21 group by ledger
) a on a.ledger = s.ledger
left join (
    select n.organization_id, n.currency, sum(m.cent_minor * n.balance_amount_cents) as worth
    from invoicing.credit_notes n
    join unnest(:currencies::text[], :cents::numeric[]) as m (currency, cent_minor) on m.currency = n.currency
    where n.status = 'finalized'
    group by n.organization_id, n.currency
) n on n.organization_id = s.organization_id and n.currency = s.code
where coalesce(a.balance, 0) <> coalesce(n.worth, 0)
order by 1 limit :limit;

-- name: series_with_gaps(limit)
-- I12: as many numbers as a series has given are used.
select format('organization %s, series %s: gave %s numbers, %s are used', coalesce(n.organization_id, u.organization_id),
    coalesce(n.series, u.series), coalesce(n.last, 0), coalesce(u.used, 0)) as breach
from (
    select organization_id, series, last from invoicing.number_series
    where split_part(series, ':', 1) in ('invoices', 'credit_notes', 'payment_receipts', 'customers')
) n
full join (
    select organization_id, 'invoices:' || customer_id as series, count(*) as used
    from invoicing.invoices where sequential_id is not null group by 1, 2
    union all
    select organization_id, 'invoices:' || billing_entity_id, count(*)
    from invoicing.invoices where sequential_id is not null group by 1, 2
    union all
    select organization_id, 'credit_notes:' || invoice_id, count(distinct sequential_id)
    from invoicing.credit_notes where sequential_id is not null group by 1, 2
    union all
    select organization_id, 'payment_receipts:' || billing_entity_id, count(*)
    from invoicing.payment_receipts group by 1, 2
    union all
    select organization_id, 'customers', count(distinct sequential_id)
    from invoicing.customers where sequential_id is not null group by 1
) u on u.organization_id = n.organization_id and u.series = n.series
where coalesce(n.last, 0) <> coalesce(u.used, 0)
order by 1 limit :limit;

-- name: billed_twice(limit)
-- I12: no moment of a subscription is billed twice, and no usage by two of them. That a moment has one row is the table's
-- key; here, that stretches do not overlap.
select format('subscription %s: usage from %s was billed at %s, and until %s before', subscription_id, charges_from_at,
    billing_at, billed_until) as breach
from (
    select subscription_id, billing_at, charges_from_at,
        lag(charges_to_at) over (
            partition by organization_id, subscription_id, plan_id order by charges_from_at, charges_to_at, billing_at
        ) as billed_until
    from invoicing.billed_periods
    where charges_from_at < charges_to_at and reason not in ('progressive_billing', 'in_advance_charge')
) p
where billed_until > charges_from_at
order by 1 limit :limit;
