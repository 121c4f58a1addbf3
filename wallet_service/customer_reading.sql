-- What is read of customers: step (2) of a batch, after the locks, or a snapshot that is only shown.

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
    a.items, a.legs, a.paid, a.step, a.expires_at, a.created_at, a.ended_at, a.api_key_id, a.budgets
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
    e.external_customer_id, e.lines,
    (select jsonb_agg(jsonb_build_array(b.budget_id, b.bucket, b.is_wide, e.code, b.starts_at, b.amount_minor))
       from wallet.event_budgets b
      where b.organization_id = e.organization_id and b.event_id = e.id) as budgets,
    (select coalesce(-sum((line ->> 'amount_minor')::bigint), 0)::bigint
       from invoicing.events r cross join jsonb_array_elements(r.lines) as line
      where r.organization_id = e.organization_id and r.reverses_event_id = e.id) as reversed_minor,
    (select count(*) from invoicing.events r
      where r.organization_id = e.organization_id and r.reverses_event_id = e.id) as reversals
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join invoicing.events e on e.organization_id = wanted.organization_id and e.id = wanted.id;

-- name: read_transactions
-- (2) Wallet transactions to be settled, failed or voided.
select t.organization_id, t.customer_id, t.id, t.wallet_id, t.status, t.kind, t.amount_minor, t.credit_amount,
    t.priority, t.name, t.expires_at, t.cost_basis, t.cost_basis_currency, t.metadata, t.grant_id, t.created_at,
    t.invoice_requires_successful_payment
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join wallet.wallet_transactions t on t.organization_id = wanted.organization_id and t.id = wanted.id;
