-- name: codes_of_entities
select e.id, e.code
from invoicing.billing_entities e
where e.organization_id = :organization_id and e.id = any(:ids::uuid[]);

-- name: subscriptions_of_invoice
select
    s.id, s.external_id, s.customer_id, c.external_id as external_customer_id, p.code as plan_code,
    p.amount_cents as plan_amount_cents, p.amount_currency as plan_amount_currency, s.name, s.status,
    s.billing_time, s.subscription_at, s.started_at, s.ending_at, s.terminated_at, s.canceled_at, s.created_at
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.id = any(:ids::uuid[])
order by s.created_at, s.id;
