-- name: insert_entity^
-- No row back means that the code is taken.
insert into invoicing.billing_entities (
    organization_id, id, code, name, address_line1, address_line2, city, state, zipcode, country, email, phone,
    default_currency, timezone, legal_name, legal_number, tax_identification_number, logo_url,
    document_numbering, document_number_prefix, document_locale, finalize_zero_amount_invoice, net_payment_term,
    invoice_footer, invoice_grace_period, subscription_invoice_issuing_date_anchor,
    subscription_invoice_issuing_date_adjustment, eu_tax_management, einvoicing, email_settings, tax_codes,
    invoice_custom_section_codes, is_default, created_at, updated_at)
values (
    :organization_id, :id, :code, :name, :address_line1, :address_line2, :city, :state, :zipcode, :country,
    :email, :phone, :default_currency, :timezone, :legal_name, :legal_number, :tax_identification_number,
    :logo_url, :document_numbering, :document_number_prefix, :document_locale, :finalize_zero_amount_invoice,
    :net_payment_term, :invoice_footer, :invoice_grace_period, :subscription_invoice_issuing_date_anchor,
    :subscription_invoice_issuing_date_adjustment, :eu_tax_management, :einvoicing, :email_settings::jsonb,
    :tax_codes::jsonb, :invoice_custom_section_codes::jsonb, :is_default, :created_at, :updated_at)
on conflict (organization_id, code) do nothing
returning *;

-- name: update_entity^
update invoicing.billing_entities set
    name = :name, address_line1 = :address_line1, address_line2 = :address_line2, city = :city, state = :state,
    zipcode = :zipcode, country = :country, email = :email, phone = :phone, default_currency =
    :default_currency, timezone = :timezone, legal_name = :legal_name, legal_number = :legal_number,
    tax_identification_number = :tax_identification_number, logo_url = :logo_url, document_numbering =
    :document_numbering, document_number_prefix = :document_number_prefix, document_locale = :document_locale,
    finalize_zero_amount_invoice = :finalize_zero_amount_invoice, net_payment_term = :net_payment_term,
    invoice_footer = :invoice_footer, invoice_grace_period = :invoice_grace_period,
    subscription_invoice_issuing_date_anchor = :subscription_invoice_issuing_date_anchor,
    subscription_invoice_issuing_date_adjustment = :subscription_invoice_issuing_date_adjustment,
    eu_tax_management = :eu_tax_management, einvoicing = :einvoicing, email_settings = :email_settings::jsonb,
    tax_codes = :tax_codes::jsonb, invoice_custom_section_codes = :invoice_custom_section_codes::jsonb,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: find_entity^
select * from invoicing.billing_entities where organization_id = :organization_id and code = :code;

-- name: find_entity_by_id^
select * from invoicing.billing_entities where organization_id = :organization_id and id = :id;

-- name: lock_entity^
select * from invoicing.billing_entities where organization_id = :organization_id and id = :id for no key update;

-- name: find_default_entity^
select * from invoicing.billing_entities where organization_id = :organization_id and is_default;

-- name: lock_default_entity^
select * from invoicing.billing_entities where organization_id = :organization_id and is_default for no key update;

-- name: list_entities
select * from invoicing.billing_entities
where organization_id = :organization_id
order by id limit :limit offset :offset;

-- name: count_entities$
select count(*) from invoicing.billing_entities where organization_id = :organization_id;

-- name: is_prefix_taken$
-- By another entity that has it, or had it when its documents were numbered.
select exists (
    select from invoicing.billing_entities e
    where e.organization_id = :organization_id and e.id <> :id and lower(e.document_number_prefix) = lower(:prefix))
or exists (
    select from invoicing.invoices i
    where i.organization_id = :organization_id and i.billing_entity_id <> :id and i.status in ('finalized', 'voided')
      and starts_with(lower(i.number), lower(:prefix) || '-')
      and lower(:prefix) = lower(regexp_replace(i.number, '-[0-9]+-[0-9]+$', '')));

-- name: hold_prefixes!
-- Two who take the same prefix at once: the second one sees what the first has taken.
select id from invoicing.billing_entities where organization_id = :organization_id and is_default for no key update;
