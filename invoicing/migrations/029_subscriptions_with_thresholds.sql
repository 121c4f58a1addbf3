-- Subscriptions with thresholds of their own are looked for twice a minute. Without an index that reads all subscriptions.
-- Holds off writers of invoicing.subscriptions while it reads them once.

create index subscriptions_with_thresholds on invoicing.subscriptions (id)
    where status = 'active' and jsonb_array_length(usage_thresholds) > 0;
