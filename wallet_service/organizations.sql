-- name: insert_organization^
insert into wallet.organizations (
    id, name, default_currency, email, legal_name, legal_number, tax_identification_number, address_line1,
    address_line2, city, state, zipcode, country, timezone, net_payment_term, document_numbering,
    document_number_prefix, finalize_zero_amount_invoice, email_settings, billing_configuration, created_at, updated_at)
values (
    :id, :name, :default_currency, :email, :legal_name, :legal_number, :tax_identification_number, :address_line1,
    :address_line2, :city, :state, :zipcode, :country, :timezone, :net_payment_term, :document_numbering,
    :document_number_prefix, :finalize_zero_amount_invoice, :email_settings::jsonb, :billing_configuration::jsonb,
    :created_at, :updated_at)
returning *;

-- name: update_organization^
update wallet.organizations set
    name = :name, default_currency = :default_currency, email = :email, legal_name = :legal_name,
    legal_number = :legal_number, tax_identification_number = :tax_identification_number,
    address_line1 = :address_line1, address_line2 = :address_line2, city = :city, state = :state, zipcode = :zipcode,
    country = :country, timezone = :timezone, net_payment_term = :net_payment_term,
    document_numbering = :document_numbering, document_number_prefix = :document_number_prefix,
    finalize_zero_amount_invoice = :finalize_zero_amount_invoice, email_settings = :email_settings::jsonb,
    billing_configuration = :billing_configuration::jsonb, updated_at = :updated_at
where id = :id
returning *;

-- name: find_organization^
select * from wallet.organizations where id = :id;

-- name: lock_organization^
select id from wallet.organizations where id = :id for no key update;
