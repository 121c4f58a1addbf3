-- Usage that comes late for a subscription that has ended is billed with another moment of its customer, or by itself: a
-- row of its own says as of when it was looked at. Replaces a check of billed_periods, which reads the table once under
-- an exclusive lock; one index on subscriptions, which holds off its writers for as long as building it takes.

alter table invoicing.billed_periods drop constraint billed_periods_reason_check;
alter table invoicing.billed_periods add constraint billed_periods_reason_check check (reason in
    ('subscription_starting', 'subscription_periodic', 'subscription_terminating', 'subscription_trial_ended',
     'fixed_charge_units_changed', 'progressive_billing', 'in_advance_charge', 'late_usage'));

create index subscriptions_ended on invoicing.subscriptions (id) where status = 'terminated';
