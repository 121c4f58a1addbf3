-- name: tax_codes_of_plans
select s.id, p.tax_codes
from invoicing.subscriptions s
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
where s.organization_id = :organization_id and s.id = any(:subscription_ids::uuid[]) and p.tax_codes <> '[]';
