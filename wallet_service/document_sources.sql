-- What documents say beyond invoices, fees and credits themselves.

-- name: find_parties^
-- Who is billed and in whose name, as they are now; a customer who was deleted too.
select to_jsonb(c)::text as customer, to_jsonb(e)::text as entity
from invoicing.customers c
join invoicing.billing_entities e on e.organization_id = c.organization_id and e.id = :billing_entity_id
where c.organization_id = :organization_id and c.id = :customer_id;

-- name: find_subscriptions
select s.id, s.external_id, s.name, coalesce(p.invoice_display_name, p.name) as plan_name
from invoicing.subscriptions s
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.id = any(:ids::uuid[]);

-- name: find_wallets
select id, coalesce(name, code) as name from wallet.wallets
where organization_id = :organization_id and id = any(:ids::uuid[]);
