-- Who leads, by the number of the election.

-- name: begin_term$
-- Won the lock: everybody before is out of office from now on. Locks more than an update would, so that it waits for
-- jobs of the past that are guarded and under way; signs of life do not.
with seat as (
    select only_row from wallet.leader_terms for update
)
update wallet.leader_terms l set term = l.term + 1, elected_at = clock_timestamp(), seen_at = clock_timestamp()
from seat where l.only_row = seat.only_row
returning l.term;

-- name: continue_term$
-- A sign of life; no row means that another was elected.
update wallet.leader_terms set seen_at = clock_timestamp() where term = :term returning term;

-- name: guard_term$
-- Inside a job's transaction: still in office, and until its end.
select term from wallet.leader_terms where term = :term for key share;
