-- name: tax_default!
update invoicing.billing_entities set
    tax_codes = (tax_codes - :code::text) || case when :applies::boolean then jsonb_build_array(:code::text) else '[]' end,
    updated_at = :now
where organization_id = :organization_id and is_default
  and (tax_codes @> jsonb_build_array(:code::text)) <> :applies;

-- name: untax_entities!
update invoicing.billing_entities set tax_codes = tax_codes - :code::text, updated_at = :now
where organization_id = :organization_id and tax_codes @> jsonb_build_array(:code::text);

-- name: are_any_managed$
select exists (
    select from invoicing.billing_entities where organization_id = :organization_id and eu_tax_management);

-- name: entities_of_taxes
select taxed.code as tax_code, e.code, e.is_default
from unnest(:codes::text[]) as taxed (code)
join invoicing.billing_entities e
    on e.organization_id = :organization_id and e.tax_codes @> jsonb_build_array(taxed.code)
order by e.id;
