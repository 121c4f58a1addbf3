-- Running totals of each group of a charge (pricing group keys), and of each member that a unique count has.
-- Adds a column with a constant default and widens the primary key: building the index holds off whoever writes totals
-- for as long as reading the table once takes.

alter table wallet.totals add column group_id uuid not null default '00000000-0000-0000-0000-000000000000';
alter table wallet.totals drop constraint totals_pkey,
    add primary key (organization_id, subscription_id, charge_id, filter_id, period_start, group_id);
comment on column wallet.totals.group_id is
    'The hash of the values of the pricing group keys, or of a group and a member counted once; nil for neither.';
