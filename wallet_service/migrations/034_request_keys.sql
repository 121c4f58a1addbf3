-- Invoices made by hand, voidings and applied coupons may be asked for under a key (`Idempotency-Key`), so that a repeat
-- finds what the first made. A new table: locks nothing that is in use.

create table wallet.request_keys (
    organization_id uuid        not null,
    kind            text        not null,
    key             text        not null,
    body_hash       bytea       not null,
    object_id       uuid        not null,
    created_at      timestamptz not null,
    primary key (organization_id, kind, key)
);
comment on table wallet.request_keys is
    'Keys of requests that the committer does not decide: which thing was made, of what body. Kept 30 days.';
comment on column wallet.request_keys.object_id is
    'Written in the transaction that makes or changes that thing: whoever comes second waits here, and finds it.';
create index request_keys_created on wallet.request_keys using brin (created_at) with (pages_per_range = 16);

alter table wallet.request_keys enable row level security;
create policy tenant on wallet.request_keys to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on wallet.request_keys to wallet_worker using (true);
grant select, insert on wallet.request_keys to wallet_api;
grant select, delete on wallet.request_keys to wallet_worker;
