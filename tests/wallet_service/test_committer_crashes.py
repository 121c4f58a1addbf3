"""A committer is cut off between any two statements: each operation happens once all the same."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ledger.errors import LedgerUnavailable
from tests.waiting import PATIENCE_S
from tests.wallet_service.till import Fault, Till, frail, outcomes_of
from wallet_service.committer import Committer
from wallet_service.decision import Operation
from wallet_service.decision.budget_windows import Rolling
from wallet_service.errors import OutcomePending

STATEMENTS_MAX = 60


class Story:
    """A customer with 1,000 and two holds; then a hold, a debit, a capture and an extension."""

    def __init__(self, till: Till, *, is_counted: bool = True) -> None:
        self.till = till
        self.is_counted = is_counted
        """In a budget, which takes locks."""
        self.customer = till.new_customer()
        self.captured = self.extended = UUID(int=0)

    async def begin(self) -> None:
        if self.is_counted and not self.till.budgets:
            await self.till.budget("all", 1_000_000, window=Rolling(seconds=60))
        async with self.till.worker() as worker:
            await worker.submit(self.till.open_wallet(self.customer, 1_000))
            holds = [
                msgspec.json.decode(
                    await worker.submit(
                        self.till.hold(f"{name}-{self.customer}", self.customer, 100)
                    )
                )
                for name in ("captured", "extended")
            ]
        self.captured, self.extended = (UUID(hold["authorization"]["id"]) for hold in holds)

    def batch(self) -> list[Operation]:
        till, customer, name = self.till, self.customer, str(self.customer)
        return [
            till.hold(f"hold-{name}", customer, 200),
            till.debit(f"debit-{name}", customer, 50),
            till.capture(f"capture-{name}", customer, self.captured, 60),
            till.extension(f"extend-{name}", customer, self.extended, 5),
        ]

    async def check(self) -> None:
        assert await self.till.balances(self.customer) == (585, 305, 0)
        await self.till.check(self.customer)


@pytest.mark.parametrize(
    ("ledger_kind", "after", "for_good", "is_counted"),
    [
        (kind, after, for_good, True)
        for kind in ("postgres", "memory")
        for after in (False, True)
        for for_good in (False, True)
    ]
    + [("memory", False, True, False), ("memory", True, False, False)]
    + [("tigerbeetle", True, True, True), ("tigerbeetle", True, True, False)],
    indirect=["ledger_kind"],
)
async def test_whichever_statement_is_the_last_each_operation_happens_once(
    till: Till, after: bool, for_good: bool, is_counted: bool
):
    for at in range(1, STATEMENTS_MAX):
        story = Story(till, is_counted=is_counted)
        await story.begin()
        fault = Fault(at, after=after, for_good=for_good)
        async with till.worker(database=frail(till.database, fault), deadline_s=2.0) as worker:
            first = await outcomes_of(worker, story.batch())
        if not fault.has_struck:
            break
        if till.ledger.name == "postgres" and not for_good:
            assert all(isinstance(reply, bytes) for reply in first), (at, first)
        async with till.worker() as survivor:
            await survivor.sweep(age_s=0)
            second = await outcomes_of(survivor, story.batch())
            third = await outcomes_of(survivor, story.batch())
        assert all(isinstance(reply, bytes) for reply in second), (at, second)
        assert second == third
        for early, late in zip(first, second, strict=True):
            assert isinstance(early, Exception) or early == late
        await story.check()
    assert at > (8 if is_counted else 4), "the fault met real statements"
    assert at < STATEMENTS_MAX - 1


# -- an engine of its own: between the intent, the fact and the conclusion ----------------------


class Killed(BaseException):
    """The process ends here."""


class DiesOnce(Committer):
    """Dies in one of the phases of its intents."""

    def __init__(self, **terms: Any) -> None:
        super().__init__(**terms)
        self.died = asyncio.Event()
        posting = self._intent_posting
        self._submit_alive, self._conclude_alive = posting._submit, posting._conclude
        posting._submit, posting._conclude = self._submit, self._conclude

    async def _submit(self, intents: list[Any]) -> None:
        await self._submit_alive(intents)

    async def _conclude(self, intents: list[Any]) -> None:
        await self._conclude_alive(intents)

    def die(self) -> None:
        self.died.set()
        raise Killed


class DiesBeforeTheLedger(DiesOnce):
    async def _submit(self, intents: list[Any]) -> None:
        self.die()


class DiesAfterTheLedger(DiesOnce):
    async def _submit(self, intents: list[Any]) -> None:
        await super()._submit(intents)
        self.die()


class DiesAfterTheConclusion(DiesOnce):
    async def _conclude(self, intents: list[Any]) -> None:
        await super()._conclude(intents)
        self.die()


@pytest.mark.parametrize(
    ("kind", "open_count"),
    [(DiesBeforeTheLedger, 4), (DiesAfterTheLedger, 4), (DiesAfterTheConclusion, 0)],
)
@pytest.mark.parametrize("ledger_kind", ["memory", "tigerbeetle"], indirect=True)
async def test_a_sweeper_brings_what_a_dead_worker_left_open_to_its_end(
    till: Till, kind: type[DiesOnce], open_count: int
):
    story = Story(till)
    await story.begin()
    dying = till.committer(kind)
    dying.start()
    request = asyncio.create_task(dying.submit_all(story.batch()))
    await asyncio.wait_for(dying.died.wait(), PATIENCE_S)
    request.cancel()
    other = till.committer()
    assert await other.sweep(age_s=3_600) == 0
    assert await other.sweep(age_s=0) == open_count
    assert await other.sweep(age_s=0) == 0
    await story.check()
    async with till.worker() as survivor:
        replies = await outcomes_of(survivor, story.batch())
        assert all(isinstance(reply, bytes) for reply in replies)
        assert await outcomes_of(survivor, story.batch()) == replies
    await story.check()
    for task in dying._tasks:
        task.cancel()
    await asyncio.gather(*dying._tasks, return_exceptions=True)


@pytest.mark.parametrize("ledger_kind", ["memory", "tigerbeetle"], indirect=True)
async def test_two_sweepers_at_once_conclude_everything_once(till: Till):
    story = Story(till)
    await story.begin()
    dying = till.committer(DiesBeforeTheLedger)
    dying.start()
    request = asyncio.create_task(dying.submit_all(story.batch()))
    await asyncio.wait_for(dying.died.wait(), PATIENCE_S)
    request.cancel()
    sweepers = [till.committer() for _ in range(3)]
    async with till.worker() as survivor:
        replies, *_ = await asyncio.gather(
            outcomes_of(survivor, story.batch()),
            *(sweeper.sweep(age_s=0) for sweeper in sweepers),
        )
    assert all(isinstance(reply, bytes) for reply in replies)
    await story.check()
    for task in dying._tasks:
        task.cancel()
    await asyncio.gather(*dying._tasks, return_exceptions=True)


class Mumbling:
    """A ledger whose next answer is lost on the way."""

    def __init__(self, ledger: Any, *, does: bool) -> None:
        self._ledger = ledger
        self._does = does
        self.is_clear = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def create_transfers(self, transfers: Any, /, **more: Any) -> Any:
        if self.is_clear:
            return await self._ledger.create_transfers(transfers, **more)
        self.is_clear = True
        if self._does:
            await self._ledger.create_transfers(transfers, **more)
        raise LedgerUnavailable("no answer")


@pytest.mark.parametrize("does", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("ledger_kind", ["memory", "tigerbeetle"], indirect=True)
async def test_an_unknown_outcome_is_pending_and_its_key_tells_later(till: Till, does: bool):
    story = Story(till)
    await story.begin()
    ledger = Mumbling(till.ledger, does=does)
    async with till.worker(ledger=ledger) as worker:
        ledger.is_clear = False
        pending = await outcomes_of(worker, story.batch())
        assert all(isinstance(outcome, OutcomePending) for outcome in pending)
        replies = await outcomes_of(worker, story.batch())
        assert all(isinstance(reply, bytes) for reply in replies)
    await story.check()
