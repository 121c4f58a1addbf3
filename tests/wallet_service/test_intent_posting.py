"""What an intent leaves is shown as it was decided, or, where others came in between, read anew."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.wallet_service.till import Overtaken, Till, Unseen, outcomes_of
from wallet_service.committer import Committer
from wallet_service.decision import CustomerState

pytestmark = pytest.mark.parametrize("ledger_kind", ["memory", "tigerbeetle"], indirect=True)


class Seen(Unseen):
    """Hot balances that keep what they are told."""

    def __init__(self) -> None:
        self.put_last: list[CustomerState] = []
        self.loaded: list[Any] = []

    async def put(self, customers: Sequence[Any]) -> None:
        self.put_last = list(customers) or self.put_last

    async def refresh(self, customers: Sequence[Any]) -> None:
        self.loaded += customers


class Followed:
    """A ledger after whose next answer somebody else gets in, before the answer arrives."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.follow: Callable[[], Awaitable[object]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def create_transfers(self, transfers: Any, /, **more: Any) -> Any:
        results = await self._ledger.create_transfers(transfers, **more)
        if self.follow is not None:
            follow, self.follow = self.follow, None
            await follow()
        return results


async def test_what_a_batch_leaves_is_shown_without_another_look_at_the_ledger(till: Till):
    hot, customer = Seen(), till.new_customer()
    async with till.worker(hot=hot) as worker:
        await worker.submit(till.open_wallet(customer, 1_000))
        loaded = len(hot.loaded)
        versions: list[int] = []
        account = 0
        for number in range(1, 4):
            await worker.submit(till.hold(f"hold-{number}-{customer}", customer, 100))
            (shown,) = hot.put_last
            (grant,) = shown.grants
            assert (grant.available, grant.held) == (1_000 - 100 * number, 100 * number)
            versions.append(shown.version)
            account = grant.account_id
        assert len(hot.loaded) == loaded
    assert versions == sorted(set(versions))
    transfers = await till.ledger.account_transfers(account, newest_first=True, limit=1)
    assert versions[-1] == transfers[0].timestamp
    assert await till.balances(customer) == (700, 300, 0)
    await till.check(customer)


async def another_hold(till: Till, other: Committer, customer: Any) -> None:
    await other.submit(till.hold(f"other-{customer}", customer, 200))


async def a_sweep(till: Till, other: Committer, customer: Any) -> None:
    assert await other.sweep(age_s=0, customers=[customer]) == 1


@pytest.mark.parametrize(("follow", "held"), [(another_hold, 300), (a_sweep, 100)])
async def test_a_customer_whom_others_have_moved_meanwhile_is_read_anew(
    till: Till, follow: Any, held: int
):
    hot, customer, ledger = Seen(), till.new_customer(), Followed(till.ledger)
    async with till.worker(hot=hot, ledger=ledger) as worker, till.worker() as other:
        await worker.submit(till.open_wallet(customer, 1_000))
        hot.put_last, hot.loaded = [], []
        ledger.follow = lambda: follow(till, other, customer)
        hold = till.hold(f"hold-{customer}", customer, 100)
        (reply,) = await outcomes_of(worker, [hold])
        assert isinstance(reply, bytes)
        assert hot.put_last == []
        assert hot.loaded == [(till.organization_id, customer)]
        assert await outcomes_of(worker, [hold]) == [reply]
    assert await till.balances(customer) == (1_000 - held, held, 0)
    await till.check(customer)


async def test_a_customer_whom_others_are_about_to_move_is_read_anew(till: Till):
    """Their intent was there before we looked; the ledger has it after that, before ours."""
    hot, customer = Seen(), till.new_customer()
    ours, theirs = Overtaken(till.ledger), Overtaken(till.ledger)
    followed = Followed(theirs)
    is_written, may_book, is_booked, may_end = (asyncio.Event() for _ in range(4))

    async def written() -> None:
        is_written.set()
        await may_book.wait()

    async def booked() -> None:
        is_booked.set()
        await may_end.wait()

    async def let_them_book() -> None:
        may_book.set()
        await is_booked.wait()

    async with till.worker(hot=hot, ledger=ours) as worker, till.worker(ledger=followed) as other:
        await worker.submit(till.open_wallet(customer, 1_000))
        theirs.overtake, followed.follow = written(), booked
        under_way = asyncio.create_task(another_hold(till, other, customer))
        await is_written.wait()
        hot.put_last, hot.loaded = [], []
        ours.overtake = let_them_book()
        await worker.submit(till.hold(f"hold-{customer}", customer, 100))
        assert hot.put_last == []
        assert hot.loaded == [(till.organization_id, customer)]
        may_end.set()
        await under_way
    assert await till.balances(customer) == (700, 300, 0)
    await till.check(customer)
