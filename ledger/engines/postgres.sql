-- name: lock_and_read(pending_ids, account_ids, transfer_ids)
-- Everything that judging a batch needs, in one round trip: customers' accounts are locked in the
-- order of their ids, those of the house are only read. Four kinds of rows: 0 account, 1 transfer,
-- 2 burnt id, 3 the clock. Whoever waits for a lock gets the row as it is now, but transfers as they
-- were before the wait: n6 tells, and the statement is run again.
with ending as (
    select debit_account_id, credit_account_id from ledger.transfers where id = any(:pending_ids::uuid[])
),
wanted as (
    select unnest(:account_ids::uuid[]) as id
    union select debit_account_id from ending
    union select credit_account_id from ending
),
locked as (
    select b.account_id, b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted,
           b.timestamp
    from ledger.balances b
    where b.account_id in (select id from wanted)
    order by b.account_id
    for no key update of b
)
select 0 as kind, a.id, a.ledger, a.flags, l.debits_pending as n1, l.debits_posted as n2,
       l.credits_pending as n3, l.credits_posted as n4, l.timestamp as n5,
       (seen.timestamp is distinct from l.timestamp)::integer::bigint as n6, null::integer as code, null::smallint as phase, null::smallint as ended,
       null::uuid as debit_account_id, null::uuid as credit_account_id, null::uuid as pending_id,
       null::uuid as user_data_128
from ledger.accounts a
left join locked l on l.account_id = a.id
left join ledger.balances seen on seen.account_id = a.id
where a.id in (select id from wanted)
union all
select 1, t.id, t.ledger, t.flags, t.amount, t.timeout_s, t.user_data_64, t.user_data_32, t.timestamp,
       null, t.code, t.phase, e.phase, t.debit_account_id, t.credit_account_id, t.pending_id,
       t.user_data_128
from ledger.transfers t
left join ledger.transfers e on e.pending_id = t.id
where t.id = any(:transfer_ids::uuid[] || :pending_ids::uuid[])
union all
select 2, id, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null
from ledger.burnt_ids where id = any(:transfer_ids::uuid[])
union all
select 3, null, null, null, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
       nextval('ledger.batches') % 1000, null, null, null, null, null, null, null, null, null, null, null;

-- name: write(transfers, balances)
-- What a judged batch leaves behind.
select booked, moved from ledger.book(:transfers::ledger.new_transfer[], :balances::ledger.moved_balance[]);

-- name: burn(ids)!
insert into ledger.burnt_ids (id) select unnest(:ids::uuid[]) on conflict do nothing;

-- name: find_accounts(ids)
select id, ledger, code, flags, user_data_128, user_data_64, user_data_32, timestamp
from ledger.accounts where id = any(:ids::uuid[]);

-- name: open_accounts(ids, ledgers, codes, flags, user_data_128, user_data_64, user_data_32, timestamps)
-- Answers the ids that this statement opened; the others were opened by someone else meanwhile.
with opened as (
    insert into ledger.accounts (
        id, ledger, code, flags, user_data_128, user_data_64, user_data_32, timestamp)
    select * from unnest(
        :ids::uuid[], :ledgers::bigint[], :codes::integer[], :flags::integer[],
        :user_data_128::uuid[], :user_data_64::bigint[], :user_data_32::bigint[],
        :timestamps::bigint[])
    on conflict do nothing
    returning id, flags, timestamp
),
limited as (
    insert into ledger.balances (account_id, limits_debits, limits_credits, timestamp)
    select id, flags & 2 > 0, flags & 4 > 0, timestamp from opened where flags & 6 > 0
),
of_the_house as (
    insert into ledger.house_balances (account_id) select id from opened where flags & 6 = 0
)
select id from opened;

-- name: read_clock()
select (extract(epoch from clock_timestamp()) * 1000000)::bigint as microseconds,
       nextval('ledger.batches') % 1000 as batch;

-- name: read_balances(house_ids, ids)
-- Customers' accounts from their row; the house's from the folded sums and whatever is newer.
with mark as (
    select folded_below from ledger.marks
),
newer as (
    select account_id, sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
           sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
    from (
        select debit_account_id as account_id,
               case phase when 1 then amount else -released end as debits_pending,
               case when phase in (0, 2) then amount else 0 end as debits_posted,
               0 as credits_pending, 0 as credits_posted
        from ledger.transfers where xact_id >= (select folded_below from mark)
        union all
        select credit_account_id, 0, 0,
               case phase when 1 then amount else -released end,
               case when phase in (0, 2) then amount else 0 end
        from ledger.transfers where xact_id >= (select folded_below from mark)
    ) as sides
    where account_id = any(:house_ids::uuid[])
    group by account_id
)
select account_id, debits_pending::numeric, debits_posted::numeric, credits_pending::numeric,
       credits_posted::numeric, (extract(epoch from statement_timestamp()) * 1000000)::bigint * 1000
from ledger.balances where account_id = any(:ids::uuid[])
union all
select h.account_id, h.debits_pending + coalesce(n.debits_pending, 0),
       h.debits_posted + coalesce(n.debits_posted, 0),
       h.credits_pending + coalesce(n.credits_pending, 0),
       h.credits_posted + coalesce(n.credits_posted, 0),
       (extract(epoch from statement_timestamp()) * 1000000)::bigint * 1000
from ledger.house_balances h
left join newer n on n.account_id = h.account_id
where h.account_id = any(:house_ids::uuid[]);

-- name: read_limited_balances(ids)
-- Customers' accounts from their rows. Which of the ids are accounts of the house is said by rows without sums.
select account_id, debits_pending, debits_posted, credits_pending, credits_posted,
       (extract(epoch from statement_timestamp()) * 1000000)::bigint * 1000
from ledger.balances where account_id = any(:ids::uuid[])
union all
select account_id, null, null, null, null, null
from ledger.house_balances where account_id = any(:ids::uuid[]);

-- name: find_transfers(ids)
select id, debit_account_id, credit_account_id, amount, ledger, code, phase, flags, pending_id,
       user_data_128, user_data_64, user_data_32, timeout_s, timestamp
from ledger.transfers where id = any(:ids::uuid[]) and phase <> 4;

-- name: account_transfers_oldest_first(account_id, since, until, limit)
select id, debit_account_id, credit_account_id, amount, ledger, code, phase, flags, pending_id,
       user_data_128, user_data_64, user_data_32, timeout_s, timestamp
from (
    (select * from ledger.transfers
     where debit_account_id = :account_id and timestamp between :since and :until and phase <> 4
     order by timestamp limit :limit)
    union all
    (select * from ledger.transfers
     where credit_account_id = :account_id and timestamp between :since and :until and phase <> 4
     order by timestamp limit :limit)
) as both_sides
order by timestamp limit :limit;

-- name: account_transfers_newest_first(account_id, since, until, limit)
select id, debit_account_id, credit_account_id, amount, ledger, code, phase, flags, pending_id,
       user_data_128, user_data_64, user_data_32, timeout_s, timestamp
from (
    (select * from ledger.transfers
     where debit_account_id = :account_id and timestamp between :since and :until and phase <> 4
     order by timestamp desc limit :limit)
    union all
    (select * from ledger.transfers
     where credit_account_id = :account_id and timestamp between :since and :until and phase <> 4
     order by timestamp desc limit :limit)
) as both_sides
order by timestamp desc limit :limit;

-- name: balance_at(account_id, until)
-- Summed from the account's own rows, whatever is stored beside them.
select coalesce(sum(debits_pending), 0) as debits_pending,
       coalesce(sum(debits_posted), 0) as debits_posted,
       coalesce(sum(credits_pending), 0) as credits_pending,
       coalesce(sum(credits_posted), 0) as credits_posted
from (
    select case phase when 1 then amount else -released end as debits_pending,
           case when phase in (0, 2) then amount else 0 end as debits_posted,
           0 as credits_pending, 0 as credits_posted
    from ledger.transfers where debit_account_id = :account_id and timestamp <= :until
    union all
    select 0, 0, case phase when 1 then amount else -released end,
           case when phase in (0, 2) then amount else 0 end
    from ledger.transfers where credit_account_id = :account_id and timestamp <= :until
) as sides;

-- name: ledger_accounts(after_id, ledger, limit)
select a.id, a.ledger, a.code, a.flags, a.user_data_128, a.user_data_64, a.user_data_32, a.timestamp
from ledger.accounts a
left join ledger.accounts after on after.id = :after_id
where a.ledger = :ledger
  and (a.timestamp, a.id) > (coalesce(after.timestamp, 0), coalesce(after.id, :after_id))
order by a.timestamp, a.id
limit :limit;

-- name: find_due(limit)
-- Holds whose timeout passed and that nobody ended. All that timed out before the mark were dealt
-- with; the minute behind it allows for transactions that were still open then.
select t.id, t.debit_account_id, t.credit_account_id
from ledger.transfers t
where t.expires_at between (select released_until from ledger.marks) - 60000000000
                       and (extract(epoch from statement_timestamp()) * 1000000)::bigint * 1000
  and not exists (select from ledger.transfers e where e.pending_id = t.id)
order by t.expires_at
limit :limit;

-- name: mark_released(until)!
update ledger.marks set released_until = greatest(released_until, :until::bigint);

-- name: fold()
-- Below the oldest transaction that is still running, every row is either visible to this snapshot
-- or will never be: those rows move into the stored sums. Sequence numbers could not tell: a
-- transaction that took a low number may commit late.
with mark as (
    select folded_below, greatest(folded_below, pg_snapshot_xmin(pg_current_snapshot())) as upto
    from ledger.marks
    for no key update skip locked
),
settled as (
    select t.debit_account_id, t.credit_account_id, t.phase, t.amount, t.released
    from ledger.transfers t
    where t.xact_id >= (select folded_below from mark) and t.xact_id < (select upto from mark)
),
sums as (
    select account_id, sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
           sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
    from (
        select debit_account_id as account_id,
               case phase when 1 then amount else -released end as debits_pending,
               case when phase in (0, 2) then amount else 0 end as debits_posted,
               0 as credits_pending, 0 as credits_posted
        from settled
        union all
        select credit_account_id, 0, 0,
               case phase when 1 then amount else -released end,
               case when phase in (0, 2) then amount else 0 end
        from settled
    ) as sides
    group by account_id
),
folded as (
    update ledger.house_balances h
    set debits_pending = h.debits_pending + s.debits_pending,
        debits_posted = h.debits_posted + s.debits_posted,
        credits_pending = h.credits_pending + s.credits_pending,
        credits_posted = h.credits_posted + s.credits_posted
    from sums s
    where h.account_id = s.account_id
),
moved as (
    update ledger.marks m set folded_below = mark.upto from mark
)
select count(*) from settled;

-- name: probe()
select 1 from ledger.marks;
