-- Windows of budgets that count no more.

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
            when b.deleted_at < clock_timestamp() - interval '1 day' then 'infinity'
            else clock_timestamp() - make_interval(secs => b.kept_s) - interval '1 day' end
        order by w.starts_at
        limit :limit
    ) o
    limit :limit
) old
where w.organization_id = old.organization_id and w.budget_id = old.budget_id and w.bucket = old.bucket
  and w.starts_at = old.starts_at
returning 1;
