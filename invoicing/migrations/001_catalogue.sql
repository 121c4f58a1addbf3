-- Who is billed, what is measured, what it costs and who agreed to it. New tables only: locks nothing that is in use.

create schema invoicing;
grant usage on schema invoicing to wallet_api, wallet_committer, wallet_worker;

create table invoicing.catalogue_versions (
    organization_id uuid   not null primary key,
    version         bigint not null
);
comment on table invoicing.catalogue_versions is
    'Counts the changes of metrics, plans and subscriptions: a cached rate card is fresh while this number stands.';

create table invoicing.customers (
    organization_id              uuid        not null,
    id                           uuid        not null,
    external_id                  text        not null,
    name                         text,
    firstname                    text,
    lastname                     text,
    customer_type                text        check (customer_type in ('company', 'individual')),
    email                        text,
    legal_name                   text,
    legal_number                 text,
    tax_identification_number    text,
    phone                        text,
    url                          text,
    logo_url                     text,
    address_line1                text,
    address_line2                text,
    city                         text,
    state                        text,
    zipcode                      text,
    country                      text,
    shipping_address             jsonb,
    currency                     text,
    timezone                     text,
    net_payment_term             int,
    finalize_zero_amount_invoice text        not null check (finalize_zero_amount_invoice in ('inherit', 'finalize', 'skip')),
    skip_invoice_custom_sections boolean     not null,
    billing_configuration        jsonb       not null,
    billing_entity_code          text,
    tax_codes                    jsonb       not null,
    metadata                     jsonb       not null,
    created_at                   timestamptz not null,
    updated_at                   timestamptz not null,
    deleted_at                   timestamptz,
    primary key (organization_id, id)
);
create unique index customers_external_id on invoicing.customers (organization_id, external_id) where deleted_at is null;

create table invoicing.billable_metrics (
    organization_id    uuid        not null,
    id                 uuid        not null,
    code               text        not null,
    name               text        not null,
    description        text,
    aggregation_type   text        not null,
    field_name         text,
    recurring          boolean     not null,
    rounding_function  text        check (rounding_function in ('round', 'ceil', 'floor')),
    rounding_precision int,
    weighted_interval  text,
    expression         text,
    filters            jsonb       not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    deleted_at         timestamptz,
    primary key (organization_id, id)
);
create unique index billable_metrics_code on invoicing.billable_metrics (organization_id, code) where deleted_at is null;

create table invoicing.plans (
    organization_id            uuid        not null,
    id                         uuid        not null,
    code                       text        not null,
    name                       text        not null,
    invoice_display_name       text,
    description                text,
    interval                   text        not null
        check (interval in ('weekly', 'monthly', 'quarterly', 'semiannual', 'yearly')),
    amount_cents               bigint      not null check (amount_cents >= 0),
    amount_currency            text        not null,
    trial_period               numeric     check (trial_period >= 0),
    pay_in_advance             boolean     not null,
    bill_charges_monthly       boolean,
    bill_fixed_charges_monthly boolean,
    is_default                 boolean     not null,
    tax_codes                  jsonb       not null,
    metadata                   jsonb       not null,
    current_version_id         uuid        not null,
    created_at                 timestamptz not null,
    updated_at                 timestamptz not null,
    deleted_at                 timestamptz,
    primary key (organization_id, id)
);
comment on column invoicing.plans.current_version_id is 'The version that new usage is priced with.';
create unique index plans_code on invoicing.plans (organization_id, code) where deleted_at is null;
create unique index plans_default on invoicing.plans (organization_id) where is_default and deleted_at is null;

create table invoicing.plan_versions (
    organization_id uuid        not null,
    id              uuid        not null,
    plan_id         uuid        not null,
    version         int         not null,
    charges         jsonb       not null,
    effective_at    timestamptz not null,
    primary key (organization_id, id),
    unique (organization_id, plan_id, version),
    foreign key (organization_id, plan_id) references invoicing.plans
);
comment on table invoicing.plan_versions is
    'What a plan charged from effective_at on, whole: a hold that names a version is settled by it whatever happens later.';

alter table invoicing.plans add foreign key (organization_id, current_version_id)
    references invoicing.plan_versions deferrable initially deferred;

create table invoicing.subscriptions (
    organization_id            uuid        not null,
    id                         uuid        not null,
    external_id                text        not null,
    customer_id                uuid        not null,
    plan_id                    uuid        not null,
    name                       text,
    status                     text        not null check (status in ('pending', 'active', 'terminated', 'canceled')),
    billing_time               text        not null check (billing_time in ('calendar', 'anniversary')),
    subscription_at            timestamptz not null,
    started_at                 timestamptz,
    ending_at                  timestamptz,
    terminated_at              timestamptz,
    canceled_at                timestamptz,
    previous_subscription_id   uuid,
    started_by_default         boolean     not null,
    on_termination_credit_note text,
    on_termination_invoice     text,
    purchase_order_number      text,
    consolidate_invoice        boolean     not null,
    created_at                 timestamptz not null,
    updated_at                 timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references invoicing.customers,
    foreign key (organization_id, plan_id) references invoicing.plans,
    check (status not in ('active', 'terminated') or started_at is not null),
    check (status <> 'terminated' or terminated_at is not null)
);
create unique index subscriptions_active on invoicing.subscriptions (organization_id, external_id) where status = 'active';
create unique index subscriptions_pending on invoicing.subscriptions (organization_id, external_id) where status = 'pending';
create unique index subscriptions_by_default on invoicing.subscriptions (organization_id, customer_id, plan_id)
    where status = 'active' and started_by_default;
create index subscriptions_of_customer on invoicing.subscriptions (organization_id, customer_id);
create index subscriptions_history on invoicing.subscriptions (organization_id, external_id, started_at);
create index subscriptions_of_plan on invoicing.subscriptions (organization_id, plan_id) where status in ('active', 'pending');
create index subscriptions_starting on invoicing.subscriptions (subscription_at) where status = 'pending';
create index subscriptions_ending on invoicing.subscriptions (ending_at) where status = 'active' and ending_at is not null;

create function invoicing.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on invoicing.plan_versions
    for each row execute function invoicing.refuse_change();
create trigger append_only_whole before truncate on invoicing.plan_versions
    for each statement execute function invoicing.refuse_change();

do $$
declare
    name text;
begin
    foreach name in array array[
        'catalogue_versions', 'customers', 'billable_metrics', 'plans', 'plan_versions', 'subscriptions'
    ] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert, update on invoicing.catalogue_versions, invoicing.customers, invoicing.billable_metrics,
    invoicing.plans, invoicing.subscriptions to wallet_api, wallet_worker;
grant select, insert on invoicing.plan_versions to wallet_api, wallet_worker;
-- The committer starts subscriptions to the default plan, and changes nothing else of the catalogue.
grant select on all tables in schema invoicing to wallet_committer;
grant insert on invoicing.subscriptions to wallet_committer;
