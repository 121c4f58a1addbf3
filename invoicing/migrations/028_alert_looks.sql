-- Alerts are looked at where usage has moved since, not all of them each minute. New columns without defaults: the table is
-- locked for an instant, and not rewritten.

alter table invoicing.subscription_alerts
    add column sealed_xact_id xid8,
    add column counted_at timestamptz;
comment on column invoicing.subscription_alerts.sealed_xact_id is
    'Events of transactions from this one on may not have been seen when it was looked at last. Null: it is to be looked at.';
comment on column invoicing.subscription_alerts.counted_at is
    'When previous_value was counted: of usage that began later nothing was seen.';
