-- A bucket of a budget stays for ever, and there may be one for each end user who was ever seen. The worker is to put
-- away those that nobody has used for longer than the budget's window, so they say when they were used. A day, not a
-- moment: it changes once a day, so that all other writes of a busy bucket go on leaving the index as it is.
-- Adds a column with a constant default, which rewrites nothing, and builds an index: writes to budgets wait for that,
-- some seconds for millions of buckets.

alter table wallet.budget_buckets add column used_on date not null default (now() at time zone 'utc')::date;
comment on column wallet.budget_buckets.used_on is 'The day (UTC) on which it was moved last.';
create index budget_buckets_unused on wallet.budget_buckets (organization_id, budget_id, used_on);

grant delete on wallet.budget_buckets to wallet_worker;
-- To lock what it deletes.
grant update (used_on) on wallet.budget_buckets to wallet_worker;
