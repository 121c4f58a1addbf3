-- The tenants and the keys that open their doors. New tables only: locks nothing that is in use.

create schema wallet;
grant usage on schema wallet to wallet_api, wallet_committer, wallet_worker;

create table wallet.organizations (
    id                           uuid        not null primary key,
    name                         text        not null,
    default_currency             text        not null,
    email                        text,
    legal_name                   text,
    legal_number                 text,
    tax_identification_number    text,
    address_line1                text,
    address_line2                text,
    city                         text,
    state                        text,
    zipcode                      text,
    country                      text,
    timezone                     text        not null,
    net_payment_term             int         not null check (net_payment_term >= 0),
    document_numbering           text        not null check (document_numbering in ('per_customer', 'per_organization')),
    document_number_prefix       text        not null,
    finalize_zero_amount_invoice boolean     not null,
    email_settings               jsonb       not null,
    billing_configuration        jsonb       not null,
    created_at                   timestamptz not null,
    updated_at                   timestamptz not null
);

create table wallet.api_keys (
    organization_id uuid        not null references wallet.organizations,
    id              uuid        not null,
    name            text,
    prefix          text        not null,
    hash            bytea       not null check (length(hash) = 32),
    scopes          text[]      not null,
    expires_at      timestamptz,
    revoked_at      timestamptz,
    created_at      timestamptz not null,
    primary key (organization_id, id)
);
comment on column wallet.api_keys.hash is 'SHA-256 of the key. The key itself is shown once and stored nowhere.';
comment on column wallet.api_keys.prefix is 'The first characters of the key, by which people tell their keys apart.';
create unique index api_keys_hash on wallet.api_keys (hash);

alter table wallet.organizations enable row level security;
create policy tenant on wallet.organizations to wallet_api
    using (id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on wallet.organizations to wallet_committer, wallet_worker using (true);
alter table wallet.api_keys enable row level security;
create policy tenant on wallet.api_keys to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on wallet.api_keys to wallet_worker using (true);

grant select, update on wallet.organizations to wallet_api;
grant select, insert, update on wallet.organizations to wallet_worker;
grant select on wallet.organizations to wallet_committer;
grant select, insert on wallet.api_keys to wallet_api, wallet_worker;
grant update (revoked_at) on wallet.api_keys to wallet_api, wallet_worker;

-- Before it is known whose a key is, nothing may be read under row-level security. This is the one way in, and it
-- answers only who holds the key whose hash is given.
create function wallet.find_api_key(given_hash bytea)
    returns table (organization_id uuid, id uuid, hash bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select k.organization_id, k.id, k.hash, k.scopes, k.expires_at, k.revoked_at from wallet.api_keys k where k.hash = given_hash
$$;
revoke execute on function wallet.find_api_key from public;
grant execute on function wallet.find_api_key to wallet_api;
