-- What is written of customers when a batch was decided, step (4), or when an intent was posted.

-- name: write_batch
-- (4) The keys, once, the authorizations as they now are, and the transfers (of an engine in this database). A refused
-- key may be judged anew; fewer rows than sent means that another transaction was first with a key, and the batch runs
-- again.
with kept as (
    insert into wallet.operations (
        organization_id, kind, key, id, customer_id, authorization_id, body_hash, state, attempt, intent, reply,
        created_at)
    select * from unnest(:operations::wallet.new_operation[])
    on conflict (organization_id, kind, key) do update set
        body_hash = excluded.body_hash, authorization_id = excluded.authorization_id, state = excluded.state,
        attempt = excluded.attempt, intent = excluded.intent, reply = excluded.reply, created_at = excluded.created_at
    where operations.state = 'refused' and operations.attempt < excluded.attempt
    returning 1
),
held as (
    insert into wallet.authorizations (
        organization_id, id, customer_id, external_customer_id, transaction_id, status, asset_code, amount_minor,
        captured_minor, overage_minor, refunded_minor, subscription_id, plan_version_id, items, legs, paid, step,
        expires_at, created_at, ended_at, api_key_id, budgets)
    select * from unnest(:authorizations::wallet.authorization_now[])
    on conflict (organization_id, id) do update set
        status = excluded.status, amount_minor = excluded.amount_minor, captured_minor = excluded.captured_minor,
        overage_minor = excluded.overage_minor, refunded_minor = excluded.refunded_minor, items = excluded.items,
        legs = excluded.legs, paid = excluded.paid, step = excluded.step, expires_at = excluded.expires_at,
        ended_at = excluded.ended_at, budgets = excluded.budgets
)
select (select count(*) from kept) as kept, book.booked, book.moved
from ledger.book(:transfers::ledger.new_transfer[], :balances::ledger.moved_balance[]) as book;

-- name: write_unmoved
-- What of a batch that was judged without locks is still as it was read, in a transaction of its own.
select wallet.write_those_unmoved(
    :customers::wallet.version_read[], :operations::wallet.new_operation[],
    :authorizations::wallet.authorization_now[], :events::invoicing.new_event[], :transfers::ledger.new_transfer[],
    :balances::ledger.moved_balance[], :transfer_customers::integer[]) as moved;

-- name: conclude_intents
-- Intents that the ledger has answered, with all that those which it has posted have come to.
select wallet.conclude_intents(
    :customers::wallet.version_read[], :organization_ids::uuid[], :kinds::text[], :keys::text[], :attempts::integer[],
    :states::text[], :authorizations::wallet.authorization_now[], :events::invoicing.new_event[]) as moved;

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
    cost_basis_currency, expires_at, wallet_transaction_id, deferred_minor, created_at)
values (
    :organization_id, :id, :customer_id, :wallet_id, :kind, :name, :priority, :amount_minor, :cost_basis,
    :cost_basis_currency, :expires_at, :wallet_transaction_id, :deferred_minor, :now);

-- name: change_grant!
update wallet.grants set
    is_open = coalesce(:is_open, is_open), amount_minor = amount_minor + :amount_minor,
    expired_minor = expired_minor + :expired_minor, voided_minor = voided_minor + :voided_minor,
    expires_at = coalesce(:expires_at, expires_at), earned_minor = earned_minor + :earned_minor,
    broken_minor = broken_minor + :broken_minor
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
