-- Alerts of subscriptions: told when usage passes a threshold. A new table: locks nothing that is in use.

create table invoicing.subscription_alerts (
    organization_id          uuid        not null,
    id                       uuid        not null,
    external_subscription_id text        not null,
    code                     text        not null,
    name                     text,
    alert_type               text        not null,
    billable_metric_id       uuid,
    thresholds               jsonb       not null,
    previous_value           numeric     not null default 0,
    last_processed_at        timestamptz,
    created_at               timestamptz not null,
    updated_at               timestamptz not null,
    deleted_at               timestamptz,
    primary key (organization_id, id)
);
comment on column invoicing.subscription_alerts.previous_value is
    'What was used when it was looked at last: thresholds between this and what is used now have been crossed.';
create unique index subscription_alerts_code
    on invoicing.subscription_alerts (organization_id, external_subscription_id, code) where deleted_at is null;
create index subscription_alerts_due on invoicing.subscription_alerts (last_processed_at nulls first)
    where deleted_at is null;

alter table invoicing.subscription_alerts enable row level security;
create policy tenant on invoicing.subscription_alerts to wallet_api
    using (organization_id = nullif(current_setting('wallet.organization_id', true), '')::uuid);
create policy everyone on invoicing.subscription_alerts to wallet_worker using (true);
grant select, insert, update on invoicing.subscription_alerts to wallet_api, wallet_worker;
