-- What the committer says to Postgres for one batch, in the order in which it says it.

-- name: lock_customers
-- (1) Take the customers that are free, in the order of their ids, and count their versions up. Who is missing from
-- the answer is busy (or unknown).
with free as (
    select v.organization_id, v.customer_id
    from wallet.customer_versions v
    join unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
        using (organization_id, customer_id)
    order by v.organization_id, v.customer_id
    for no key update of v skip locked
)
update wallet.customer_versions v set version = v.version + 1
from free
where v.organization_id = free.organization_id and v.customer_id = free.customer_id
returning v.organization_id, v.customer_id, v.version;

-- name: wait_for_customers
-- (1) The same for the batch of those who were busy: waits, up to lock_timeout.
with mine as (
    select v.organization_id, v.customer_id
    from wallet.customer_versions v
    join unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
        using (organization_id, customer_id)
    order by v.organization_id, v.customer_id
    for no key update of v
)
update wallet.customer_versions v set version = v.version + 1
from mine
where v.organization_id = mine.organization_id and v.customer_id = mine.customer_id
returning v.organization_id, v.customer_id, v.version;

-- name: introduce_customers
-- A customer's first operation: the row that everything of it is locked by.
insert into wallet.customer_versions (organization_id, customer_id)
select * from unnest(:organization_ids::uuid[], :customer_ids::uuid[])
on conflict do nothing;

-- name: customer_versions
-- Versions without a lock, for a snapshot that is only shown.
select v.organization_id, v.customer_id, v.version
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
join wallet.customer_versions v using (organization_id, customer_id);

-- name: read_keys
-- (2) After the locks: what is known of each key, and the batch's time. One row a key, even of an unknown one.
select clock_timestamp() as now, wanted.organization_id, wanted.kind, wanted.key, o.id, o.customer_id,
    o.authorization_id, o.body_hash, o.state, o.attempt, o.reply
from unnest(:organization_ids::uuid[], :kinds::text[], :keys::text[]) as wanted (organization_id, kind, key)
left join wallet.operations o
    on o.organization_id = wanted.organization_id and o.kind = wanted.kind and o.key = wanted.key;

-- name: read_wallets
-- (2) Wallets that are active, or have a grant that is not put away yet, and those grants.
select w.organization_id, w.customer_id, w.id as wallet_id, w.asset_code, w.code, w.name, w.rate_amount, w.priority,
    w.status, w.fee_types, w.billable_metric_codes, w.on_shortfall, w.frozen, w.overdraft_limit_minor,
    w.overdraft_grant_id, w.expiration_at, g.id as grant_id, g.kind, g.priority as grant_priority, g.expires_at,
    g.amount_minor, g.expired_minor, g.voided_minor
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
join wallet.wallets w
    on w.organization_id = wanted.organization_id and w.customer_id = wanted.customer_id
left join wallet.grants g on g.organization_id = w.organization_id and g.wallet_id = w.id and g.is_open
where w.status = 'active' or g.id is not null;

-- name: read_holds
-- (2) The authorizations that are captured, extended, ended or refunded.
select a.organization_id, a.id, a.customer_id, a.external_customer_id, a.transaction_id, a.status, a.asset_code,
    a.amount_minor, a.captured_minor, a.overage_minor, a.refunded_minor, a.subscription_id, a.plan_version_id,
    a.items, a.legs, a.paid, a.step, a.expires_at, a.created_at, a.ended_at
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join wallet.authorizations a on a.organization_id = wanted.organization_id and a.id = wanted.id;

-- name: read_open_operations
-- (2) Intents of these customers that the ledger has not answered yet.
select o.organization_id, o.customer_id, o.authorization_id
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
join wallet.operations o on o.organization_id = wanted.organization_id and o.customer_id = wanted.customer_id
where o.state = 'open';

-- name: read_events
-- (2) Events to be reversed, with the reversals they have had.
select e.organization_id, e.id, e.transaction_id, e.code, e.properties, e.external_subscription_id,
    e.subscription_id, e.plan_version_id, e.timestamp, e.asset_code, e.paid, e.rating_status,
    e.external_customer_id,
    (select coalesce(-sum((line ->> 'amount_minor')::bigint), 0)::bigint
       from invoicing.events r cross join jsonb_array_elements(r.lines) as line
      where r.organization_id = e.organization_id and r.reverses_event_id = e.id) as reversed_minor
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join invoicing.events e on e.organization_id = wanted.organization_id and e.id = wanted.id;

-- name: read_transactions
-- (2) Wallet transactions to be settled, failed or voided.
select t.organization_id, t.customer_id, t.id, t.wallet_id, t.status, t.kind, t.amount_minor, t.credit_amount,
    t.priority, t.name, t.expires_at, t.cost_basis, t.cost_basis_currency, t.metadata, t.grant_id, t.created_at,
    t.invoice_requires_successful_payment
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join wallet.wallet_transactions t on t.organization_id = wanted.organization_id and t.id = wanted.id;

-- name: read_totals
-- (2) Running totals that prices depend on.
select t.organization_id, t.subscription_id, t.charge_id, t.filter_id, t.period_start, t.total
from unnest(:organization_ids::uuid[], :subscription_ids::uuid[], :charge_ids::uuid[], :filter_ids::uuid[],
            :period_starts::timestamptz[])
    as wanted (organization_id, subscription_id, charge_id, filter_id, period_start)
join wallet.totals t using (organization_id, subscription_id, charge_id, filter_id, period_start);

-- name: write_operations
-- (4) The keys, once. A refused one may be judged anew; fewer rows back than sent means that another transaction was
-- first with a key, and the batch runs again.
insert into wallet.operations (
    organization_id, kind, key, id, customer_id, authorization_id, body_hash, state, attempt, intent, reply,
    created_at)
select * from unnest(
    :organization_ids::uuid[], :kinds::text[], :keys::text[], :ids::uuid[], :customer_ids::uuid[],
    :authorization_ids::uuid[], :body_hashes::bytea[], :states::text[], :attempts::integer[], :intents::bytea[],
    :replies::bytea[], :created_at::timestamptz[])
on conflict (organization_id, kind, key) do update set
    body_hash = excluded.body_hash, authorization_id = excluded.authorization_id, state = excluded.state, attempt = excluded.attempt,
    intent = excluded.intent, reply = excluded.reply, created_at = excluded.created_at
where operations.state = 'refused' and operations.attempt < excluded.attempt
returning 1;

-- name: write_holds!
-- (4) New authorizations, and those that changed.
insert into wallet.authorizations (
    organization_id, id, customer_id, external_customer_id, transaction_id, status, asset_code, amount_minor,
    captured_minor, overage_minor, refunded_minor, subscription_id, plan_version_id, items, legs, paid, step,
    expires_at, created_at, ended_at)
select * from unnest(
    :organization_ids::uuid[], :ids::uuid[], :customer_ids::uuid[], :external_customer_ids::text[],
    :transaction_ids::text[], :statuses::text[], :asset_codes::text[], :amounts::bigint[], :captured::bigint[],
    :overages::bigint[], :refunded::bigint[], :subscription_ids::uuid[], :plan_version_ids::uuid[], :items::bytea[],
    :legs::bytea[], :paid::bytea[], :steps::integer[], :expires_at::timestamptz[], :created_at::timestamptz[],
    :ended_at::timestamptz[])
on conflict (organization_id, id) do update set
    status = excluded.status, amount_minor = excluded.amount_minor, captured_minor = excluded.captured_minor,
    overage_minor = excluded.overage_minor, refunded_minor = excluded.refunded_minor, items = excluded.items,
    legs = excluded.legs, paid = excluded.paid, step = excluded.step, expires_at = excluded.expires_at,
    ended_at = excluded.ended_at;

-- name: write_totals!
-- (4) Running totals after the batch.
insert into wallet.totals (organization_id, subscription_id, charge_id, filter_id, period_start, total)
select * from unnest(
    :organization_ids::uuid[], :subscription_ids::uuid[], :charge_ids::uuid[], :filter_ids::uuid[],
    :period_starts::timestamptz[], :totals::bytea[])
on conflict (organization_id, subscription_id, charge_id, filter_id, period_start) do update
    set total = excluded.total;

-- name: write_unrated!
-- (4) Usage that waits for its price.
insert into wallet.unrated_events (organization_id, event_id, timestamp, reason, detail, created_at)
select * from unnest(
    :organization_ids::uuid[], :ids::uuid[], :timestamps::timestamptz[], :reasons::text[], :details::text[],
    :created_at::timestamptz[])
on conflict (organization_id, event_id) do nothing;

-- name: delete_unrated!
-- (4) Usage that found its price.
delete from wallet.unrated_events u
using unnest(:organization_ids::uuid[], :ids::uuid[]) as rated (organization_id, event_id)
where u.organization_id = rated.organization_id and u.event_id = rated.event_id;

-- name: write_wallet!
insert into wallet.wallets (
    organization_id, id, customer_id, external_customer_id, code, name, asset_code, rate_amount, priority, status,
    fee_types, billable_metric_codes, on_shortfall, overdraft_limit_minor, overdraft_grant_id,
    paid_top_up_min_minor, paid_top_up_max_minor, invoice_requires_successful_payment, metadata, expiration_at,
    created_at, updated_at)
values (
    :organization_id, :id, :customer_id, :external_customer_id, :code, :name, :asset_code, :rate_amount, :priority,
    'active', :fee_types, :billable_metric_codes, :on_shortfall, :overdraft_limit_minor, :overdraft_grant_id,
    :paid_top_up_min_minor, :paid_top_up_max_minor, :invoice_requires_successful_payment, :metadata::jsonb,
    :expiration_at, :now, :now);

-- name: change_wallet!
-- Only the columns named in the JSON object take new values. `metadata_merge` and `metadata_remove` change entries of
-- what is there by then.
update wallet.wallets w set
    (name, priority, status, fee_types, billable_metric_codes, on_shortfall, frozen, overdraft_limit_minor,
     overdraft_grant_id, paid_top_up_min_minor, paid_top_up_max_minor, invoice_requires_successful_payment,
     metadata, expiration_at, terminated_at, updated_at)
    = (select r.name, r.priority, r.status, r.fee_types, r.billable_metric_codes, r.on_shortfall, r.frozen,
              r.overdraft_limit_minor, r.overdraft_grant_id, r.paid_top_up_min_minor, r.paid_top_up_max_minor,
              r.invoice_requires_successful_payment,
              (r.metadata || coalesce(:changes::jsonb -> 'metadata_merge', '{}'))
                  - array(select jsonb_array_elements_text(:changes::jsonb -> 'metadata_remove')),
              r.expiration_at, r.terminated_at,
              :now::timestamptz
         from jsonb_populate_record(w, :changes::jsonb) r)
where w.organization_id = :organization_id and w.id = :id;

-- name: write_grant!
insert into wallet.grants (
    organization_id, id, customer_id, wallet_id, kind, name, priority, amount_minor, cost_basis,
    cost_basis_currency, expires_at, wallet_transaction_id, created_at)
values (
    :organization_id, :id, :customer_id, :wallet_id, :kind, :name, :priority, :amount_minor, :cost_basis,
    :cost_basis_currency, :expires_at, :wallet_transaction_id, :now);

-- name: change_grant!
update wallet.grants set
    is_open = :is_open, amount_minor = amount_minor + :amount_minor, expired_minor = expired_minor + :expired_minor,
    voided_minor = voided_minor + :voided_minor, expires_at = coalesce(:expires_at, expires_at)
where organization_id = :organization_id and id = :id;

-- name: write_transaction!
insert into wallet.wallet_transactions (
    organization_id, id, wallet_id, customer_id, grant_id, name, status, transaction_type, transaction_status,
    amount_minor, credit_amount, priority, kind, cost_basis, cost_basis_currency, expires_at, voided_grants,
    metadata, invoice_requires_successful_payment, settled_at, created_at)
values (
    :organization_id, :id, :wallet_id, :customer_id, :grant_id, :name, :status, :transaction_type,
    :transaction_status, :amount_minor, :credit_amount, :priority, :kind, :cost_basis, :cost_basis_currency,
    :expires_at, :voided_grants::jsonb, :metadata::jsonb, :invoice_requires_successful_payment,
    case when :status = 'settled' then :now::timestamptz end, :now);

-- name: change_transaction!
update wallet.wallet_transactions set
    status = :status, grant_id = coalesce(:grant_id, grant_id),
    settled_at = case when :status = 'settled' then :now::timestamptz end,
    failed_at = case when :status = 'failed' then :now::timestamptz end
where organization_id = :organization_id and id = :id;

-- name: conclude
-- An intent comes to its end, once: no row back means that someone else went on.
update wallet.operations o set state = done.state, intent = null,
    reply = case when done.state = 'posted' then o.reply end
from unnest(:organization_ids::uuid[], :kinds::text[], :keys::text[], :attempts::integer[], :states::text[])
    as done (organization_id, kind, key, attempt, state)
where o.organization_id = done.organization_id and o.kind = done.kind and o.key = done.key
  and o.state = 'open' and o.attempt = done.attempt
returning o.organization_id, o.kind, o.key;

-- name: open_intents
-- Intents that nobody seems to be working on any more, or all of some customers.
select o.organization_id, o.kind, o.key, o.id, o.customer_id, o.attempt, o.intent
from wallet.operations o
where o.state = 'open' and o.created_at < clock_timestamp() - make_interval(secs => :age_s::float8)
  and (:customer_ids::uuid[] is null or o.customer_id = any(:customer_ids::uuid[]))
order by o.created_at
limit :limit
for no key update of o skip locked;
