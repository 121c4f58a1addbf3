-- What makes a copied book complete.

-- name: fill_in_released!
-- An end takes the whole amount of its hold off the pending sums.
update wallet.checked_transfers t set released = p.amount
from wallet.checked_transfers p
where t.pending_id = p.id;

-- name: time_out!
-- A hold that timed out has no entry in a book that lets go by itself.
insert into wallet.checked_transfers (
    id, debit_account_id, credit_account_id, amount, released, ledger, code, phase, is_linked, pending_id,
    user_data_128, expires_at, timestamp)
select gen_random_uuid(), t.debit_account_id, t.credit_account_id, 0, t.amount, t.ledger, t.code, 4, false, t.id,
    '00000000-0000-0000-0000-000000000000', 0, t.expires_at
from wallet.checked_transfers t
where t.phase = 1 and t.expires_at between 1 and (extract(epoch from statement_timestamp()) * 1000000)::bigint * 1000
  and not exists (select from wallet.checked_transfers e where e.pending_id = t.id);
