"""Budgets of many customers, over committers that run beside each other, and every engine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.wallet_service.till import Overtaken, Till, hasty, outcomes_of
from wallet_service.budget_terms import AlertThreshold
from wallet_service.decision.budget_state import BudgetKey
from wallet_service.decision.commands import Void
from wallet_service.errors import BudgetExceeded, Busy, InsufficientFunds

ON_ITS_OWN = pytest.mark.parametrize("ledger_kind", ["memory", "tigerbeetle"], indirect=True)
IN_POSTGRES = pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)


async def crowd(till: Till, count: int, amount: int = 500, **terms: Any) -> list[UUID]:
    """Customers, each with something to spend."""
    customers = [till.new_customer() for _ in range(count)]
    async with till.worker() as worker:
        opened = await outcomes_of(
            worker, [till.open_wallet(one, amount, **terms) for one in customers]
        )
    assert all(isinstance(outcome, bytes) for outcome in opened), opened
    return customers


def id_of(reply: bytes | BaseException) -> UUID:
    assert isinstance(reply, bytes), reply
    return UUID(msgspec.json.decode(reply)["authorization"]["id"])


async def alerts(till: Till) -> list[int]:
    async with till.database.worker.acquire() as connection:
        rows = await connection.fetch(
            "select percentage from wallet.alerts where organization_id = $1 order by created_at",
            till.organization_id,
        )
    return [row["percentage"] for row in rows]


async def test_fifty_at_once_hold_exactly_the_limit(till: Till):
    customers = await crowd(till, 10)
    key = await till.budget("all", 100)
    told = await till.budget(
        "told", 50, mode="soft", alert_thresholds=[AlertThreshold(percentage=50)]
    )
    asked = [(customers[count % 10], f"call-{count}") for count in range(50)]
    async with till.worker() as one, till.worker() as other:
        outcomes = await asyncio.gather(
            *(
                outcomes_of((one, other)[count % 2], [till.hold(name, customer, 7)])
                for count, (customer, name) in enumerate(asked)
            )
        )
        replies = [outcome for (outcome,) in outcomes]
        accepted = [reply for reply in replies if isinstance(reply, bytes)]
        assert len(accepted) == 14
        assert all(isinstance(one, bytes | BudgetExceeded) for one in replies)
        assert await till.standing(key) == await till.standing(told) == (0, 98)
        holds = [
            (customer, id_of(reply))
            for (customer, _), reply in zip(asked, replies, strict=True)
            if isinstance(reply, bytes)
        ]
        ended = [
            till.capture(f"use-{hold}", customer, hold, 5)
            if position % 2
            else till.operation("void", str(hold), Void(hold, till.asset), customer)
            for position, (customer, hold) in enumerate(holds)
        ]
        assert all(isinstance(reply, bytes) for reply in await outcomes_of(one, ended))
        # A repeat is answered as the first time, and counts once.
        assert all(isinstance(reply, bytes) for reply in await outcomes_of(other, ended))
    assert await till.standing(key) == await till.standing(told) == (35, 0)
    assert await alerts(till) == [50]
    for customer in customers:
        await till.check(customer)


async def test_debits_of_many_customers_are_all_counted(till: Till):
    customers = await crowd(till, 10)
    key = await till.budget("all", 1)
    async with till.worker() as one, till.worker() as other:
        outcomes = await asyncio.gather(
            *(
                outcomes_of(
                    worker,
                    [till.debit(f"{name}-{customer}", customer, 3) for customer in customers],
                )
                for worker, name in ((one, "a"), (other, "b"), (one, "c"))
            )
        )
    assert all(isinstance(reply, bytes) for half in outcomes for reply in half)
    assert await till.standing(key) == (90, 0)
    await till.check(customers[0])


async def test_buckets_that_nobody_has_seen_are_there_at_once(till: Till):
    (customer,) = await crowd(till, 1)
    key = await till.budget("users", 10, per="user_id")
    async with till.worker() as one, till.worker() as other:
        names = [f"user-{count}" for count in range(20)]
        waiting: list[Any] = []
        for name in names:
            till.budgets = (BudgetKey(key.budget_id, name, is_wide=True),)
            waiting += [
                outcomes_of(worker, [till.hold(f"{name}-{part}", customer, 6)])
                for part, worker in enumerate((one, other))
            ]
        outcomes = [outcome for (outcome,) in await asyncio.gather(*waiting)]
    accepted = [isinstance(outcome, bytes) for outcome in outcomes]
    assert [sum(accepted[at : at + 2]) for at in range(0, 40, 2)] == [1] * 20
    for name in names:
        till.budgets = (BudgetKey(key.budget_id, name, is_wide=True),)
        await till.check(customer)


@IN_POSTGRES
async def test_a_budget_that_is_locked_for_long_is_busy_and_others_are_not(till: Till):
    locked, free = await crowd(till, 2)
    key = await till.budget("all", 100)
    async with till.worker(database=hasty(till.database)) as worker:
        await worker.submit(till.hold("first", locked, 1))
        held_up = till.hold("held up", locked, 1)
        till.budgets = ()
        async with till.database.committer.acquire() as connection, connection.transaction():
            await connection.execute(
                "select from wallet.budget_buckets where budget_id = $1 for update", key.budget_id
            )
            outcomes = await outcomes_of(
                worker, [held_up, till.hold("same", locked, 1), till.hold("other", free, 1)]
            )
        assert isinstance(outcomes[0], Busy)
        assert all(isinstance(outcome, bytes) for outcome in outcomes[1:])
        assert isinstance(await worker.submit(held_up), bytes)
    assert await till.standing(key) == (0, 2)


# -- an engine of its own: the ledger refuses ---------------------------------------------------


@ON_ITS_OWN
async def test_a_refused_intent_is_taken_out_of_its_budgets_again(till: Till):
    (customer,) = await crowd(till, 1, 100)
    slow = Overtaken(till.ledger)
    async with till.worker(ledger=slow) as worker, till.worker() as other:
        quick = till.hold("quick", customer, 60)
        key = await till.budget("all", 1_000)
        slow.overtake = other.submit(quick)
        with pytest.raises(InsufficientFunds):
            await worker.submit(till.hold("slow", customer, 60))
        assert await till.standing(key) == (0, 0)
    await till.check(customer)


@ON_ITS_OWN
async def test_what_is_judged_again_counts_once_and_alerts_once(till: Till):
    (customer,) = await crowd(till, 1, 100)
    slow = Overtaken(till.ledger)
    async with till.worker(ledger=slow) as worker, till.worker() as other:
        quick = till.hold("quick", customer, 60)
        thresholds = [AlertThreshold(percentage=50), AlertThreshold(percentage=100)]
        key = await till.budget("all", 100, alert_thresholds=thresholds)
        slow.overtake = other.submit(quick)
        await worker.submit(till.debit("slow", customer, 60))
        assert await till.standing(key) == (60, 0)
        assert await alerts(till) == [50]
        await worker.submit(till.debit("more", customer, 40))
    assert await till.standing(key) == (100, 0)
    assert await alerts(till) == [50, 100]
    await till.check(customer)


@ON_ITS_OWN
async def test_an_alert_that_an_undone_intent_has_kept_from_others_is_raised_all_the_same(
    till: Till,
):
    """What passed the threshold was undone, but what others spent meanwhile passes it too."""
    (customer,) = await crowd(till, 1, 100, on_shortfall="reject")
    (rich,) = await crowd(till, 1, 500)
    slow = Overtaken(till.ledger)

    async with till.worker(ledger=slow) as worker, till.worker() as other:
        drain = till.hold("drain", customer, 100)
        key = await till.budget("all", 100, alert_thresholds=[AlertThreshold(percentage=50)])

        async def meanwhile() -> None:
            await other.submit(drain)
            await other.submit(till.debit("others", rich, 55))

        slow.overtake = meanwhile()
        with pytest.raises(InsufficientFunds):
            await worker.submit(till.debit("slow", customer, 60))
    assert await till.standing(key) == (55, 0)
    assert await alerts(till) == [50]


# -- without any --------------------------------------------------------------------------------


class Heard:
    """A pool, and all that was asked through its connections."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.statements: list[str] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator["HeardConnection"]:
        async with self._pool.acquire() as connection:
            yield HeardConnection(connection, self.statements)


class HeardConnection:
    """A connection that is listened to."""

    def __init__(self, connection: Any, statements: list[str]) -> None:
        self._connection = connection
        self._statements = statements

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "fetch", "fetchrow", "fetchval"}:
            return found

        def asked(sql: str, *arguments: Any) -> Any:
            self._statements.append(sql)
            return found(sql, *arguments)

        return asked


@IN_POSTGRES
async def test_who_has_no_budget_asks_for_none(till: Till):
    (customer,) = await crowd(till, 1)
    before = await statements_of(till, customer, "before")
    assert before
    assert not [sql for sql in before if "wallet.budget" in sql or "wallet.event_budgets" in sql]
    key = await till.budget("all", 1_000)
    after = await statements_of(till, customer, "after")
    assert [sql for sql in after if "wallet.budget" in sql]
    assert await till.standing(key) == (13, 0)


async def statements_of(till: Till, customer: UUID, name: str) -> list[str]:
    """What a hold, its capture, a debit and a void ask of the database."""
    heard = Heard(till.database.committer)
    async with till.worker(database=SimpleNamespace(committer=heard)) as worker:
        hold = id_of(await worker.submit(till.hold(f"hold-{name}", customer, 10)))
        await worker.submit(till.capture(f"capture-{name}", customer, hold, 8))
        await worker.submit(till.debit(f"debit-{name}", customer, 5))
        hold = id_of(await worker.submit(till.hold(f"void-{name}", customer, 10)))
        void = till.operation("void", str(hold), Void(hold, till.asset), customer)
        await worker.submit(void)
    return heard.statements
