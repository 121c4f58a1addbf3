-- What billing asks of subscriptions and plans: when a subscription is to be looked at next, the chain of plan changes it
-- belongs to, plans made for one subscription, commitments, thresholds, and lifetime usage. Adds columns with constant
-- defaults to invoicing.subscriptions and invoicing.plans, which takes an exclusive lock of each for a moment and rewrites
-- nothing; setting next_billing_at writes every active subscription once, and holds off their writers while it does.

alter table invoicing.subscriptions
    add column first_started_at    timestamptz,
    add column starts_at           timestamptz,
    add column is_upgraded         boolean     not null default false,
    add column activated_at        timestamptz,
    add column trial_ends_at       timestamptz,
    add column trial_ended_at      timestamptz,
    add column cancellation_reason text,
    add column billing_entity_code text,
    add column activation_rules    jsonb       not null default '[]',
    add column usage_thresholds    jsonb       not null default '[]',
    add column alerted_days_before int,
    add column next_billing_at     timestamptz;
comment on column invoicing.subscriptions.first_started_at is
    'When the first of a chain of plan changes began: its trial goes on. Null: it is the first itself.';
comment on column invoicing.subscriptions.starts_at is
    'When one that is pending takes the place of the one before it: at the end of a period of that one.';
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
create index subscriptions_to_switch on invoicing.subscriptions (starts_at)
    where status = 'pending' and starts_at is not null;
create index subscriptions_in_trial on invoicing.subscriptions (trial_ends_at)
    where status = 'active' and trial_ended_at is null and trial_ends_at is not null;
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

-- Whatever changes when a subscription is billed lets it be looked at again, and says when its trial is over: no path of
-- the code can forget to.
create function invoicing.keep_schedule() returns trigger language plpgsql as $$
begin
    if new.status = 'active' and new.activated_at is null then
        new.activated_at := new.updated_at;
    end if;
    if new.status = 'active' and (tg_op = 'INSERT' or (new.status, new.plan_id) is distinct from (old.status, old.plan_id))
    then
        select timezone(z.zone, timezone(z.zone, coalesce(new.first_started_at, new.started_at))
                                + p.trial_period::float8 * interval '1 day')
        into new.trial_ends_at
        from invoicing.plans p
        join invoicing.customers c on c.organization_id = new.organization_id and c.id = new.customer_id
        cross join lateral invoicing.zone_of(
            new.organization_id, c.timezone, coalesce(new.billing_entity_code, c.billing_entity_code)) as z (zone)
        where p.organization_id = new.organization_id and p.id = new.plan_id and p.trial_period > 0;
        if new.trial_ends_at <= new.started_at then  -- it was over before this one began: no news
            new.trial_ended_at := new.trial_ends_at;
        end if;
    end if;
    if new.status not in ('active', 'incomplete', 'terminated') then
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
create trigger keep_schedule before insert or update on invoicing.subscriptions
    for each row execute function invoicing.keep_schedule();

-- A subscription with what names its customer and plans. A plan made for it alone is shown with the code of its parent.
create view invoicing.shown_subscriptions with (security_invoker = true) as
select s.*, c.external_id as external_customer_id,
    invoicing.zone_of(s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone,
    coalesce(parent.code, p.code) as plan_code, p.code as own_plan_code, p.amount_cents as plan_amount_cents,
    p.amount_currency as plan_amount_currency, p.interval as plan_interval, p.current_version_id as plan_version_id,
    before.plan_code as previous_plan_code, after.plan_code as next_plan_code, after.starts_at as next_starts_at
from invoicing.subscriptions s
join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id
left join invoicing.plans parent on parent.organization_id = p.organization_id and parent.id = p.parent_id
left join lateral (
    select coalesce(bpp.code, bp.code) as plan_code
    from invoicing.subscriptions b
    join invoicing.plans bp on bp.organization_id = b.organization_id and bp.id = b.plan_id
    left join invoicing.plans bpp on bpp.organization_id = bp.organization_id and bpp.id = bp.parent_id
    where b.organization_id = s.organization_id and b.id = s.previous_subscription_id
) before on true
left join lateral (
    select coalesce(npp.code, np.code) as plan_code, n.starts_at
    from invoicing.subscriptions n
    join invoicing.plans np on np.organization_id = n.organization_id and np.id = n.plan_id
    left join invoicing.plans npp on npp.organization_id = np.organization_id and npp.id = np.parent_id
    where n.organization_id = s.organization_id and n.previous_subscription_id = s.id
      and n.status in ('pending', 'active', 'terminated')
    order by n.created_at desc limit 1
) after on true;
grant select on invoicing.shown_subscriptions to wallet_api, wallet_committer, wallet_worker;
grant select on invoicing.billing_entities to wallet_committer;
