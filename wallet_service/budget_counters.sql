-- Where budgets stand: step (2) of the lock order, read after that, written with the batch.

-- name: introduce_buckets
-- What is to be locked must exist: before a batch, in a statement that commits by itself.
insert into wallet.budget_buckets (organization_id, budget_id, bucket)
select * from unnest(:organization_ids::uuid[], :budget_ids::uuid[], :buckets::text[])
on conflict do nothing
returning organization_id, budget_id, bucket;

-- name: lock_buckets
-- (1) After the customers, in the order of ids: buckets that more than one customer moves. Who is missing from the
-- answer is busy (or not there yet).
select k.organization_id, k.budget_id, k.bucket
from wallet.budget_buckets k
join unnest(:organization_ids::uuid[], :budget_ids::uuid[], :buckets::text[])
    as wanted (organization_id, budget_id, bucket) using (organization_id, budget_id, bucket)
order by k.organization_id, k.budget_id, k.bucket
for no key update of k skip locked;

-- name: wait_for_buckets
-- (1) The same for the batch of those who were busy: waits, up to lock_timeout.
select k.organization_id, k.budget_id, k.bucket
from wallet.budget_buckets k
join unnest(:organization_ids::uuid[], :budget_ids::uuid[], :buckets::text[])
    as wanted (organization_id, budget_id, bucket) using (organization_id, budget_id, bucket)
order by k.organization_id, k.budget_id, k.bucket
for no key update of k;

-- name: read_buckets
-- (2) What budgets say now, and where these buckets stand. Those of deleted budgets are not there.
select wanted.organization_id, wanted.budget_id, wanted.bucket, b.code, b.name, b.asset_code, b.limit_minor, b.mode,
    b.time_window, b.alert_thresholds, k.held_minor, k.raised, k.raised_in, w.starts, w.spent
from unnest(:organization_ids::uuid[], :budget_ids::uuid[], :buckets::text[])
    as wanted (organization_id, budget_id, bucket)
join wallet.budgets b
    on b.organization_id = wanted.organization_id and b.id = wanted.budget_id and b.deleted_at is null
left join wallet.budget_buckets k
    on k.organization_id = wanted.organization_id and k.budget_id = wanted.budget_id and k.bucket = wanted.bucket
left join lateral (
    select array_agg(w.starts_at) as starts, array_agg(w.spent_minor) as spent
    from wallet.budget_windows w
    where w.organization_id = wanted.organization_id and w.budget_id = wanted.budget_id and w.bucket = wanted.bucket
      and w.starts_at > coalesce(:now::timestamptz - make_interval(secs => b.kept_s), '-infinity')
) w on true;

-- name: write_buckets!
-- (4) What was held more or less, and which alerts are not armed.
insert into wallet.budget_buckets as k (organization_id, budget_id, bucket, held_minor, raised, raised_in)
select organization_id, budget_id, bucket, held_minor,
    array(select jsonb_array_elements_text(raised)::smallint), raised_in
from unnest(:organization_ids::uuid[], :budget_ids::uuid[], :buckets::text[], :held::numeric[], :raised::jsonb[],
            :raised_in::timestamptz[])
    as moved (organization_id, budget_id, bucket, held_minor, raised, raised_in)
on conflict (organization_id, budget_id, bucket) do update set
    held_minor = k.held_minor + excluded.held_minor, raised = excluded.raised, raised_in = excluded.raised_in,
    used_on = excluded.used_on;

-- name: write_windows!
-- (4) What was spent, or given back.
insert into wallet.budget_windows as w (organization_id, budget_id, bucket, starts_at, spent_minor)
select * from unnest(
    :organization_ids::uuid[], :budget_ids::uuid[], :buckets::text[], :starts_at::timestamptz[], :spent::numeric[])
on conflict (organization_id, budget_id, bucket, starts_at) do update set
    spent_minor = w.spent_minor + excluded.spent_minor;

-- name: write_event_budgets!
-- (4) What events have in budgets, so that their reversal finds it.
insert into wallet.event_budgets (
    organization_id, event_id, operation_id, budget_id, bucket, is_wide, starts_at, amount_minor)
select * from unnest(
    :organization_ids::uuid[], :event_ids::uuid[], :operation_ids::uuid[], :budget_ids::uuid[], :buckets::text[],
    :are_wide::boolean[], :starts_at::timestamptz[], :amounts::bigint[]);

-- name: write_alerts!
-- (4) Thresholds that spending has reached.
insert into wallet.alerts (
    organization_id, id, budget_id, bucket, percentage, limit_minor, spent_minor, window_start, created_at)
select * from unnest(
    :organization_ids::uuid[], :ids::uuid[], :budget_ids::uuid[], :buckets::text[], :percentages::smallint[],
    :limits::bigint[], :spent::numeric[], :window_starts::timestamptz[], :created_at::timestamptz[])
on conflict (organization_id, id) do nothing;
