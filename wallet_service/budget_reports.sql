-- Where budgets stand, and what they have told, for reading.

-- name: list_buckets
-- Where the buckets of a budget stand. Of buckets per customer, whose they are.
select k.bucket, k.held_minor, c.external_id as external_customer_id, coalesce(w.spent_minor, 0) as spent_minor
from wallet.budget_buckets k
left join invoicing.customers c
    on c.organization_id = k.organization_id and c.id = case when :is_per_customer then k.bucket::uuid end
left join lateral (
    select sum(w.spent_minor) as spent_minor from wallet.budget_windows w
    where w.organization_id = k.organization_id and w.budget_id = k.budget_id and w.bucket = k.bucket
      and w.starts_at >= :counts_from
) w on true
where k.organization_id = :organization_id and k.budget_id = :budget_id
  and (:bucket::text is null or k.bucket = :bucket)
order by k.bucket limit :limit offset :offset;

-- name: count_buckets$
select count(*) from (
    select from wallet.budget_buckets k
    where k.organization_id = :organization_id and k.budget_id = :budget_id
      and (:bucket::text is null or k.bucket = :bucket)
    limit :count_max
) counted;

-- name: list_alerts
-- Newest first.
select a.id, a.bucket, a.percentage, a.limit_minor, a.spent_minor, a.window_start, a.created_at
from wallet.alerts a
where a.organization_id = :organization_id and a.budget_id = :budget_id
  and (:bucket::text is null or a.bucket = :bucket)
order by a.created_at desc, a.id desc limit :limit offset :offset;

-- name: count_alerts$
select count(*) from (
    select from wallet.alerts a
    where a.organization_id = :organization_id and a.budget_id = :budget_id
      and (:bucket::text is null or a.bucket = :bucket)
    limit :count_max
) counted;
