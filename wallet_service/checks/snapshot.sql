-- What is unpacked, and which ledgers there are to be copied.

-- name: operations
select organization_id, kind, key, authorization_id, state, created_at from wallet.operations;

-- name: legs
select organization_id, id, legs from wallet.authorizations where legs <> '\x90';

-- name: payments
select organization_id, id, paid from wallet.authorizations where paid <> '\x90';

-- name: budget_parts
select organization_id, id, budgets from wallet.authorizations where budgets is not null;

-- name: ledgers
select ledger from wallet.assets order by ledger;
