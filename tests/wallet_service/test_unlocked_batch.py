"""Batches that take their locks only to write: what comes in between is never written over."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.waiting import until_waiting
from tests.wallet_service.till import Till, outcomes_of
from wallet_service import customer_reading
from wallet_service.database import Database
from wallet_service.errors import InsufficientFunds, NoEligibleWallet, NotAllowed

WRITE = "wallet.write_those_unmoved"


@pytest.fixture
async def till(module_database: Database) -> AsyncIterator[Till]:
    till = await Till.open(module_database, "postgres")
    async with till.worker() as worker:  # the book sees the accounts of the house once
        customer = await funded(till, 1)
        await worker.submit(till.hold("first", customer, 1))
    yield till
    await till.ledger.close()


class Watched:
    """A connection that sees its statements, and lets something happen before the write."""

    def __init__(self, connection: Any, seen: list[str], meanwhile: list[Any]) -> None:
        self._connection = connection
        self._seen = seen
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "fetch"}:
            return found

        async def statement(text: str, *arguments: Any) -> Any:
            self._seen.append(text)
            if WRITE in text and self._meanwhile:
                await self._meanwhile.pop()()
            return await found(text, *arguments)

        return statement


def watched(till: Till, *meanwhile: Callable[[], Awaitable[object]]) -> tuple[Any, list[str]]:
    """The till's database, and the statements that went there."""
    seen: list[str] = []
    left = [*meanwhile]

    @asynccontextmanager
    async def acquire() -> AsyncGenerator[Watched]:
        async with till.database.committer.acquire() as connection:
            yield Watched(connection, seen, left)

    return SimpleNamespace(committer=SimpleNamespace(acquire=acquire)), seen


async def funded(till: Till, amount: int) -> UUID:
    customer = till.new_customer()
    async with till.worker() as worker:
        await worker.submit(till.open_wallet(customer, amount))
    return customer


async def version_of(till: Till, customer: UUID) -> int:
    async with till.database.worker.acquire() as connection:
        return await connection.fetchval(
            "select version from wallet.customer_versions where customer_id = $1", customer
        )


async def test_a_batch_that_nobody_disturbs_is_two_statements_and_counts_versions_up(till: Till):
    customers = [await funded(till, 100) for _ in range(3)]
    before = [await version_of(till, customer) for customer in customers]
    database, seen = watched(till)
    async with till.worker(database=database) as worker:
        holds = [till.hold(f"call-{customer}", customer, 10) for customer in customers]
        assert all(isinstance(one, bytes) for one in await outcomes_of(worker, holds))
    assert len(seen) == 2
    assert [await version_of(till, customer) for customer in customers] == [
        version + 1 for version in before
    ]
    for customer in customers:
        assert await till.balances(customer) == (90, 10, 0)
        await till.check(customer)


async def test_a_capture_is_two_statements_too(till: Till):
    customers = [await funded(till, 100) for _ in range(2)]
    database, seen = watched(till)
    async with till.worker(database=database) as worker:
        held = await outcomes_of(worker, [till.hold(f"held-{one}", one, 30) for one in customers])
        replies = [one for one in held if isinstance(one, bytes)]
        ids = [UUID(msgspec.json.decode(one)["authorization"]["id"]) for one in replies]
        seen.clear()
        asked = [
            till.capture(f"capture-{one}", one, hold, 10)
            for one, hold in zip(customers, ids, strict=True)
        ]
        assert all(isinstance(one, bytes) for one in await outcomes_of(worker, asked))
    assert len(seen) == 2
    for customer in customers:
        assert await till.balances(customer) == (90, 0, 0)
        await till.check(customer)


async def test_a_first_operation_waits_for_nobody_and_takes_nobody_else_along(till: Till):
    old, new = await funded(till, 100), till.new_customer()
    database, seen = watched(till)
    async with till.worker(database=database) as worker:
        assert isinstance(await worker.submit(till.open_wallet(new, 100)), bytes)
        assert not any("wait_for_customers" in text for text in seen)
        seen.clear()
        guest = till.new_customer()
        asked = [till.hold("old", old, 10), till.hold("guest", guest, 10)]
        kept, refused = await outcomes_of(worker, asked)
    assert isinstance(kept, bytes)
    assert isinstance(refused, NoEligibleWallet)
    assert sum(WRITE in text for text in seen) == 1
    assert not any("wait_for_customers" in text for text in seen)
    await till.check(old)


async def test_money_that_is_taken_between_read_and_write_is_not_spent_twice(till: Till):
    customer, bystander = await funded(till, 100), await funded(till, 100)
    async with till.worker() as other:
        database, seen = watched(till, lambda: other.submit(till.hold("quick", customer, 60)))
        async with till.worker(database=database) as worker:
            slow, beside = await outcomes_of(
                worker, [till.hold("slow", customer, 60), till.hold("beside", bystander, 60)]
            )
    assert isinstance(slow, InsufficientFunds)
    assert isinstance(beside, bytes)
    assert sum(WRITE in text for text in seen) == 1
    assert await till.balances(customer) == (40, 60, 0)
    assert await till.balances(bystander) == (40, 60, 0)
    for one in (customer, bystander):
        await till.check(one)


async def test_who_has_moved_is_tried_once_more_and_holds_up_nobody(till: Till):
    moving, *others = [await funded(till, 100) for _ in range(3)]
    async with till.worker() as other:
        held = [await other.submit(till.hold(f"held-{one}", one, 30)) for one in others]
        ids = [UUID(msgspec.json.decode(one)["authorization"]["id"]) for one in held]
        before = [await version_of(till, one) for one in (moving, *others)]
        database, seen = watched(till, lambda: other.submit(till.hold("quick", moving, 60)))
        async with till.worker(database=database) as worker:
            asked = [
                till.capture("first", others[0], ids[0], 10),
                till.hold("slow", moving, 40),
                till.capture("last", others[1], ids[1], 20),
                till.hold("more", others[1], 5),
            ]
            assert all(isinstance(one, bytes) for one in await outcomes_of(worker, asked))
    assert sum(WRITE in text for text in seen) == 2
    assert not any("lock_free" in text for text in seen)
    assert await till.balances(moving) == (0, 100, 0)
    assert await till.balances(others[0]) == (90, 0, 0)
    assert await till.balances(others[1]) == (75, 5, 0)
    assert [await version_of(till, one) for one in (moving, *others)] == [
        before[0] + 2,
        before[1] + 1,
        before[2] + 1,
    ]
    for one in (moving, *others):
        await till.check(one)


async def test_a_customer_that_is_locked_at_the_write_is_waited_for(till: Till):
    customer = await funded(till, 100)
    lock = till.database.committer.acquire()
    holder = await lock
    transaction = holder.transaction()
    await transaction.start()

    async def lock_it() -> None:
        await holder.execute(
            "select from wallet.customer_versions where customer_id = $1 for no key update",
            customer,
        )
        asyncio.get_running_loop().call_later(
            0.05, lambda: releases.append(asyncio.create_task(transaction.rollback()))
        )

    releases: list[asyncio.Task[None]] = []
    database, _ = watched(till, lock_it)
    async with till.worker(database=database) as worker:
        assert isinstance(await worker.submit(till.hold("call", customer, 60)), bytes)
    await asyncio.gather(*releases)
    await till.database.committer.release(holder)
    assert await till.balances(customer) == (40, 60, 0)
    await till.check(customer)


async def test_a_key_that_is_used_between_read_and_write_gives_its_first_answer(till: Till):
    customer, other_customer = await funded(till, 100), await funded(till, 100)
    async with till.worker() as other:
        first: list[bytes] = []

        async def use_the_key() -> None:
            first.append(await other.submit(till.hold("call", customer, 60)))

        database, _ = watched(till, use_the_key)
        async with till.worker(database=database) as worker:
            repeat, beside = await outcomes_of(
                worker, [till.hold("call", customer, 60), till.hold("more", other_customer, 1)]
            )
    assert [repeat] == first
    assert isinstance(beside, bytes)
    assert await till.balances(customer) == (40, 60, 0)
    await till.check(customer)


async def test_a_hold_that_ends_between_read_and_write_is_not_captured_too(till: Till):
    customer = await funded(till, 100)
    async with till.worker() as other:
        held = msgspec.json.decode(await other.submit(till.hold("call", customer, 60)))
        hold = UUID(held["authorization"]["id"])
        database, seen = watched(
            till, lambda: other.submit(till.capture("quick", customer, hold, 50))
        )
        async with till.worker(database=database) as worker:
            (late,) = await outcomes_of(worker, [till.capture("slow", customer, hold, 60)])
    assert isinstance(late, NotAllowed)
    assert sum(WRITE in text for text in seen) == 1
    assert await till.balances(customer) == (50, 0, 0)
    await till.check(customer)


async def test_who_was_tried_in_vain_takes_the_locks_next_time(till: Till):
    customer = await funded(till, 100)
    async with till.worker() as other:
        database, seen = watched(till, lambda: other.submit(till.hold("quick", customer, 1)))
        async with till.worker(database=database) as worker:
            await worker.submit(till.hold("slow", customer, 1))
            assert sum(WRITE in text for text in seen) == 1
            await worker.submit(till.hold("next", customer, 1))
            assert sum(WRITE in text for text in seen) == 1
    assert await till.balances(customer) == (97, 3, 0)
    await till.check(customer)


async def test_who_is_refused_takes_the_locks_and_holds_up_nobody(till: Till):
    rich, poor = await funded(till, 100), await funded(till, 10)
    database, seen = watched(till)
    before = await version_of(till, rich)
    async with till.worker(database=database) as worker:
        asked = [till.hold(f"{customer}-call", customer, 60) for customer in (rich, poor)]
        held, refused = await outcomes_of(worker, asked)
        assert isinstance(held, bytes)
        assert isinstance(refused, InsufficientFunds)
        assert await version_of(till, rich) == before + 1
        assert sum(text.startswith("begin; execute lock_free") for text in seen) == 1
        # Neither is careful afterwards.
        seen.clear()
        fine = [till.hold(f"{customer}-next", customer, 5) for customer in (rich, poor)]
        assert all(isinstance(one, bytes) for one in await outcomes_of(worker, fine))
        assert len(seen) == 2
    assert await till.balances(rich) == (35, 65, 0)
    assert await till.balances(poor) == (5, 5, 0)
    for customer in (rich, poor):
        await till.check(customer)


async def test_one_key_twice_in_a_batch_with_a_refusal_is_one_effect(till: Till):
    customer, poor = await funded(till, 100), await funded(till, 10)
    async with till.worker() as worker:
        twins = [till.hold("twin", customer, 60) for _ in range(2)]
        first, second, refused = await outcomes_of(worker, [*twins, till.hold("no", poor, 60)])
    assert isinstance(first, bytes)
    assert first == second
    assert isinstance(refused, InsufficientFunds)
    assert await till.balances(customer) == (40, 60, 0)
    await till.check(customer)


async def test_who_is_refused_does_not_wait_for_customers_who_are_busy(till: Till):
    rich, poor = await funded(till, 100), await funded(till, 10)
    busy = await funded(till, 100)
    async with (
        till.worker() as worker,
        till.database.committer.acquire() as holder,
        holder.transaction(),
    ):
        await holder.execute(
            "select from wallet.customer_versions where customer_id = $1 for no key update",
            busy,
        )
        waiting = asyncio.create_task(worker.submit(till.hold("waits", busy, 60)))
        await until_waiting(till.database.worker)
        asked = [till.hold(f"{customer}-call", customer, 60) for customer in (rich, poor)]
        held, refused = await outcomes_of(worker, asked)
        assert isinstance(held, bytes)
        assert isinstance(refused, InsufficientFunds)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
    for customer in (rich, poor):
        await till.check(customer)


async def test_what_was_judged_before_a_long_stall_is_judged_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
):
    """As if the process had been stopped between the read and the write."""
    customer = await funded(till, 100)
    read = customer_reading.read_funded
    late: list[datetime] = []

    async def read_long_ago(*arguments: Any, only_locked: bool) -> Any:
        state, book = await read(*arguments, only_locked=only_locked)
        if not only_locked:
            state.now -= timedelta(seconds=11)
            late.append(state.now)
        return state, book

    monkeypatch.setattr(customer_reading, "read_funded", read_long_ago)
    database, seen = watched(till)
    async with till.worker(database=database) as worker:
        assert isinstance(await worker.submit(till.hold("call", customer, 60)), bytes)
    (judged_at,) = late
    assert sum(WRITE in text for text in seen) == 1
    assert await till.balances(customer) == (40, 60, 0)
    async with till.database.worker.acquire() as connection:
        created_at = await connection.fetchval(
            "select created_at from wallet.authorizations where customer_id = $1", customer
        )
    assert created_at > judged_at + timedelta(seconds=10)
    await till.check(customer)
