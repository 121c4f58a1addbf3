-- name: names_of_fees
select 'customer' as kind, c.id, c.external_id as name
from invoicing.customers c
where c.organization_id = :organization_id and c.id = any(:customer_ids::uuid[])
union all
select 'subscription', s.id, s.external_id
from invoicing.subscriptions s
where s.organization_id = :organization_id and s.id = any(:subscription_ids::uuid[])
union all
(
    -- A metric that was deleted is found too, unless another one has its code by now.
    select distinct on (m.code) 'metric', m.id, m.code
    from invoicing.billable_metrics m
    where m.organization_id = :organization_id and m.code = any(:metric_codes::text[])
    order by m.code, m.deleted_at desc nulls first
);

-- name: true_ups
select f.true_up_parent_fee_id as parent_id, f.id
from invoicing.fees f
where f.organization_id = :organization_id and f.invoice_id = any(:invoice_ids::uuid[])
  and f.true_up_parent_fee_id is not null and f.true_up_parent_fee_id <> f.id and f.deleted_at is null;
