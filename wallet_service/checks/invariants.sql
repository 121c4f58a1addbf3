-- One query for how many things an invariant is about, and one for each way in which it can be broken. A breach is a
-- line of text, and the parameter of its query is how many of them are shown.

-- name: accounts_checked$
select count(*) from wallet.book_accounts;

-- name: unbalanced_ledgers(limit)
-- I1: Σ debits = Σ credits.
select format('ledger %s: debits %s (pending %s), credits %s (pending %s)', ledger, sum(debits_posted),
    sum(debits_pending), sum(credits_posted), sum(credits_pending)) as breach
from wallet.book_accounts
group by ledger
having sum(debits_posted) <> sum(credits_posted) or sum(debits_pending) <> sum(credits_pending)
order by ledger limit :limit;

-- name: wrong_balances(limit)
-- I1: a stored balance is the sum of its transfers.
select format('account %s: kept %s, its transfers come to %s', coalesce(a.id, e.account_id),
    array[a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted],
    array[e.debits_pending, e.debits_posted, e.credits_pending, e.credits_posted]) as breach
from wallet.book_accounts a
full join (
    select account_id, sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
           sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
    from wallet.book_entries group by account_id
) e on e.account_id = a.id
where a.id is null or (a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted) is distinct from
    (coalesce(e.debits_pending, 0), coalesce(e.debits_posted, 0), coalesce(e.credits_pending, 0),
     coalesce(e.credits_posted, 0))
order by coalesce(a.id, e.account_id) limit :limit;

-- name: transfers_checked$
select count(*) from wallet.book_transfers where phase <> 4;

-- name: transfers_without_operation(limit)
-- I2: nothing is in the book without an operation. Keys are kept for 30 days; what is older cannot be asked for one.
select format('transfer %s carries the reference of no operation', t.id) as breach
from wallet.book_transfers t
left join wallet.checked_operations o on o.reference = t.user_data_128
where t.phase <> 4 and o.reference is null
  and t.timestamp > (extract(epoch from clock_timestamp() - interval '29 days') * 1000000000)::bigint
order by t.id limit :limit;

-- name: legs_not_in_book(limit)
-- I2: what an authorization holds is in the book.
select format('authorization %s: no transfer %s holds %s of grant %s', l.authorization_id, l.transfer_id,
    l.amount_minor, l.grant_id) as breach
from wallet.checked_legs l
left join wallet.book_transfers t on t.id = l.transfer_id
where t.id is null or t.phase <> 1 or t.amount <> l.amount_minor or t.debit_account_id <> l.grant_id
order by l.transfer_id limit :limit;

-- name: payments_not_in_book(limit)
-- I2: what an authorization was paid with is in the book.
select format('authorization %s: no transfer %s of %s', p.authorization_id, p.transfer_id, p.amount_minor) as breach
from (
    select authorization_id, transfer_id, sum(amount_minor) as amount_minor
    from wallet.checked_payments group by authorization_id, transfer_id
) p
left join wallet.book_transfers t on t.id = p.transfer_id
where t.id is null or t.phase not in (0, 2) or t.amount <> p.amount_minor
order by p.transfer_id limit :limit;

-- name: charges_not_in_book(limit)
-- I2: what an event was charged (or given back) is in the book. Events of the last 30 days.
select format('event %s: no transfer %s of %s', p.event_id, p.transfer_id, p.amount_minor) as breach
from (
    select e.id as event_id, (entry ->> 0)::uuid as transfer_id, abs(sum((entry ->> 2)::numeric)) as amount_minor
    from invoicing.events e cross join jsonb_array_elements(e.paid) as entry
    where e.timestamp > clock_timestamp() - interval '30 days'
    group by e.id, (entry ->> 0)::uuid
) p
left join wallet.book_transfers t on t.id = p.transfer_id
where t.id is null or t.phase not in (0, 2) or t.amount <> p.amount_minor
order by p.transfer_id limit :limit;

-- name: holds_not_in_book(limit)
-- I2: an authorization that was given is in the book, also after its end.
select format('authorization %s of %s: its operation has no transfer', a.id, a.amount_minor) as breach
from wallet.authorizations a
join wallet.checked_operations o
    on o.organization_id = a.organization_id and o.authorization_id = a.id and o.key = a.transaction_id
    and o.kind in ('authorization', 'authorize') and o.state = 'posted'
left join wallet.book_transfers t on t.user_data_128 = o.reference and t.phase = 1
where a.amount_minor > 0 and t.id is null
order by a.id limit :limit;

-- name: limited_accounts_checked$
select count(*) from wallet.book_accounts where flags & 6 > 0;

-- name: accounts_below_zero(limit)
-- I3: at no moment of its history was a limited account below zero.
select format('account %s was at %s', account_id, min(balance)) as breach
from (
    select e.account_id, a.flags,
        case when a.flags & 2 > 0
            then sum(e.credits_posted - e.debits_posted - e.debits_pending) over history
            else sum(e.debits_posted - e.credits_posted - e.credits_pending) over history
        end as balance
    from wallet.book_entries e
    join wallet.book_accounts a on a.id = e.account_id and a.flags & 6 > 0
    window history as (partition by e.account_id order by e.timestamp)
) replayed
where balance < 0
group by account_id order by account_id limit :limit;

-- name: operations_checked$
select count(*) from wallet.checked_operations;

-- name: keys_twice(limit)
-- I5: a key has one row.
select format('organization %s, %s %s: %s rows', organization_id, kind, key, count(*)) as breach
from wallet.checked_operations
group by organization_id, kind, key having count(*) > 1
order by 1 limit :limit;

-- name: posted_without_reply(limit)
-- I5: whoever repeats a posted operation gets its first reply.
select format('organization %s, %s %s: posted, and no reply is kept', organization_id, kind, key) as breach
from wallet.operations where state = 'posted' and reply is null
order by 1 limit :limit;

-- name: effects_twice(limit)
-- I5: an operation is one chain, so of its transfers exactly one, the last, is not linked to the next.
select format('reference %s: %s chains in the book', user_data_128, count(*) filter (where not is_linked)) as breach
from wallet.book_transfers
where phase <> 4 and user_data_128 <> '00000000-0000-0000-0000-000000000000'
group by user_data_128 having count(*) filter (where not is_linked) <> 1
order by user_data_128 limit :limit;

-- name: refused_checked$
select count(*) from wallet.checked_operations where state = 'refused';

-- name: refused_that_moved(limit)
-- I6: what was refused has moved nothing.
select format('organization %s, %s %s: refused, but transfer %s is in the book', o.organization_id, o.kind, o.key,
    t.id) as breach
from wallet.checked_operations o
join wallet.book_transfers t on t.user_data_128 = o.reference
where o.state = 'refused'
order by t.id limit :limit;

-- name: authorizations_checked$
select count(*) from wallet.authorizations;

-- name: ended_with_legs(limit)
-- I7: what has ended holds nothing.
select format('authorization %s is %s and still names transfer %s', a.id, a.status, l.transfer_id) as breach
from wallet.checked_legs l
join wallet.authorizations a on a.organization_id = l.organization_id and a.id = l.authorization_id
where a.status <> 'held'
order by l.transfer_id limit :limit;

-- name: live_without_authorization(limit)
-- I7: whatever the book holds, it holds for exactly one live authorization. Unless its operation is under way.
select format('transfer %s holds %s, for %s authorizations', t.id, t.amount, count(a.id)) as breach
from wallet.book_transfers t
left join wallet.book_transfers ended on ended.pending_id = t.id
left join wallet.checked_operations o on o.reference = t.user_data_128 and o.state = 'open'
left join wallet.checked_legs l on l.transfer_id = t.id
left join wallet.authorizations a
    on a.organization_id = l.organization_id and a.id = l.authorization_id and a.status = 'held'
where t.phase = 1 and ended.id is null and o.reference is null
group by t.id, t.amount having count(a.id) <> 1
order by t.id limit :limit;

-- name: held_but_over(limit)
-- I7: what an authorization believes to hold is not over in the book.
select format('authorization %s: transfer %s is over', l.authorization_id, l.transfer_id) as breach
from wallet.checked_legs l
join wallet.book_transfers ended on ended.pending_id = l.transfer_id
order by l.transfer_id limit :limit;

-- name: overdue(limit)
-- I7: a hold ends at its time.
select format('authorization %s should have ended at %s', id, expires_at) as breach
from wallet.authorizations
where status = 'held' and expires_at < clock_timestamp() - interval '5 seconds'
order by id limit :limit;

-- name: captured_otherwise_than_paid(limit)
-- I8: what was captured is what was paid, and what nobody could pay is named.
select format('authorization %s: captured %s (overage %s, refunded %s), its payments say %s (%s, %s)', a.id,
    a.captured_minor, a.overage_minor, a.refunded_minor, coalesce(p.paid, 0), coalesce(p.overage, 0),
    coalesce(p.refunded, 0)) as breach
from wallet.authorizations a
left join (
    select organization_id, authorization_id, sum(amount_minor) as paid, sum(refunded_minor) as refunded,
        sum(amount_minor) filter (where grant_id = '00000000-0000-0000-0000-000000000000') as overage
    from wallet.checked_payments group by organization_id, authorization_id
) p on p.organization_id = a.organization_id and p.authorization_id = a.id
where (a.captured_minor, a.overage_minor, a.refunded_minor)
    is distinct from (coalesce(p.paid, 0), coalesce(p.overage, 0), coalesce(p.refunded, 0))
order by a.id limit :limit;

-- name: captured_otherwise_than_booked(limit)
-- I8: what was captured is what its operations have booked: posts of the hold, debits, overage.
select format('authorization %s: captured %s, booked %s', a.id, a.captured_minor, coalesce(b.booked, 0)) as breach
from wallet.authorizations a
left join (
    select o.organization_id, o.authorization_id, sum(t.amount) as booked
    from wallet.checked_operations o
    join wallet.book_transfers t on t.user_data_128 = o.reference
    where o.authorization_id is not null and (t.phase = 2 or (t.phase = 0 and t.code in (4, 7, 8)))
    group by o.organization_id, o.authorization_id
) b on b.organization_id = a.organization_id and b.authorization_id = a.id
where a.created_at > clock_timestamp() - interval '29 days' and a.captured_minor <> coalesce(b.booked, 0)
  and not exists (
    select from wallet.operations o
    where o.organization_id = a.organization_id and o.customer_id = a.customer_id
      and o.authorization_id = a.id and o.state = 'open')
order by a.id limit :limit;

-- name: grants_checked$
select count(*) from wallet.grants;

-- name: grants_that_do_not_add_up(limit)
-- I14: granted = burnt + expired + voided + held + remaining, and the row says the same as the book.
select format('grant %s: granted %s (the book %s), expired %s (%s), voided %s (%s), returned %s, burnt %s, held %s, '
    'left %s', coalesce(g.id, a.id), g.amount_minor, e.granted, g.expired_minor, e.expired, g.voided_minor, e.voided,
    e.returned, e.burnt, a.debits_pending, a.credits_posted - a.debits_posted - a.debits_pending) as breach
from wallet.grants g
full join (select * from wallet.book_accounts where code in (1, 2, 3)) a on a.id = g.id
left join (
    select account_id,
        coalesce(sum(credits_posted) filter (where code in (1, 2, 17, 31)), 0)
            + coalesce(sum(credits_posted - debits_posted) filter (where code = 14), 0) as granted,
        coalesce(sum(credits_posted) filter (where code not in (1, 2, 14, 17, 31)), 0) as returned,
        coalesce(sum(debits_posted) filter (where code = 12), 0) as expired,
        coalesce(sum(debits_posted) filter (where code = 13), 0) as voided,
        coalesce(sum(debits_posted) filter (where code not in (12, 13, 14)), 0) as burnt
    from wallet.book_entries group by account_id
) e on e.account_id = coalesce(g.id, a.id)
where g.id is null or a.id is null
   or (g.amount_minor, g.expired_minor, g.voided_minor)
        is distinct from (coalesce(e.granted, 0), coalesce(e.expired, 0), coalesce(e.voided, 0))
   or coalesce(e.granted + e.returned - e.burnt - e.expired - e.voided, 0) <> a.credits_posted - a.debits_posted
   or a.credits_posted - a.debits_posted - a.debits_pending < 0
order by coalesce(g.id, a.id) limit :limit;

-- name: deferred_otherwise_than_grants(limit)
-- I14: what was paid for native units that are left is deferred revenue: what grants say of it is what the book has.
select format('organization %s: deferred_revenue has %s %s, its grants defer %s', s.organization_id,
    coalesce(a.balance, 0), s.code, coalesce(g.deferred, 0)) as breach
from wallet.assets s
left join (
    select ledger, sum(credits_posted - debits_posted) as balance
    from wallet.book_accounts where code = 19 group by ledger
) a on a.ledger = s.ledger
left join (
    select organization_id, cost_basis_currency, sum(deferred_minor - earned_minor - broken_minor) as deferred
    from wallet.grants where deferred_minor > 0 group by organization_id, cost_basis_currency
) g on g.organization_id = s.organization_id and g.cost_basis_currency = s.code
where coalesce(a.balance, 0) <> coalesce(g.deferred, 0)
order by 1 limit :limit;

-- name: rollups_checked$
select count(*) from invoicing.usage_rollups;

-- name: rollups_otherwise_than_events(limit)
-- I24: a month of usage is what its events come to, as far as they are folded.
select format('subscription %s, charge %s, filter %s, group %s, %s: rolled up %s, the events come to %s',
    coalesce(r.subscription_id, e.subscription_id), coalesce(r.charge_id, e.charge_id),
    coalesce(r.filter_id, e.filter_id), coalesce(r.grouped_by, e.grouped_by),
    coalesce(r.bucket_start, e.bucket_start), r.sums, e.sums) as breach
from (
    select k.organization_id, k.subscription_id, k.charge_id, k.filter_id, k.grouped_by, k.presented_by, k.asset_code,
        b.plan_version_id, b.bucket_start,
        array[b.events, b.units, b.units_max, b.last_units, b.moment, b.precise_cents, b.exact, b.debited_minor,
              b.corrections, b.reversals]::numeric[] as sums
    from invoicing.usage_rollups b
    join invoicing.usage_keys k on k.organization_id = b.organization_id and k.id = b.key_id
    where b.width = 'month' and (b.events, b.units, b.reversals) is distinct from (0, 0, 0)
) r
full join (
    select l.organization_id, l.subscription_id, l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code,
        l.plan_version_id, date_trunc('month', l.used_at, 'UTC') as bucket_start,
        array[sum(l.events), sum(l.units), max(l.units) filter (where not l.is_reversal),
              (array_agg(l.units order by l.used_at desc, l.event_id desc) filter (where not l.is_reversal))[1],
              sum(l.units * (extract(epoch from l.used_at) * 1000000)::bigint), sum(l.precise_cents), sum(l.exact),
              sum(l.debited_minor), coalesce(sum(l.events) filter (where l.removes or l.units * l.events < 0), 0),
              count(*) filter (where l.is_reversal)]::numeric[] as sums
    from invoicing.usage_lines l
    where l.xact_id < (select folded_below from invoicing.usage_marks)
    group by l.organization_id, l.subscription_id, l.charge_id, l.filter_id, l.grouped_by, l.presented_by, l.asset_code,
        l.plan_version_id, 9
) e using (organization_id, subscription_id, charge_id, filter_id, grouped_by, presented_by, asset_code,
           plan_version_id, bucket_start)
where r.sums is distinct from e.sums
order by 1 limit :limit;

-- name: rollups_that_disagree(limit)
-- I24: hours add up to days, and days to months.
select format('usage key %s, %s of %s: %s, its %ss come to %s', coalesce(w.key_id, n.key_id), n.wider,
    coalesce(w.bucket_start, n.bucket_start), w.sums, n.width, n.sums) as breach
from (
    select organization_id, key_id, plan_version_id, width, wider, date_trunc(wider, bucket_start, 'UTC') as bucket_start,
        array[sum(events), sum(units), sum(moment), sum(exact), sum(debited_minor), sum(reversals), sum(members)]
            ::numeric[] as sums
    from invoicing.usage_rollups
    join (values ('hour', 'day'), ('day', 'month')) as s (width, wider) using (width)
    group by 1, 2, 3, 4, 5, 6
) n
full join (
    select organization_id, key_id, plan_version_id, width as wider, bucket_start,
        array[events, units, moment, exact, debited_minor, reversals, members]::numeric[] as sums
    from invoicing.usage_rollups where width <> 'hour'
) w using (organization_id, key_id, plan_version_id, wider, bucket_start)
where w.sums is distinct from n.sums
order by 1 limit :limit;

-- name: members_otherwise_than_events(limit)
-- I24: the last operation on each value of a unique count is kept, and counted where it falls.
select format('usage key %s: %s values, counted %s, the events come to %s', k.id, m.kept, b.counted, e.there) as breach
from invoicing.usage_keys k
left join (
    select organization_id, key_id, count(*) filter (where not removes) as kept
    from invoicing.usage_members group by organization_id, key_id
) m on m.organization_id = k.organization_id and m.key_id = k.id
left join (
    select organization_id, key_id, sum(members) as counted
    from invoicing.usage_rollups where width = 'month' group by organization_id, key_id
) b on b.organization_id = k.organization_id and b.key_id = k.id
left join (
    select organization_id, subscription_id, charge_id, filter_id, grouped_by, asset_code,
        count(*) filter (where not removes) as there
    from (
        select distinct on (organization_id, subscription_id, charge_id, filter_id, grouped_by, asset_code, member) *
        from invoicing.usage_lines
        where member is not null and not is_reversal
          and xact_id < (select folded_below from invoicing.usage_marks)
        order by organization_id, subscription_id, charge_id, filter_id, grouped_by, asset_code, member, used_at desc,
            event_id desc
    ) last
    group by organization_id, subscription_id, charge_id, filter_id, grouped_by, asset_code
) e on e.organization_id = k.organization_id and e.subscription_id = k.subscription_id and e.charge_id = k.charge_id
    and e.filter_id = k.filter_id and e.grouped_by = k.grouped_by and e.asset_code = k.asset_code
    and k.presented_by = ''
where (coalesce(m.kept, 0), coalesce(b.counted, 0)) is distinct from (coalesce(e.there, 0), coalesce(e.there, 0))
order by 1 limit :limit;

-- name: append_only_tables$
select count(*) from wallet.append_only_tables;

-- name: changeable(limit)
-- I16: no role of ours may change or delete what is history. An event may be rated late; its facts stay, and the trigger
-- lets at most one property be added to them, which an expression computes.
select format('%s may %s %s', role, privilege, t.relation) as breach
from wallet.append_only_tables t
cross join unnest(array['wallet_api', 'wallet_committer', 'wallet_worker']) as role
cross join unnest(array['update', 'delete', 'truncate']) as privilege
where has_table_privilege(role, t.relation, privilege)
union all
select format('%s may update %s.%s', role, t.relation, c.attname)
from wallet.append_only_tables t
join pg_attribute c on c.attrelid = t.relation and c.attnum > 0 and not c.attisdropped
cross join unnest(array['wallet_api', 'wallet_committer', 'wallet_worker']) as role
where has_column_privilege(role, t.relation, c.attnum, 'update')
  and not (c.attname = any(t.late_columns))
order by 1 limit :limit;

-- name: unguarded(limit)
-- I16: a trigger refuses it to the owner too. Partitions have their parent's; only the whole can be emptied at once.
select format('%s has no trigger that refuses %s', t.relation, wanted.what) as breach
from wallet.append_only_tables t
cross join (values ('update and delete', 1 + 2 + 8 + 16), ('truncate', 2 + 32)) as wanted (what, bits)
where not exists (
    select from pg_trigger g join pg_proc p on p.oid = g.tgfoid
    where g.tgrelid = t.relation and g.tgtype & wanted.bits = wanted.bits and g.tgenabled in ('O', 'A')
      and p.proname in ('refuse_change', 'refuse_all_but_late_rating'))
  and (wanted.what <> 'truncate' or not t.is_partition)
order by 1 limit :limit;

-- name: customers_after(after_organization_id, after_customer_id, limit)
-- I4: the next slice of all customers.
select organization_id, customer_id
from wallet.customer_versions
where (organization_id, customer_id) > (:after_organization_id::uuid, :after_customer_id::uuid)
order by organization_id, customer_id
limit :limit;

-- name: budgets_checked$
select count(*) from wallet.budget_buckets k
join wallet.budgets b on b.organization_id = k.organization_id and b.id = k.budget_id and b.deleted_at is null;

-- name: buckets_otherwise_than_held(limit)
-- I25: what a bucket holds is what live holds have reserved there. Unless an operation is under way.
select format('budget %s, bucket %s: holds %s, authorizations say %s', b.id, coalesce(k.bucket, p.bucket),
    coalesce(k.held_minor, 0), coalesce(p.held_minor, 0)) as breach
from wallet.budget_buckets k
full join (
    select organization_id, budget_id, bucket, sum(amount_minor) as held_minor
    from wallet.checked_budget_parts where starts_at is null
    group by organization_id, budget_id, bucket
) p on p.organization_id = k.organization_id and p.budget_id = k.budget_id and p.bucket = k.bucket
join wallet.budgets b
    on b.organization_id = coalesce(k.organization_id, p.organization_id)
    and b.id = coalesce(k.budget_id, p.budget_id) and b.deleted_at is null
where coalesce(k.held_minor, 0) <> coalesce(p.held_minor, 0)
  and not exists (
    select from wallet.operations o where o.organization_id = b.organization_id and o.state = 'open')
order by 1 limit :limit;

-- name: windows_otherwise_than_spent(limit)
-- I25: what was spent in a window is what authorizations and events have there; windows that may count still.
select format('budget %s, bucket %s, from %s: spent %s, authorizations and events say %s', b.id,
    coalesce(w.bucket, p.bucket), coalesce(w.starts_at, p.starts_at), coalesce(w.spent_minor, 0),
    coalesce(p.spent_minor, 0)) as breach
from wallet.budget_windows w
full join (
    select organization_id, budget_id, bucket, starts_at, sum(amount_minor) as spent_minor
    from (
        select organization_id, budget_id, bucket, starts_at, amount_minor
        from wallet.checked_budget_parts where starts_at is not null
        union all
        select organization_id, budget_id, bucket, starts_at, amount_minor from wallet.event_budgets
    ) said
    group by organization_id, budget_id, bucket, starts_at
) p on p.organization_id = w.organization_id and p.budget_id = w.budget_id and p.bucket = w.bucket
    and p.starts_at = w.starts_at
join wallet.budgets b
    on b.organization_id = coalesce(w.organization_id, p.organization_id)
    and b.id = coalesce(w.budget_id, p.budget_id) and b.deleted_at is null
where coalesce(w.spent_minor, 0) <> coalesce(p.spent_minor, 0)
  and (b.kept_s is null or coalesce(w.starts_at, p.starts_at) > clock_timestamp() - make_interval(secs => b.kept_s))
  and not exists (
    select from wallet.operations o where o.organization_id = b.organization_id and o.state = 'open')
order by 1 limit :limit;

-- name: more_in_a_budget_than_held(limit)
-- I25: nobody reserves more in a budget than is held.
select format('authorization %s (%s): reserves %s in budget %s, and holds %s', a.id, a.status, p.amount_minor,
    p.budget_id, coalesce(l.held_minor, 0)) as breach
from wallet.checked_budget_parts p
join wallet.authorizations a on a.organization_id = p.organization_id and a.id = p.authorization_id
left join (
    select organization_id, authorization_id, sum(amount_minor) as held_minor
    from wallet.checked_legs group by organization_id, authorization_id
) l on l.organization_id = p.organization_id and l.authorization_id = p.authorization_id
where p.starts_at is null and (a.status <> 'held' or p.amount_minor > coalesce(l.held_minor, 0))
order by 1 limit :limit;

-- name: more_in_a_budget_than_captured(limit)
-- I25: nobody has spent more in a budget than was captured and not refunded.
select format('authorization %s: has %s in budget %s, captured %s, refunded %s', a.id, p.spent_minor, p.budget_id,
    a.captured_minor, a.refunded_minor) as breach
from (
    select organization_id, authorization_id, budget_id, sum(amount_minor) as spent_minor
    from wallet.checked_budget_parts where starts_at is not null
    group by organization_id, authorization_id, budget_id
) p
join wallet.authorizations a on a.organization_id = p.organization_id and a.id = p.authorization_id
where p.spent_minor > a.captured_minor - a.refunded_minor
order by 1 limit :limit;

-- name: more_in_a_budget_than_charged(limit)
-- I25: an event has spent in a budget what it was charged, and is given back no more. Events of the last 30 days.
select format('event %s: charged %s, spent %s in budget %s, given back %s', e.id, c.charged_minor, p.spent_minor,
    p.budget_id, p.returned_minor) as breach
from (
    select organization_id, event_id, budget_id, sum(amount_minor) filter (where amount_minor > 0) as spent_minor,
        coalesce(-sum(amount_minor) filter (where amount_minor < 0), 0) as returned_minor
    from wallet.event_budgets group by organization_id, event_id, budget_id
) p
join invoicing.events e on e.organization_id = p.organization_id and e.id = p.event_id
cross join lateral (
    select sum((line ->> 'amount_minor')::numeric) as charged_minor from jsonb_array_elements(e.lines) as line
) c
where e.timestamp > clock_timestamp() - interval '30 days'
  and (p.spent_minor <> c.charged_minor or p.returned_minor > p.spent_minor)
order by 1 limit :limit;
