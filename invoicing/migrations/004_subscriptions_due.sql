-- Finds the few subscriptions that are to start or to end by now, among all. Two partial indexes on a table that is
-- written rarely; building them holds off its writers for as long as reading it once takes.

create index subscriptions_to_start on invoicing.subscriptions (subscription_at) where status = 'pending';
create index subscriptions_to_end on invoicing.subscriptions (ending_at)
    where status = 'active' and ending_at is not null;
