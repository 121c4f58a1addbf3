-- The book as finance reads it: what was posted, by kind of account. Customers' accounts are one account a kind; those of
-- the house are named by their ids. Bounds are half-open, in nanoseconds of the ledger's clock.

-- name: assets(organization_id, code)
select code, name, kind, scale, ledger from wallet.assets
where organization_id = :organization_id and (:code::text is null or code = :code)
order by kind desc, code;

-- name: providers(organization_id)
-- Whose accounts may be shown by name.
select distinct provider from invoicing.payments where organization_id = :organization_id;

-- name: organization_name(organization_id)$
select name from wallet.organizations where id = :organization_id;

-- name: flows(ledgers, start_at, end_at)
-- What moved between kinds of accounts, month by month (UTC); what was before the start has no month.
with accounts as materialized (
    select id, code, case when code not in (1, 2, 3, 4) then id end as house_id
    from ledger.accounts where ledger = any(:ledgers::bigint[])
    union all
    select id, code, case when code not in (1, 2, 3, 4) then id end
    from wallet.checked_accounts where ledger = any(:ledgers::bigint[])
)
select case when t.timestamp >= :start_at::bigint
        then date_trunc('month', to_timestamp(t.timestamp / 1000000000) at time zone 'UTC')::date end as month,
    t.ledger, t.code, d.code as debit_code, d.house_id as debit_id, c.code as credit_code, c.house_id as credit_id,
    sum(t.amount) as amount_minor, count(*) as transfers
from wallet.book_transfers t
join accounts d on d.id = t.debit_account_id
join accounts c on c.id = t.credit_account_id
where t.ledger = any(:ledgers::bigint[]) and t.phase in (0, 2) and t.timestamp < :end_at::bigint
group by 1, 2, 3, 4, 5, 6, 7
order by 1 nulls first, 2, 3, 4, 5, 6, 7;

-- name: entries(ledgers, organization_id, start_at, end_at)
-- Every transfer, with the customer and the invoice that it is about, as far as rows name them.
with accounts as materialized (
    select id, code, case when code not in (1, 2, 3, 4) then id end as house_id
    from ledger.accounts where ledger = any(:ledgers::bigint[])
    union all
    select id, code, case when code not in (1, 2, 3, 4) then id end
    from wallet.checked_accounts where ledger = any(:ledgers::bigint[])
), invoiced as materialized (
    select (b ->> 'id')::uuid as transfer_id, i.number, i.customer_id
    from invoicing.invoices i
    cross join jsonb_array_elements(coalesce(i.settlement -> 'transfers', '[]')) b
    where i.organization_id = :organization_id and i.number <> ''
    union all
    select (b #>> '{}')::uuid, i.number, i.customer_id
    from invoicing.invoices i
    cross join jsonb_array_elements(coalesce(i.settlement -> 'voided' -> 'transfers', '[]')) b
    where i.organization_id = :organization_id and i.number <> ''
)
select t.id, t.timestamp, t.ledger, t.code, d.code as debit_code, d.house_id as debit_id, c.code as credit_code,
    c.house_id as credit_id, t.amount as amount_minor, 1::bigint as transfers, u.external_id as customer,
    i.number as invoice
from wallet.book_transfers t
join accounts d on d.id = t.debit_account_id
join accounts c on c.id = t.credit_account_id
left join wallet.grants gd on gd.organization_id = :organization_id and gd.id = t.debit_account_id
left join wallet.grants gc on gc.organization_id = :organization_id and gc.id = t.credit_account_id
left join invoiced i on i.transfer_id = t.id
left join invoicing.customers u
    on u.organization_id = :organization_id and u.id = coalesce(gd.customer_id, gc.customer_id, i.customer_id)
where t.ledger = any(:ledgers::bigint[]) and t.phase in (0, 2)
  and t.timestamp >= :start_at::bigint and t.timestamp < :end_at::bigint
order by t.timestamp, t.id;

-- name: days(ledgers, start_at, end_at)
-- The same, summed: one entry for each day (UTC), reason and pair of accounts.
with accounts as materialized (
    select id, code, case when code not in (1, 2, 3, 4) then id end as house_id
    from ledger.accounts where ledger = any(:ledgers::bigint[])
    union all
    select id, code, case when code not in (1, 2, 3, 4) then id end
    from wallet.checked_accounts where ledger = any(:ledgers::bigint[])
)
select null::uuid as id, t.timestamp / 86400000000000 * 86400000000000 as timestamp, t.ledger, t.code,
    d.code as debit_code, d.house_id as debit_id, c.code as credit_code, c.house_id as credit_id,
    sum(t.amount) as amount_minor, count(*) as transfers, null::text as customer, null::text as invoice
from wallet.book_transfers t
join accounts d on d.id = t.debit_account_id
join accounts c on c.id = t.credit_account_id
where t.ledger = any(:ledgers::bigint[]) and t.phase in (0, 2)
  and t.timestamp >= :start_at::bigint and t.timestamp < :end_at::bigint
group by 2, 3, 4, 5, 6, 7, 8
order by 2, 3, 4, 5, 6, 7, 8;

-- name: usage_shares(by, organization_id, start_at, end_at)
-- What usage that was charged between two times came to: reversals and refunds are lines below zero.
select e.asset_code,
    case :by::text when 'metric' then e.code when 'plan' then p.code else e.external_subscription_id end as name,
    sum((line ->> 'amount_minor')::numeric) as amount_minor
from invoicing.events e
cross join jsonb_array_elements(e.lines) line
left join invoicing.plan_versions v on v.organization_id = e.organization_id and v.id = e.plan_version_id
left join invoicing.plans p on p.organization_id = v.organization_id and p.id = v.plan_id
where e.organization_id = :organization_id and e.rating_status = 'rated'
  and e.created_at >= :start_at::timestamptz and e.created_at < :end_at::timestamptz
group by 1, 2
order by 1, 2;

-- name: fee_shares(by, currencies, cents, organization_id, ledgers, start_at, end_at)
-- What lines of invoices that were settled between two times have earned beyond what their usage had earned before.
select f.amount_currency as asset_code,
    case :by::text
        when 'metric' then coalesce(f.billable_metric_code, f.fee_type)
        when 'plan' then p.code
        else s.external_id end as name,
    sum(f.amount_cents * m.cent_minor - f.debited_minor) as amount_minor
from invoicing.invoices i
cross join jsonb_array_elements(coalesce(i.settlement -> 'transfers', '[]')) b
join wallet.book_transfers t on t.id = (b ->> 'id')::uuid
join invoicing.fees f
    on f.organization_id = i.organization_id and f.invoice_id = i.id and f.deleted_at is null
join unnest(:currencies::text[], :cents::numeric[]) as m (currency, cent_minor) on m.currency = f.amount_currency
left join invoicing.subscriptions s on s.organization_id = f.organization_id and s.id = f.subscription_id
left join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where i.organization_id = :organization_id and b ->> 'name' = 'fees' and t.ledger = any(:ledgers::bigint[])
  and t.timestamp >= :start_at::bigint and t.timestamp < :end_at::bigint
group by 1, 2
order by 1, 2;
