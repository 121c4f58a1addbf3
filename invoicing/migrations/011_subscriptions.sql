-- What billing asks of subscriptions and plans: when a subscription is to be looked at next, the chain of plan changes it
-- belongs to, plans made for one subscription, commitments, thresholds, and lifetime usage. Adds columns with constant
-- defaults to invoicing.subscriptions and invoicing.plans, which takes an exclusive lock of each for a moment and rewrites
-- nothing; setting next_billing_at writes every active subscription once, and holds off their writers while it does.

alter table invoicing.subscriptions
    add column first_started_at    timestamptz,
    add column is_upgraded         boolean     not null default false,
    add column activated_at        timestamptz,
    add column trial_ended_at      timestamptz,
    add column cancellation_reason text,
    add column billing_entity_code text,
    add column activation_rules    jsonb       not null default '[]',
    add column usage_thresholds    jsonb       not null default '[]',
    add column alerted_days_before int,
    add column next_billing_at     timestamptz;
comment on column invoicing.subscriptions.first_started_at is
    'When the first of a chain of plan changes began: its trial goes on. Null: it is the first itself.';
comment on column invoicing.subscriptions.is_upgraded is
    'It ended since a plan that costs more took its place: the day of the change belongs to that one.';
comment on column invoicing.subscriptions.alerted_days_before is
    'How many days before its end its owner was told of it last.';
comment on column invoicing.subscriptions.next_billing_at is
    'Before this nothing is to be billed of it. A lower bound: what changes a subscription sets it low, and the billing run, which looks then, writes the moment itself.';

alter table invoicing.subscriptions drop constraint subscriptions_status_check;
alter table invoicing.subscriptions add constraint subscriptions_status_check
    check (status in ('pending', 'incomplete', 'active', 'terminated', 'canceled')) not valid;
create unique index subscriptions_incomplete on invoicing.subscriptions (organization_id, external_id)
    where status = 'incomplete';
create index subscriptions_to_bill on invoicing.subscriptions (next_billing_at, id) where next_billing_at is not null;
create index subscriptions_after_another on invoicing.subscriptions (organization_id, previous_subscription_id)
    where previous_subscription_id is not null;
update invoicing.subscriptions set next_billing_at = now(), activated_at = started_at where status = 'active';

alter table invoicing.plans
    add column parent_id          uuid,
    add column minimum_commitment jsonb,
    add column usage_thresholds   jsonb not null default '[]',
    add foreign key (organization_id, parent_id) references invoicing.plans not valid;
comment on column invoicing.plans.parent_id is
    'Of a plan that one subscription has for itself: the plan that it was made from, whose code it is shown with.';
create index plans_of_parent on invoicing.plans (organization_id, parent_id) where parent_id is not null;

create table invoicing.lifetime_usages (
    organization_id             uuid        not null,
    id                          uuid        not null,
    external_subscription_id    text        not null,
    historical_amount_cents     bigint      not null check (historical_amount_cents >= 0),
    created_at                  timestamptz not null,
    updated_at                  timestamptz not null,
    primary key (organization_id, external_subscription_id)
);
comment on table invoicing.lifetime_usages is
    'What was used before it was counted here: it stays with an external id over changes of plans.';
alter table invoicing.lifetime_usages enable row level security;
create policy tenant on invoicing.lifetime_usages to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on invoicing.lifetime_usages to wallet_committer, wallet_worker using (true);
grant select, insert, update on invoicing.lifetime_usages to wallet_api, wallet_worker;

-- The clock that cuts a customer's periods: its own, else that of who bills it, else the organization's.
create function invoicing.zone_of(organization uuid, own text, entity_code text) returns text
    language plpgsql stable as $$
begin
    if own is not null then
        return own;
    end if;
    return coalesce(
        (select e.timezone from invoicing.billing_entities e
         where e.organization_id = organization and (e.code = entity_code or e.is_default)
         order by e.code = entity_code desc nulls last limit 1),
        (select o.timezone from wallet.organizations o where o.id = organization),
        'UTC');
end $$;

-- Whatever changes when a subscription is billed lets it be looked at again: no path of the code can forget to.
create function invoicing.look_at_subscription() returns trigger language plpgsql as $$
begin
    if new.status not in ('active', 'terminated') then
        new.next_billing_at := null;
    elsif tg_op = 'INSERT' or (new.status, new.plan_id, new.billing_time, new.subscription_at, new.started_at,
            new.first_started_at, new.terminated_at, new.is_upgraded, new.on_termination_invoice,
            new.on_termination_credit_note, new.billing_entity_code)
        is distinct from (old.status, old.plan_id, old.billing_time, old.subscription_at, old.started_at,
            old.first_started_at, old.terminated_at, old.is_upgraded, old.on_termination_invoice,
            old.on_termination_credit_note, old.billing_entity_code) then
        new.next_billing_at := least(new.next_billing_at, new.updated_at, new.started_at, new.terminated_at);
    end if;
    return new;
end $$;
create trigger look_again before insert or update on invoicing.subscriptions
    for each row execute function invoicing.look_at_subscription();
