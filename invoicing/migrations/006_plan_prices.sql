-- What a plan charges whatever is used (fixed charges of add-ons), and versions that wait for their time. Adds columns
-- with constant defaults to invoicing.plan_versions, which takes an exclusive lock for a moment and rewrites nothing;
-- building its index holds off those who publish prices, not those who read them. The other tables are new.

alter table invoicing.plan_versions
    add column fixed_charges jsonb not null default '[]',
    add column changes jsonb;
comment on column invoicing.plan_versions.effective_at is
    'From when on it prices usage. In force at a time is the greatest of those not after it; of equals, the last published.';
comment on column invoicing.plan_versions.changes is
    'What it changes in the version before it, in short; null where it was published before this was noted.';
create index plan_versions_in_force on invoicing.plan_versions (organization_id, plan_id, effective_at, version);

create table invoicing.add_ons (
    organization_id      uuid        not null,
    id                   uuid        not null,
    code                 text        not null,
    name                 text        not null,
    invoice_display_name text,
    description          text,
    amount_cents         bigint      not null check (amount_cents >= 0),
    amount_currency      text        not null,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    deleted_at           timestamptz,
    primary key (organization_id, id)
);
create unique index add_ons_code on invoicing.add_ons (organization_id, code) where deleted_at is null;

create table invoicing.fixed_charge_units (
    organization_id     uuid        not null,
    number              bigint      not null generated always as identity,
    plan_id             uuid        not null,
    fixed_charge_id     uuid        not null,
    units               numeric     not null check (units >= 0),
    effective_at        timestamptz not null,
    applies_immediately boolean     not null,
    primary key (organization_id, number),
    foreign key (organization_id, plan_id) references invoicing.plans
);
comment on table invoicing.fixed_charge_units is
    'How many units of a fixed charge were agreed, from when on: an invoice bills the difference of what it is told of late.';
comment on column invoicing.fixed_charge_units.applies_immediately is
    'Whether the running period is billed for them too, or only the periods after it.';
create index fixed_charge_units_history
    on invoicing.fixed_charge_units (organization_id, fixed_charge_id, effective_at, number);
create trigger append_only before update or delete on invoicing.fixed_charge_units
    for each row execute function invoicing.refuse_change();
create trigger append_only_whole before truncate on invoicing.fixed_charge_units
    for each statement execute function invoicing.refuse_change();

do $$
declare
    name text;
begin
    foreach name in array array['add_ons', 'fixed_charge_units'] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert, update on invoicing.add_ons to wallet_api, wallet_worker;
grant select, insert on invoicing.fixed_charge_units to wallet_api, wallet_worker;
