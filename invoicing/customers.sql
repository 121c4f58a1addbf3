-- name: insert_customer^
-- No row back means that the external id is taken.
insert into invoicing.customers (
    organization_id, id, external_id, name, firstname, lastname, customer_type, email, legal_name,
    legal_number, tax_identification_number, phone, url, logo_url, address_line1, address_line2, city, state,
    zipcode, country, shipping_address, currency, timezone, net_payment_term, finalize_zero_amount_invoice,
    skip_invoice_custom_sections, billing_configuration, billing_entity_code, tax_codes,
    invoice_custom_section_codes, metadata, created_at, updated_at)
values (
    :organization_id, :id, :external_id, :name, :firstname, :lastname, :customer_type, :email, :legal_name,
    :legal_number, :tax_identification_number, :phone, :url, :logo_url, :address_line1, :address_line2, :city,
    :state, :zipcode, :country, :shipping_address::jsonb, :currency, :timezone, :net_payment_term,
    :finalize_zero_amount_invoice, :skip_invoice_custom_sections, :billing_configuration::jsonb,
    :billing_entity_code, :tax_codes::jsonb, :invoice_custom_section_codes::jsonb, :metadata::jsonb, :created_at,
    :updated_at)
on conflict (organization_id, external_id) where deleted_at is null do nothing
returning *;

-- name: update_customer^
update invoicing.customers set
    name = :name, firstname = :firstname, lastname = :lastname, customer_type = :customer_type, email = :email,
    legal_name = :legal_name, legal_number = :legal_number,
    tax_identification_number = :tax_identification_number, phone = :phone, url = :url, logo_url = :logo_url,
    address_line1 = :address_line1, address_line2 = :address_line2, city = :city, state = :state,
    zipcode = :zipcode, country = :country, shipping_address = :shipping_address::jsonb, currency = :currency,
    timezone = :timezone, net_payment_term = :net_payment_term,
    finalize_zero_amount_invoice = :finalize_zero_amount_invoice,
    skip_invoice_custom_sections = :skip_invoice_custom_sections,
    billing_configuration = :billing_configuration::jsonb, billing_entity_code = :billing_entity_code,
    tax_codes = :tax_codes::jsonb,
    invoice_custom_section_codes = :invoice_custom_section_codes::jsonb, metadata = :metadata::jsonb, updated_at = :updated_at
where organization_id = :organization_id and id = :id
returning *;

-- name: lock_customer^
select * from invoicing.customers
where organization_id = :organization_id and external_id = :external_id and deleted_at is null
for no key update;

-- name: find_customer^
select * from invoicing.customers
where organization_id = :organization_id and external_id = :external_id and deleted_at is null;

-- name: list_customers
-- Newest first: ids are ordered by time.
select * from invoicing.customers
where organization_id = :organization_id and deleted_at is null
  and (:search::text is null or strpos(
      lower(concat_ws(' ', external_id, name, firstname, lastname, legal_name, email)), lower(:search)) > 0)
order by id desc limit :limit offset :offset;

-- name: count_customers$
select count(*) from invoicing.customers
where organization_id = :organization_id and deleted_at is null
  and (:search::text is null or strpos(
      lower(concat_ws(' ', external_id, name, firstname, lastname, legal_name, email)), lower(:search)) > 0);

-- name: delete_customer!
update invoicing.customers set deleted_at = :now, updated_at = :now
where organization_id = :organization_id and id = :id;

-- name: end_subscriptions_of_customer
-- What is active terminates, what is pending never starts. Locked in one order, so that nobody deadlocks.
with held as materialized (
    select id from invoicing.subscriptions
    where organization_id = :organization_id and customer_id = :customer_id
      and status in ('active', 'pending', 'incomplete')
    order by id for no key update
)
update invoicing.subscriptions s
set status = case s.status when 'active' then 'terminated' else 'canceled' end,
    terminated_at = case s.status when 'active' then greatest(:now, s.started_at) end,
    canceled_at = case s.status when 'active' then null else :now::timestamptz end,
    updated_at = :now
from held
where s.organization_id = :organization_id and s.id = held.id
returning s.id;
