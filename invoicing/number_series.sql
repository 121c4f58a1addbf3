-- name: take_number$
insert into invoicing.number_series as known (organization_id, series, last)
values (:organization_id, :series, 1)
on conflict (organization_id, series) do update set last = known.last + 1
returning last;
