-- What is read of that which operations are about: step (2) of a batch.

-- name: read_keys
-- (2) What is known of these keys.
select o.organization_id, o.kind, o.key, o.id, o.customer_id, o.authorization_id, o.body_hash, o.state, o.attempt,
    o.reply
from unnest(:organization_ids::uuid[], :kinds::text[], :keys::text[]) as wanted (organization_id, kind, key)
join wallet.operations o
    on o.organization_id = wanted.organization_id and o.kind = wanted.kind and o.key = wanted.key;

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

-- name: read_deferred
-- (2) What was earned so far of what was paid for grants of native units.
select g.organization_id, g.customer_id, g.id, g.earned_minor, g.broken_minor
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join wallet.grants g on g.organization_id = wanted.organization_id and g.id = wanted.id;
