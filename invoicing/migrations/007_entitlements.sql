-- What a plan opens beside its prices: features with privileges, the values a plan gives them, and what one subscription
-- has otherwise. New tables only: locks nothing that is in use.

create table invoicing.features (
    organization_id     uuid        not null,
    id                  uuid        not null,
    code                text        not null,
    name                text,
    description         text,
    privileges          jsonb       not null,
    billable_metric_ids uuid[]      not null,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    deleted_at          timestamptz,
    primary key (organization_id, id)
);
comment on column invoicing.features.billable_metric_ids is
    'Usage of these metrics is for the entitled only. By id, so that a renamed metric stays behind its feature.';
create unique index features_code on invoicing.features (organization_id, code) where deleted_at is null;

create table invoicing.plan_entitlements (
    organization_id  uuid        not null,
    plan_id          uuid        not null,
    feature_id       uuid        not null,
    privilege_values jsonb       not null,
    updated_at       timestamptz not null,
    primary key (organization_id, plan_id, feature_id),
    foreign key (organization_id, plan_id) references invoicing.plans,
    foreign key (organization_id, feature_id) references invoicing.features
);
create index plan_entitlements_of_feature on invoicing.plan_entitlements (organization_id, feature_id);

create table invoicing.subscription_entitlements (
    organization_id    uuid        not null,
    subscription_id    uuid        not null,
    feature_id         uuid        not null,
    is_removed         boolean     not null,
    overrides          jsonb       not null,
    removed_privileges jsonb       not null,
    updated_at         timestamptz not null,
    primary key (organization_id, subscription_id, feature_id),
    foreign key (organization_id, subscription_id) references invoicing.subscriptions,
    foreign key (organization_id, feature_id) references invoicing.features,
    check (not is_removed or (overrides = '{}' and removed_privileges = '[]'))
);
comment on table invoicing.subscription_entitlements is
    'How one subscription differs from its plan. A row that is not removed also adds a feature that the plan lacks.';
create index subscription_entitlements_of_feature on invoicing.subscription_entitlements (organization_id, feature_id);

do $$
declare
    name text;
begin
    foreach name in array array['features', 'plan_entitlements', 'subscription_entitlements'] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert, update on invoicing.features to wallet_api;
grant select, insert, update, delete on invoicing.plan_entitlements, invoicing.subscription_entitlements to wallet_api;
grant select on invoicing.features, invoicing.plan_entitlements, invoicing.subscription_entitlements to wallet_worker;
