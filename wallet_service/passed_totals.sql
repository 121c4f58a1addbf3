-- name: begin_totals!
-- What running totals begin with; what is there already stays.
insert into wallet.totals (organization_id, subscription_id, charge_id, filter_id, period_start, group_id, total)
select :organization_id, :subscription_id, t.charge_id, t.filter_id, :period_start, t.group_id, t.total
from unnest(:charge_ids::uuid[], :filter_ids::uuid[], :group_ids::uuid[], :totals::bytea[])
    as t (charge_id, filter_id, group_id, total)
on conflict do nothing;
