-- What is paid for native units is earned as they are used: each grant says what was paid for it and how much of that is
-- earned, or lost to expiry, by now. Grants from before say nothing: their money is not in the book, and is not earned.
-- Adds columns with constant defaults, which rewrites nothing, and builds an index of what is deferred, which is nothing
-- yet: reading the table once holds off writes to grants, some seconds for millions of them.

alter table wallet.grants
    add column deferred_minor bigint not null default 0 check (deferred_minor >= 0),
    add column earned_minor bigint not null default 0,
    add column broken_minor bigint not null default 0;
comment on column wallet.grants.deferred_minor is
    'What was paid for native units, in the smallest unit of the asset of cost_basis_currency.';
comment on column wallet.grants.earned_minor is 'How much of it is revenue by now, since units were used.';
comment on column wallet.grants.broken_minor is 'How much of it is breakage, since units expired or were voided.';
create index grants_deferred on wallet.grants (organization_id, id)
    where deferred_minor > 0 and (is_open or earned_minor + broken_minor < deferred_minor);
