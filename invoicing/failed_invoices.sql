-- Invoices that a tax service has failed.

-- name: note_failed!
update invoicing.invoices i set
    failed_tries = i.failed_tries + 1,
    try_again_at = :now::timestamptz + least(interval '1 minute' * power(2, least(i.failed_tries, 9)), interval '6 hours')
from unnest(:organization_ids::uuid[], :ids::uuid[]) as w (organization_id, id)
where i.organization_id = w.organization_id and i.id = w.id;

-- name: find_failed
select organization_id, id, try_again_at from invoicing.invoices
where status = 'failed' and try_again_at <= :now
  and (:after_at::timestamptz is null or (try_again_at, id) > (:after_at::timestamptz, :after_id::uuid))
order by try_again_at, id
limit :limit;
