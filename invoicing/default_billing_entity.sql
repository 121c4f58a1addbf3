-- name: insert_default_entity!
-- Of what the organization says of itself. Who comes second finds it there.
insert into invoicing.billing_entities (
    organization_id, id, code, name, address_line1, address_line2, city, state, zipcode, country, email, phone,
    default_currency, timezone, legal_name, legal_number, tax_identification_number, logo_url,
    document_numbering, document_number_prefix, document_locale, finalize_zero_amount_invoice, net_payment_term,
    invoice_footer, invoice_grace_period, subscription_invoice_issuing_date_anchor,
    subscription_invoice_issuing_date_adjustment, eu_tax_management, einvoicing, email_settings, tax_codes,
    invoice_custom_section_codes, is_default, created_at, updated_at)
select
    id, :id, :code, name, address_line1, address_line2, city, state, zipcode, country, email, null, default_currency,
    timezone, legal_name, legal_number, tax_identification_number, null,
    case document_numbering when 'per_customer' then 'per_customer' else 'per_billing_entity' end,
    document_number_prefix, coalesce(nullif(billing_configuration ->> 'document_locale', ''), 'en'),
    finalize_zero_amount_invoice, net_payment_term, billing_configuration ->> 'invoice_footer',
    greatest(coalesce((billing_configuration ->> 'invoice_grace_period')::int, 0), 0), 'next_period_start',
    'align_with_finalization_date', false, false, email_settings, '[]', '[]', true, :now, :now
from wallet.organizations
where id = :organization_id
on conflict do nothing;

-- name: has_default_entity$
select exists (select from invoicing.billing_entities where organization_id = :organization_id and is_default);
