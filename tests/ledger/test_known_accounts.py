"""A batch that is judged on what its caller has read, and written by the caller's own statement.

Whatever was not so in the book when it is written is noticed by the write, and nothing is kept.
"""

import asyncio
import time
from collections.abc import Sequence

import asyncpg
import pytest

from ledger import LedgerConflict
from ledger.book import AccountState
from ledger.engine import KnownAccounts
from ledger.engines.postgres import PostgresLedger
from ledger.transfers import Transfer
from tests.ledger.book import GRANT, OK, Book
from tests.ledger.test_postgres_engine import book, dsn, worker

__all__ = ["book", "dsn", "worker"]

READ = "select * from ledger.limited_accounts"
WRITE = "select * from ledger.book($1::ledger.new_transfer[], $2::ledger.moved_balance[])"


async def as_read(book: Book, pool: asyncpg.Pool, *holds: Transfer) -> KnownAccounts:
    """What a caller would have read now, and the holds that it believes in."""
    rows = await pool.fetch(READ)
    accounts = {row[0].int: AccountState(row[0].int, *list(row)[1:]) for row in rows}
    return KnownAccounts(accounts, {hold.id: hold for hold in holds}, time.time_ns(), 7)


async def write(pool: asyncpg.Pool, judged) -> None:
    async with pool.acquire() as connection, connection.transaction():
        booked, moved = await connection.fetchrow(
            WRITE, judged.rows.transfers, judged.rows.balances
        )
        judged.rows.check(booked, moved)


def engine(book: Book) -> PostgresLedger:
    assert isinstance(book.ledger, PostgresLedger)
    return book.ledger


async def judged(book: Book, pool: asyncpg.Pool, transfers: Sequence[Transfer], *holds: Transfer):
    return engine(book).judge_known(transfers, await as_read(book, pool, *holds))


@pytest.fixture
async def known(book: Book) -> Book:
    """The same book; its engine has seen the accounts of the house."""
    assert await book.book(book.hold("seen", "grant", "revenue", 1)) == [OK]
    assert await book.book(book.void("unseen", "seen")) == [OK]
    return book


async def test_it_is_booked_as_any_other_batch(known, worker):
    hold = known.hold("hold", "grant", "revenue", 40)
    batch = await judged(known, worker, [hold, known.transfer("use", "grant", "revenue", 10)])
    assert [result.status for result in batch.results] == [OK, OK]
    await write(worker, batch)
    assert await known.sums("grant") == (40, 10, 0, 100)
    end = await judged(known, worker, [known.post("post", "hold", 30)], hold)
    await write(worker, end)
    assert await known.sums("grant") == (0, 40, 0, 100)


async def test_an_account_of_the_house_that_was_never_seen_is_looked_up_first(book, worker):
    fresh = PostgresLedger(worker)
    use = book.transfer("use", "grant", "revenue", 10)
    assert fresh.judge_known([use], await as_read(book, worker)) is None


async def test_what_would_be_refused_is_left_to_the_careful_way(known, worker):
    assert await judged(known, worker, [known.transfer("x", "grant", "revenue", 101)]) is None
    assert await judged(known, worker, [known.post("post", "nothing", 1)]) is None
    assert await known.sums("grant") == (0, 0, 0, 100)


async def test_a_balance_that_somebody_else_moved_meanwhile_is_noticed(known, worker):
    batch = await judged(known, worker, [known.transfer("use", "grant", "revenue", 60)])
    assert await known.book(known.transfer("other", "grant", "revenue", 60)) == [OK]
    with pytest.raises(LedgerConflict):
        await write(worker, batch)
    assert await known.sums("grant") == (0, 60, 0, 100)


async def test_an_id_that_was_booked_meanwhile_is_noticed(known, worker):
    use = known.transfer("use", "grant", "revenue", 60)
    batch = await judged(known, worker, [use])
    assert await known.book(use) == [OK]
    with pytest.raises(LedgerConflict):
        await write(worker, batch)
    assert await known.sums("grant") == (0, 60, 0, 100)


@pytest.mark.parametrize("change", ["ended", "smaller", "of another", "timed out", "unknown"])
async def test_a_hold_that_is_not_as_it_was_believed_is_noticed(known, worker, change):
    timeout_s = 1 if change == "timed out" else 3600
    hold = known.hold("hold", "grant", "revenue", 40, timeout_s=timeout_s)
    believed = known.hold("hold", "grant", "revenue", 40)  # as postings.pending_of makes it
    if change == "smaller":
        hold = known.hold("hold", "grant", "revenue", 30, timeout_s=3600)
    if change == "of another":
        await known.open(known.account("rich", GRANT))
        assert await known.book(known.transfer("fund", "payments", "rich", 100)) == [OK]
        hold = known.hold("hold", "rich", "revenue", 40, timeout_s=3600)
    if change != "unknown":
        assert await known.book(hold) == [OK]
    if change == "ended":
        assert await known.book(known.void("void", "hold")) == [OK]
    if change == "timed out":
        await asyncio.sleep(1.1)
    before = await known.sums("grant")
    batch = await judged(known, worker, [known.post("post", "hold", 40)], believed)
    with pytest.raises(LedgerConflict):
        await write(worker, batch)
    assert await known.sums("grant") == before
