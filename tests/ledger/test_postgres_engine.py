"""What only the Postgres engine promises: one commit with its caller, and a house without locks."""

import asyncio

import asyncpg
import pytest

from ledger import LedgerConflict, LedgerUnavailable
from ledger.engines import open_ledger
from ledger.money import MAX_MINOR
from ledger.reconciliation import trial_balance
from tests.ledger.book import EXISTS, GRANT, OK, Book
from tests.waiting import PATIENCE_S, until_waiting


async def pool_as(dsn: str, role: str, **settings: str) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        dsn, min_size=0, max_size=6, server_settings={"role": role} | settings
    )


@pytest.fixture
async def dsn(new_database) -> str:
    return await new_database()


@pytest.fixture
async def worker(dsn):
    pool = await pool_as(dsn, "wallet_worker")
    yield pool
    pool.terminate()


@pytest.fixture
async def book(worker) -> Book:
    """Payments and revenue of the house, and a grant of 100."""
    book = Book(open_ledger("postgres", pool=worker), 1)
    await book.open(book.account("payments"), book.account("revenue"), book.account("grant", GRANT))
    assert await book.book(book.transfer("top-up", "payments", "grant", 100)) == [OK]
    return book


async def assert_kept_is_summed(book: Book) -> None:
    """The balance that is kept of each account is the sum of its transfers."""
    for name in ("payments", "revenue", "grant"):
        summed = await book.ledger.balance_at(book.id(name), timestamp=2**62)
        assert (await book.balance(name)).same_sums(summed), name


async def test_the_book_and_the_callers_rows_are_one_commit(book, worker):
    use = book.transfer("use", "grant", "revenue", 30)
    async with worker.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        (result,) = await book.ledger.create_transfers([use], connection=connection)
        assert result.status == OK
        inside = await book.ledger.balances([book.id("grant")], connection=connection)
        assert inside[book.id("grant")].credit_available == 70
        assert await book.sums("grant") == (0, 0, 0, 100), "not yet for others"
        await transaction.rollback()
    assert await book.sums("grant") == (0, 0, 0, 100)
    assert await book.book(use) == [OK]


async def test_a_refusal_that_was_rolled_back_burns_nothing(book, worker):
    much = book.transfer("much", "grant", "revenue", 101)
    async with worker.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        (result,) = await book.ledger.create_transfers([much], connection=connection)
        assert result.status == "exceeds_credits"
        await transaction.rollback()
    await book.book(book.transfer("more", "payments", "grant", 1))
    assert await book.book(much) == [OK]


async def test_accounts_and_transfers_may_be_made_in_one_transaction(book, worker):
    async with worker.acquire() as connection, connection.transaction():
        await book.ledger.create_accounts([book.account("new", GRANT)], connection=connection)
        results = await book.ledger.create_transfers(
            [
                book.transfer("fund", "payments", "new", 5),
                book.transfer("spend", "new", "revenue", 5),
            ],
            connection=connection,
        )
    assert [result.status for result in results] == [OK, OK]
    assert await book.sums("new") == (0, 5, 0, 5)


async def test_who_waits_for_a_lock_decides_from_what_is_there_then(book, worker):
    async with worker.acquire() as connection, connection.transaction():
        await book.ledger.create_transfers(
            [
                book.hold("hold", "grant", "revenue", 40),
                book.transfer("use", "grant", "revenue", 60),
            ],
            connection=connection,
        )
        waiting = asyncio.create_task(
            book.book(
                book.post("post", "hold", 40),
                book.transfer("use", "grant", "revenue", 60),
                book.transfer("too much", "grant", "revenue", 1),
            )
        )
        await until_waiting(worker)
        assert not waiting.done()
    assert await waiting == [OK, EXISTS, "exceeds_credits"]
    assert await book.sums("grant") == (0, 100, 0, 100)


async def test_two_who_open_the_same_account_both_have_it(book, worker):
    twin = book.account("twin", GRANT)
    async with worker.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        (first,) = await book.ledger.create_accounts([twin], connection=connection)
        waiting = asyncio.create_task(
            book.ledger.create_accounts([book.account("alone"), twin, twin])
        )
        await until_waiting(worker)
        await transaction.commit()
    results = await waiting
    assert first.status == OK
    assert [result.status for result in results] == [OK, EXISTS, EXISTS]
    assert results[1].timestamp == first.timestamp


async def test_who_was_second_with_a_transfer_of_the_house_is_told_to_run_again(book, worker):
    same = book.transfer("same", "payments", "revenue", 1)
    async with worker.acquire() as one, worker.acquire() as other:
        async with one.transaction():
            await book.ledger.create_transfers([same], connection=one)
            second = asyncio.create_task(_book_alone(book, other, same))
            await until_waiting(worker)
        with pytest.raises(LedgerConflict):
            await second
    assert await book.book(same) == [EXISTS]
    assert await book.sums("revenue") == (0, 0, 0, 1)


async def _book_alone(book, connection, transfer):
    async with connection.transaction():
        await book.ledger.create_transfers([transfer], connection=connection)


async def test_the_house_is_never_locked(book, worker):
    async with worker.acquire() as connection, connection.transaction():
        await book.ledger.create_transfers(
            [book.transfer("use", "grant", "revenue", 1)], connection=connection
        )
        await book.open(book.account("other", GRANT))
        booked = book.book(
            book.transfer("fund", "payments", "other", 9),
            book.transfer("spend", "other", "revenue", 9),
        )
        assert await asyncio.wait_for(booked, PATIENCE_S) == [OK, OK]
        assert await book.sums("revenue") == (0, 0, 0, 9)
    assert await book.sums("revenue") == (0, 0, 0, 10)


async def test_folding_changes_no_balance_and_happens_once(book):
    await book.book(
        book.hold("hold", "grant", "revenue", 40),
        book.transfer("use", "grant", "revenue", 5),
        book.post("post", "hold", 30),
    )
    before = await book.sums("revenue"), await book.sums("payments")
    assert await book.ledger.fold() == 4
    assert (await book.sums("revenue"), await book.sums("payments")) == before
    assert await book.ledger.fold() == 0
    await book.book(book.transfer("more", "grant", "revenue", 1))
    assert await book.sums("revenue") == (0, 0, 0, 36)
    assert await book.ledger.fold() == 1
    assert await book.sums("revenue") == (0, 0, 0, 36)
    await assert_kept_is_summed(book)


async def test_a_transfer_that_commits_late_is_not_lost_by_the_fold(book, worker):
    async with worker.acquire() as connection, connection.transaction():
        await book.ledger.create_transfers(
            [book.transfer("late", "payments", "revenue", 7)], connection=connection
        )
        await book.book(book.transfer("early", "payments", "revenue", 5))
        await book.ledger.fold()
        assert await book.sums("revenue") == (0, 0, 0, 5)
    for _ in range(2):
        assert await book.sums("revenue") == (0, 0, 0, 12)
        assert await book.sums("payments") == (0, 112, 0, 0)
        await book.ledger.fold()


async def test_folds_and_bookings_at_once_lose_nothing(book):
    async def book_some(who: int) -> None:
        for number in range(15):
            await book.book(book.transfer(f"{who}:{number}", "payments", "revenue", 1))

    async def keep_folding() -> None:
        for _ in range(15):
            await book.ledger.fold()
            balance = await book.balance("revenue")
            assert 0 <= balance.credits_posted <= 60

    await asyncio.gather(*[book_some(who) for who in range(4)], keep_folding(), keep_folding())
    assert await book.sums("revenue") == (0, 0, 0, 60)
    await book.ledger.fold()
    assert await book.sums("revenue") == (0, 0, 0, 60)
    await assert_kept_is_summed(book)
    assert (await trial_balance(book.ledger, 1)).is_balanced


async def test_a_grant_never_leaves_the_range(book):
    assert await book.book(book.transfer("much", "payments", "grant", MAX_MINOR - 100)) == [OK]
    assert await book.book(book.transfer("one", "payments", "grant", 1)) == [
        "overflows_credits_posted"
    ]
    assert await book.book(book.transfer("all", "payments", "revenue", MAX_MINOR)) == [OK]
    assert await book.book(book.transfer("again", "payments", "revenue", MAX_MINOR)) == [OK]
    assert await book.sums("revenue") == (0, 0, 0, 2 * MAX_MINOR)
    await book.ledger.fold()
    assert await book.sums("revenue") == (0, 0, 0, 2 * MAX_MINOR)


@pytest.mark.parametrize("role", [None, "wallet_committer", "wallet_worker"])
@pytest.mark.parametrize(
    "change",
    [
        "update ledger.transfers set amount = amount + 1",
        "delete from ledger.transfers",
        "truncate ledger.transfers",
        "update ledger.accounts set flags = 0",
        "delete from ledger.accounts",
        "delete from ledger.burnt_ids",
    ],
)
async def test_nobody_changes_the_past(book, dsn, role, change):
    await book.book(book.transfer("refused", "grant", "revenue", 101))
    connection = await asyncpg.connect(dsn)
    try:
        if role:
            await connection.execute(f"set role {role}")
        refusal = asyncpg.InsufficientPrivilegeError if role else asyncpg.RestrictViolationError
        with pytest.raises(refusal):
            await connection.execute(change)
    finally:
        await connection.close()


async def test_the_tables_refuse_what_a_bug_in_the_rules_would_let_through(book, dsn):
    connection = await asyncpg.connect(dsn)
    try:
        for change in (
            "update ledger.balances set debits_posted = credits_posted + 1",
            "update ledger.balances set debits_pending = -1",
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(change)
    finally:
        await connection.close()


async def test_the_committer_books_but_does_not_fold(book, dsn):
    pool = await pool_as(dsn, "wallet_committer")
    committing = Book(open_ledger("postgres", pool=pool), 1)
    await committing.open(committing.account("new", GRANT), committing.account("of the house"))
    assert await committing.book(committing.transfer("use", "payments", "new", 1)) == [OK]
    assert await committing.sums("payments") == (0, 101, 0, 0)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await committing.ledger.fold()
    pool.terminate()


async def test_a_request_sees_nothing_of_the_book(dsn):
    pool = await pool_as(dsn, "wallet_api")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await open_ledger("postgres", pool=pool).balances([1])
    pool.terminate()


async def test_no_postgres_is_said_at_once():
    pool = asyncpg.create_pool(
        "postgresql://127.0.0.1:1/nothing", min_size=0, max_size=1, timeout=2
    )
    ledger = open_ledger("postgres", pool=await pool)
    with pytest.raises(LedgerUnavailable):
        await ledger.ready()
    with pytest.raises(LedgerUnavailable):
        await ledger.create_transfers([Book(ledger, 1).transfer("a", "b", "c", 1)])


async def test_a_lock_that_is_not_given_up_is_unavailability(book, dsn, worker):
    hasty = await pool_as(dsn, "wallet_worker", lock_timeout="20")
    async with worker.acquire() as connection, connection.transaction():
        await book.ledger.create_transfers(
            [book.transfer("use", "grant", "revenue", 1)], connection=connection
        )
        with pytest.raises(LedgerUnavailable):
            await Book(open_ledger("postgres", pool=hasty), 1).book(
                book.transfer("other", "grant", "revenue", 1)
            )
    hasty.terminate()


async def test_timestamps_rise_whatever_the_clock_does(book, dsn):
    connection = await asyncpg.connect(dsn)
    # As if the clock had been an hour ahead when the account was last touched.
    await connection.execute("update ledger.balances set timestamp = timestamp + 3600000000000")
    await connection.close()
    (first,) = await book.ledger.create_transfers([book.transfer("a", "grant", "revenue", 1)])
    (second,) = await book.ledger.create_transfers([book.transfer("b", "grant", "revenue", 1)])
    top_up = (await book.ledger.account_transfers(book.id("grant")))[0]
    assert top_up.timestamp + 3_600_000_000_000 < first.timestamp < second.timestamp
