-- What is read of customers: step (2) of a batch, after its locks or without any, or a snapshot that is only shown.

-- name: customer_versions
-- Versions without a lock, for a snapshot that is only shown.
select v.organization_id, v.customer_id, v.version
from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
join wallet.customer_versions v using (organization_id, customer_id);

-- name: read_funded
-- (2) In one round trip: the batch's time, the customers that were locked (or all, where nothing was), with their
-- wallets, open grants and what the ledger in this database says of those; and the overage accounts that exist, in rows
-- of their own.
with mine as materialized (
    select v.organization_id, v.customer_id, v.version
    from unnest(:organization_ids::uuid[], :customer_ids::uuid[]) as wanted (organization_id, customer_id)
    join wallet.customer_versions v using (organization_id, customer_id)
    where not :only_locked::boolean or v.xmin = pg_current_xact_id()::xid
)
select clock.now, clock.batch, null::wallet.authorization_now as hold, mine.organization_id, mine.customer_id, mine.version, w.id as wallet_id, w.asset_code,
    w.code, w.name, w.rate_amount, w.priority, w.status, w.fee_types, w.billable_metric_codes, w.on_shortfall, w.frozen,
    w.overdraft_limit_minor, w.overdraft_grant_id, w.expiration_at, g.id as grant_id, g.kind,
    g.priority as grant_priority, g.expires_at, g.amount_minor, g.expired_minor, g.voided_minor, a.account_id, a.ledger,
    a.flags, a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted, a.timestamp
from (select clock_timestamp() as now, nextval('ledger.batches') % 1000 as batch) as clock
left join mine on true
left join wallet.wallets w on w.organization_id = mine.organization_id and w.customer_id = mine.customer_id
left join wallet.grants g on g.organization_id = w.organization_id and g.wallet_id = w.id and g.is_open
left join ledger.limited_accounts a on a.account_id = g.id
union all
select null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    null, null, null, null, null, null, null, null, a.account_id, a.ledger, a.flags, a.debits_pending, a.debits_posted,
    a.credits_pending, a.credits_posted, a.timestamp
from ledger.limited_accounts a
where a.account_id = any(:overage_ids::uuid[]);

-- name: holds_of_funded
-- What is added to that where operations are about authorizations: the same snapshot, and no round trip of its own.
select null, null, row(
        a.organization_id, a.id, a.customer_id, a.external_customer_id, a.transaction_id, a.status, a.asset_code,
        a.amount_minor, a.captured_minor, a.overage_minor, a.refunded_minor, a.subscription_id, a.plan_version_id,
        a.items, a.legs, a.paid, a.step, a.expires_at, a.created_at, a.ended_at, a.api_key_id, a.budgets
    )::wallet.authorization_now,
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    null, null, null, null, null, null, null, null, null, null, null, null, null
from unnest(:hold_organization_ids::uuid[], :hold_ids::uuid[]) as wanted (organization_id, id)
join wallet.authorizations a on a.organization_id = wanted.organization_id and a.id = wanted.id;

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
