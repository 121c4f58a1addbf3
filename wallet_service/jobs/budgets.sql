-- Windows of budgets that count no more, and buckets that nobody uses any more.

-- name: delete_old_windows(limit)
-- A day after anything of them could count; at once where the budget is gone for a day.
delete from wallet.budget_windows w
using (
    select o.organization_id, o.budget_id, o.bucket, o.starts_at
    from wallet.budgets b
    cross join lateral (
        select w.organization_id, w.budget_id, w.bucket, w.starts_at
        from wallet.budget_windows w
        where w.organization_id = b.organization_id and w.budget_id = b.id
          and w.starts_at < case
            when b.deleted_at < now() - interval '1 day' then 'infinity'
            else now() - make_interval(secs => b.kept_s) - interval '1 day' end
        order by w.starts_at
        limit :limit
    ) o
    limit :limit
) old
where w.organization_id = old.organization_id and w.budget_id = old.budget_id and w.bucket = old.bucket
  and w.starts_at = old.starts_at
returning 1;

-- name: delete_unused_buckets(limit)
-- Nothing is held there, nothing was spent that could count, and nobody has moved it since the day before that.
-- Whoever is about to has locked the row (a bucket of many customers), so it is left; or (a bucket of one customer,
-- which is not locked) writes it anew. What was written a moment ago has today's date, also where this statement is too
-- old to see the window that was written with it. Of a budget that is gone for a day all buckets go.
delete from wallet.budget_buckets k
using (
    select o.organization_id, o.budget_id, o.bucket
    from wallet.budgets b
    cross join lateral (
        select k.organization_id, k.budget_id, k.bucket
        from wallet.budget_buckets k
        where k.organization_id = b.organization_id and k.budget_id = b.id
          and k.used_on < case
            when b.deleted_at < now() - interval '1 day' then 'infinity'
            else (now() at time zone 'utc' - make_interval(secs => b.kept_s) - interval '1 day')::date end
          and (k.held_minor = 0 or b.deleted_at is not null)
          and not exists (
            select from wallet.budget_windows w
            where w.organization_id = k.organization_id and w.budget_id = k.budget_id and w.bucket = k.bucket)
        order by k.used_on
        limit :limit
        for update of k skip locked
    ) o
    limit :limit
) unused
where k.organization_id = unused.organization_id and k.budget_id = unused.budget_id and k.bucket = unused.bucket
returning 1;
