-- What a plan asks for beside the prices of its usage, in all its versions.

-- name: find_plan^
-- A deleted plan too: who was on it has lived under it. One made for a subscription goes by its parent's code.
select p.id, coalesce(parent.code, p.code) as code, p.interval, p.amount_cents, p.amount_currency, p.trial_period,
    (p.minimum_commitment ->> 'amount_cents')::bigint as commitment_cents,
    coalesce(p.minimum_commitment -> 'tax_codes', '[]') as commitment_tax_codes
from invoicing.plans p
left join invoicing.plans parent on parent.organization_id = p.organization_id and parent.id = p.parent_id
where p.organization_id = :organization_id and p.id = :plan_id;

-- name: list_versions
-- In the order in which they take effect; of one time, the last published counts. Of charges those with a minimum alone.
select id, effective_at, fixed_charges,
    jsonb_path_query_array(charges, '$[*] ? (@.min_amount_cents > 0)') as charges_with_minimum
from invoicing.plan_versions
where organization_id = :organization_id and plan_id = :plan_id
order by effective_at, version;

-- name: list_units
-- In the order in which they were to take effect.
select fixed_charge_id, units, effective_at, applies_immediately
from invoicing.fixed_charge_units
where organization_id = :organization_id and plan_id = :plan_id
order by effective_at, number;
