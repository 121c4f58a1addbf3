-- Billing runs, and what they could not bill.

-- name: note_run!
insert into invoicing.billing_runs (
    id, until, organization_id, started_at, updated_at, finished_at, subscriptions, invoices, fees, problems, term)
values (
    :id, :until, :organization_id, :started_at, :updated_at, :finished_at, :subscriptions, :invoices, :fees, :problems,
    :term)
on conflict (id) do update set
    updated_at = excluded.updated_at, finished_at = excluded.finished_at, subscriptions = excluded.subscriptions,
    invoices = excluded.invoices, fees = excluded.fees, problems = excluded.problems;

-- name: snapshot$
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: siblings
select s.organization_id, s.id
from (select distinct * from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as w (organization_id, customer_id)) w
join invoicing.subscriptions s on s.organization_id = w.organization_id and s.customer_id = w.customer_id
where s.next_billing_at <= :now and s.id <> all(:known::uuid[])
order by s.id;

-- name: find_problems
select distinct subscription_id from invoicing.billing_problems
where subscription_id = any(:ids::uuid[]) and next_try_at > :now;

-- name: note_problems!
insert into invoicing.billing_problems as known (
    organization_id, subscription_id, billing_at, reason, problem, tries, next_try_at, created_at)
select w.organization_id, w.subscription_id, w.billing_at, w.reason, :problem, 1, :now::timestamptz + :wait::interval, :now
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :billing_at::timestamptz[], :reasons::text[])
    as w (organization_id, subscription_id, billing_at, reason)
on conflict (organization_id, subscription_id, billing_at, reason) do update set
    problem = excluded.problem, tries = known.tries + 1,
    next_try_at = :now::timestamptz + least(:wait::interval * power(2, least(known.tries, 10)), :wait_max::interval);

-- name: forget_problems!
delete from invoicing.billing_problems where subscription_id = any(:ids::uuid[]);

-- name: count_due$
select count(*) from invoicing.subscriptions
where next_billing_at <= :until and (:organization_id::uuid is null or organization_id = :organization_id);
