-- name: take_number$
insert into invoicing.number_series as known (organization_id, series, last)
values (:organization_id, :series, 1)
on conflict (organization_id, series) do update set last = known.last + 1
returning last;

-- name: take_numbers
-- In one order, so that nobody deadlocks.
insert into invoicing.number_series as known (organization_id, series, last)
select * from unnest(:organization_ids::uuid[], :series::text[], :counts::bigint[]) as w (organization_id, series, n)
order by organization_id, series
on conflict (organization_id, series) do update set last = known.last + excluded.last
returning organization_id, series, last;
