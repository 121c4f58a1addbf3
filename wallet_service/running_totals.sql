-- Running totals, read (2) and written (4) under the lock on their customer.

-- name: read_totals
-- (2) Running totals that prices depend on.
select t.organization_id, t.subscription_id, t.charge_id, t.filter_id, t.period_start, t.group_id, t.total
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :charge_ids::uuid[], :filter_ids::uuid[],
            :period_starts::timestamptz[], :group_ids::uuid[])
    as wanted (organization_id, subscription_id, charge_id, filter_id, period_start, group_id)
join wallet.totals t using (organization_id, subscription_id, charge_id, filter_id, period_start, group_id);

-- name: read_earlier_totals
-- (2) The last total before each of these periods: what is recurring goes on from it.
select wanted.organization_id, wanted.subscription_id, wanted.charge_id, wanted.filter_id, wanted.period_start,
    wanted.group_id, earlier.total
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :charge_ids::uuid[], :filter_ids::uuid[],
            :period_starts::timestamptz[], :group_ids::uuid[])
    as wanted (organization_id, subscription_id, charge_id, filter_id, period_start, group_id)
cross join lateral (
    select t.total from wallet.totals t
    where t.organization_id = wanted.organization_id and t.subscription_id = wanted.subscription_id
      and t.charge_id = wanted.charge_id and t.filter_id = wanted.filter_id and t.group_id = wanted.group_id
      and t.period_start < wanted.period_start
    order by t.period_start desc limit 1
) earlier;

-- name: write_totals!
-- (4) Running totals after the batch.
insert into wallet.totals (organization_id, subscription_id, charge_id, filter_id, period_start, group_id, total)
select * from unnest(
    :organization_ids::uuid[], :subscription_ids::uuid[], :charge_ids::uuid[], :filter_ids::uuid[],
    :period_starts::timestamptz[], :group_ids::uuid[], :totals::bytea[])
on conflict (organization_id, subscription_id, charge_id, filter_id, period_start, group_id) do update
    set total = excluded.total;
