-- A link to a document opens without a key, for as long as it is signed: so each organization has a secret to sign with.
-- A new table: locks nothing that is in use.

create table wallet.document_secrets (
    organization_id uuid        primary key references wallet.organizations,
    secret          bytea       not null check (octet_length(secret) = 32),
    created_at      timestamptz not null
);
comment on table wallet.document_secrets is
    'Signs the links to documents; made with the first link. Deleting it ends every link that was given out.';

alter table wallet.document_secrets enable row level security;
create policy tenant on wallet.document_secrets to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on wallet.document_secrets to wallet_committer, wallet_worker using (true);
grant select, insert on wallet.document_secrets to wallet_api;
grant select, insert, delete on wallet.document_secrets to wallet_worker;
