-- A change of one subscription moves the version of the organization's catalogue, and so whatever processes remember of all
-- its customers was looked up again: with a sign-up a second they remembered nothing. Now such a change says whom it was
-- about. A new table: locks nothing that is in use.

create table invoicing.catalogue_changes (
    organization_id           uuid        not null,
    version                   bigint      not null,
    external_customer_ids     text[]      not null,
    external_subscription_ids text[]      not null,
    subscription_ids          uuid[]      not null,
    plan_ids                  uuid[]      not null,
    changed_at                timestamptz not null default now(),
    primary key (organization_id, version)
);
comment on table invoicing.catalogue_changes is
    'Whom the change to a version of the catalogue concerned. A version without a row concerned everybody; old rows go.';
comment on column invoicing.catalogue_changes.plan_ids is 'Plans made for one of these subscriptions alone.';
create index catalogue_changes_by_time on invoicing.catalogue_changes (changed_at);

alter table invoicing.catalogue_changes enable row level security;
create policy tenant on invoicing.catalogue_changes to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on invoicing.catalogue_changes to wallet_committer, wallet_worker using (true);
grant select, insert on invoicing.catalogue_changes to wallet_api, wallet_worker;
grant select on invoicing.catalogue_changes to wallet_committer;
grant delete on invoicing.catalogue_changes to wallet_worker;
