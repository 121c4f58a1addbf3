-- The usage that was reported, with what it was rated to, for ever. New tables only: locks nothing that is in use.

create table invoicing.events (
    organization_id            uuid        not null,
    id                         uuid        not null,
    transaction_id             text        not null,
    customer_id                uuid,
    external_customer_id       text,
    subscription_id            uuid,
    external_subscription_id   text,
    code                       text        not null,
    timestamp                  timestamptz not null,
    properties                 jsonb       not null,
    precise_total_amount_cents numeric,
    rating_status              text        not null check (rating_status in ('rated', 'unrated', 'postpaid')),
    plan_version_id            uuid,
    lines                      jsonb       not null,
    operation_id               uuid        not null,
    created_at                 timestamptz not null,
    primary key (organization_id, id, timestamp)
) partition by range (timestamp);
comment on table invoicing.events is
    'Append-only. That a transaction_id counts once is decided in wallet.operations, in the same commit.';
comment on column invoicing.events.lines is
    'Per charge: charge, filter, units, exact amount, amount in minor units, asset, and the total it was priced from.';
create index events_transaction on invoicing.events (organization_id, transaction_id);
create index events_of_subscription on invoicing.events (organization_id, subscription_id, code, timestamp);

create table invoicing.events_other partition of invoicing.events default;
comment on table invoicing.events_other is 'Usage of months that have no partition: long past, or ahead of the worker.';

-- Makes room for a month of events. The worker calls it ahead of time: a month that already has rows in events_other
-- would have to be moved first, so it stays there (answers false).
create function invoicing.ensure_events_of_month(any_day date) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    month timestamptz := date_trunc('month', any_day::timestamptz);
    next_month timestamptz := month + interval '1 month';
    partition text := 'events_' || to_char(month, 'YYYY_MM');
begin
    if to_regclass('invoicing.' || partition) is not null then
        return true;
    end if;
    if exists (select from invoicing.events_other e where e.timestamp >= month and e.timestamp < next_month) then
        return false;
    end if;
    execute format('create table invoicing.%I partition of invoicing.events for values from (%L) to (%L)',
                   partition, month, next_month);
    return true;
end $$;
revoke execute on function invoicing.ensure_events_of_month from public;
grant execute on function invoicing.ensure_events_of_month to wallet_worker;
select invoicing.ensure_events_of_month((now() + make_interval(months => ahead))::date) from generate_series(-1, 3) ahead;

create trigger append_only before update or delete on invoicing.events
    for each row execute function invoicing.refuse_change();
create trigger append_only_whole before truncate on invoicing.events
    for each statement execute function invoicing.refuse_change();

alter table invoicing.events enable row level security;
create policy tenant on invoicing.events to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on invoicing.events to wallet_committer, wallet_worker using (true);
grant select on invoicing.events to wallet_api, wallet_worker;
grant select, insert on invoicing.events to wallet_committer;
