-- What a plan asks for beside the prices of its usage, in all its versions.

-- name: find_plan^
-- A deleted plan too: who was on it has lived under it. One made for a subscription goes by its parent's code.
select p.id, coalesce(parent.code, p.code) as code, p.interval, p.amount_cents, p.amount_currency, p.trial_period,
    (p.minimum_commitment ->> 'amount_cents')::bigint as commitment_cents,
    coalesce(p.minimum_commitment -> 'tax_codes', '[]') as commitment_tax_codes,
    (select min(v.effective_at) from invoicing.plan_versions v
     where v.organization_id = p.organization_id and v.plan_id = p.id) as began
from invoicing.plans p
left join invoicing.plans parent on parent.organization_id = p.organization_id and parent.id = p.parent_id
where p.organization_id = :organization_id and p.id = :plan_id;

-- name: list_versions
-- In the order in which they take effect, from the one that is in force at a time on; of one time, the last published
-- counts. Of charges those with a minimum alone, where they are asked for: a price list is long.
select v.id, v.effective_at, v.fixed_charges,
    case when :with_minimums then jsonb_path_query_array(v.charges, '$[*] ? (@.min_amount_cents > 0)')
         else '[]' end as charges_with_minimum
from invoicing.plan_versions v
where v.organization_id = :organization_id and v.plan_id = :plan_id
  and v.effective_at >= coalesce(
      (select max(b.effective_at) from invoicing.plan_versions b
       where b.organization_id = :organization_id and b.plan_id = :plan_id and b.effective_at <= :since), '-infinity')
order by v.effective_at, v.version;

-- name: list_units
-- In the order in which they were to take effect.
select fixed_charge_id, units, effective_at, applies_immediately
from invoicing.fixed_charge_units
where organization_id = :organization_id and plan_id = :plan_id
order by effective_at, number;
