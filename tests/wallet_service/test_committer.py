"""Group commit: many at once, each on its own account, over every engine of the book."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from rating.charge_models import Package
from rating.rate_cards import Line
from tests.rating.playing import bucket
from tests.waiting import until, until_waiting
from tests.wallet_service.desk import NOON
from tests.wallet_service.till import Overtaken, Till, Unseen, hasty, outcomes_of
from wallet_service.decision import Operation
from wallet_service.decision.commands import Cycle, Item, PricedLine, Pricing, Reverse
from wallet_service.errors import Busy, InsufficientFunds, Invalid, KeyReused, NotAllowed

ROUNDS = {"postgres": 20, "memory": 20, "tigerbeetle": 4}


async def new_customer(till: Till, amount: int, **terms: Any) -> UUID:
    customer = till.new_customer()
    async with till.worker() as worker:
        await worker.submit(till.open_wallet(customer, amount, **terms))
    return customer


async def attempt_of(till: Till, operation: Operation) -> int:
    async with till.database.worker.acquire() as connection:
        return await connection.fetchval(
            "select attempt from wallet.operations"
            " where organization_id = $1 and kind = $2 and key = $3",
            operation.organization_id,
            operation.kind,
            operation.key,
        )


# -- many at once -------------------------------------------------------------------------------


async def test_no_more_is_approved_than_there_is_however_many_ask_at_once(till: Till):
    async with till.worker() as one, till.worker() as other:
        for _ in range(ROUNDS[till.ledger.name]):
            customer = till.new_customer()
            await one.submit(till.open_wallet(customer, 500))
            asked = [till.hold(f"{customer}-{count}", customer, 75) for count in range(20)]
            halves = await asyncio.gather(
                *(
                    outcomes_of(worker, [operation])
                    for worker in (one, other)
                    for operation in asked[::2]
                ),
                outcomes_of(other, asked[1::2]),
            )
            outcomes = [outcome for half in halves[:10] for outcome in half] + halves[-1]
            repeats = [outcome for half in halves[10:20] for outcome in half]
            # What one worker denied, the other may still approve: a denial binds nobody.
            answers = outcomes + repeats
            assert len({answer for answer in answers if isinstance(answer, bytes)}) == 6, answers
            denied = [answer for answer in answers if not isinstance(answer, bytes)]
            assert all(isinstance(outcome, InsufficientFunds) for outcome in denied), denied
            for first, again in zip(outcomes, repeats, strict=False):
                assert first == again or isinstance(first, InsufficientFunds)
            assert await till.balances(customer) == (50, 450, 0)
        await till.check(customer)


async def test_one_key_sent_fifty_times_is_one_effect_and_one_reply(till: Till):
    customer = await new_customer(till, 500)
    async with till.worker() as one, till.worker() as other:
        sent = [
            outcomes_of(worker, [till.hold("call-1", customer, 75)])
            for _ in range(25)
            for worker in (one, other)
        ]
        replies = [outcome for (outcome,) in await asyncio.gather(*sent)]
    assert isinstance(replies[0], bytes)
    assert set(replies) == {replies[0]}
    assert await till.balances(customer) == (425, 75, 0)
    await till.check(customer)


class Shown(Unseen):
    """Hot balances that remember whose they were last asked to show."""

    def __init__(self) -> None:
        self.customers: set[UUID] = set()

    async def put(self, customers: Sequence[Any]) -> None:
        self.customers |= {customer.customer_id for customer in customers}

    async def refresh(self, customers: Sequence[Any]) -> None:
        self.customers |= {customer_id for _, customer_id in customers}


async def test_a_repeat_shows_what_the_first_may_have_died_before_showing(till: Till):
    customer, other = [await new_customer(till, 500) for _ in range(2)]
    async with till.worker() as first:
        reply = await first.submit(till.hold("call-1", customer, 75))
    shown = Shown()
    async with till.worker(hot=shown) as second:
        assert await second.submit(till.hold("call-1", customer, 75)) == reply
        assert shown.customers == {customer}
        with pytest.raises(InsufficientFunds):
            await second.submit(till.hold("call-2", other, 501))
    assert shown.customers == {customer}


async def test_one_key_for_two_customers_belongs_to_the_first(till: Till):
    customers = [await new_customer(till, 500) for _ in range(2)]
    async with till.worker() as one, till.worker() as other:
        for count in range(5):
            outcomes = await asyncio.gather(
                *(
                    outcomes_of(worker, [till.hold(f"call-{count}", customer, 10)])
                    for worker, customer in zip((one, other), customers, strict=True)
                )
            )
            kinds = sorted(type(outcome).__name__ for (outcome,) in outcomes)
            assert kinds == [KeyReused.__name__, bytes.__name__]
    held = [await till.balances(customer) for customer in customers]
    assert sum(balance[1] for balance in held) == 50
    for customer in customers:
        await till.check(customer)


async def test_one_event_is_reversed_once_however_many_try_at_once(till: Till):
    customer = await new_customer(till, 500)
    async with till.worker() as one, till.worker() as other:
        reply = msgspec.json.decode(await one.submit(till.debit("use", customer, 40)))
        command = Reverse(UUID(reply["event"]["lago_id"]), "undo", till.asset, None)
        outcomes = await asyncio.gather(
            *(
                outcomes_of(worker, [till.operation("event", f"undo-{count}", command, customer)])
                for count, worker in enumerate((one, other) * 4)
            )
        )
    kinds = sorted(type(outcome).__name__ for (outcome,) in outcomes)
    assert kinds == [NotAllowed.__name__] * 7 + [bytes.__name__]
    assert await till.balances(customer) == (500, 0, 0)
    await till.check(customer)


async def test_two_wallets_of_one_code_are_not_opened_at_once(till: Till):
    customer = till.new_customer()
    async with till.worker() as one, till.worker() as other:
        outcomes = await asyncio.gather(
            *(
                outcomes_of(worker, [till.open_wallet(customer, 100)])
                for worker in (one, other, one, other)
            )
        )
    assert sum(isinstance(outcome, bytes) for (outcome,) in outcomes) == 1
    assert await till.balances(customer) == (100, 0, 0)
    await till.check(customer)


async def test_operations_of_many_customers_share_batches(till: Till):
    customers = [till.new_customer() for _ in range(30)]
    async with till.worker() as one, till.worker() as other:
        opened = await outcomes_of(one, [till.open_wallet(customer, 100) for customer in customers])
        assert all(isinstance(outcome, bytes) for outcome in opened), opened
        charged = await asyncio.gather(
            *(
                outcomes_of(worker, [till.debit(f"{key}-{one}", one, 10) for one in customers])
                for worker, key in ((one, "a"), (other, "b"))
            )
        )
        assert all(isinstance(outcome, bytes) for half in charged for outcome in half)
    for customer in customers[::10]:
        assert await till.balances(customer) == (80, 0, 0)
        await till.check(customer)


# -- one by one ---------------------------------------------------------------------------------


async def test_one_bad_operation_of_a_batch_fails_alone(till: Till):
    customer = await new_customer(till, 500)
    broken = Item("calls", {}, (None,))  # type: ignore[arg-type]
    async with till.worker() as worker:
        outcomes = await outcomes_of(
            worker,
            [
                till.hold("before", customer, 10),
                till.debit("bad", customer, broken),
                till.hold("after", customer, 10),
            ],
        )
    assert [isinstance(outcome, bytes) for outcome in outcomes] == [True, False, True]
    assert await till.balances(customer) == (480, 20, 0)
    await till.check(customer)


@pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)  # others count further
async def test_more_than_an_account_can_count_is_refused_and_no_failure_of_ours(till: Till):
    customer = await new_customer(till, 0, fundings=())
    huge = 8 * 10**18
    async with till.worker() as worker:
        await worker.submit(till.debit("owed", customer, huge))
        await worker.submit(till.open_wallet(customer, huge, code="pays it back"))
        with capture_logs() as logs:
            (outcome,) = await outcomes_of(worker, [till.debit("again", customer, huge)])
    assert isinstance(outcome, Invalid)
    assert (outcome.field, outcome.code) == ("amount", "value_is_out_of_range")
    assert not [entry for entry in logs if entry["log_level"] == "error"]
    assert await till.balances(customer) == (0, 0, 0)


@pytest.mark.parametrize("ledger_kind", ["postgres", "memory"], indirect=True)
async def test_a_customer_who_is_locked_for_long_is_busy_and_others_are_not(till: Till):
    locked = await new_customer(till, 500)
    free = await new_customer(till, 500)
    async with till.worker(database=hasty(till.database)) as worker:
        async with till.database.committer.acquire() as connection, connection.transaction():
            await connection.execute(
                "select from wallet.customer_versions where customer_id = $1 for update", locked
            )
            first, second = await outcomes_of(
                worker, [till.hold("call-1", locked, 10), till.hold("call-2", free, 10)]
            )
        assert isinstance(first, Busy)
        assert isinstance(second, bytes)
        assert isinstance(await worker.submit(till.hold("call-1", locked, 10)), bytes)
    await till.check(locked)


@pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)
async def test_a_full_queue_is_busy(till: Till):
    committer = till.committer(queue_max=3, deadline_s=0.1)
    customer = till.new_customer()
    waiting = asyncio.create_task(
        committer.submit_all([till.hold(f"{count}", customer, 1) for count in range(3)])
    )
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await committer.submit(till.hold("one more", customer, 1))
    await waiting


@pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)
async def test_no_more_is_taken_in_than_gets_through_in_time(till: Till):
    customer = await new_customer(till, 500)
    async with till.worker(batch_max=5, deadline_s=600.0) as worker:
        worker._pending._rate = 0.01  # as if it had been very slow so far
        asked = [
            asyncio.create_task(worker.submit(till.hold(f"{count}", customer, 1)))
            for count in range(400)
        ]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        refused = [outcome for outcome in outcomes if not isinstance(outcome, bytes)]
        # Two batches may always wait; more only as far as they get through in time.
        assert len(refused) == 400 - 11
        assert all(isinstance(outcome, Busy) for outcome in refused)
        more = [till.hold(f"again-{count}", customer, 1) for count in range(60)]
        assert all(isinstance(one, bytes) for one in await worker.submit_all(more))
        later = [
            asyncio.create_task(worker.submit(till.hold(f"l{n}", customer, 1))) for n in range(60)
        ]
        assert all(isinstance(one, bytes) for one in await asyncio.gather(*later))
    assert (await till.balances(customer))[1] == 11 + 60 + 60


@pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)
async def test_what_no_batch_took_by_its_deadline_never_happens(till: Till):
    customer = await new_customer(till, 500)
    committer = till.committer(deadline_s=0.1)
    with pytest.raises(Busy):
        await committer.submit(till.hold("late", customer, 1))
    committer._pending._deadline_s = 60.0  # the next may take as long as a busy machine does
    committer.start()
    await committer.submit(till.hold("next", customer, 2))
    await committer.stop()
    assert await till.balances(customer) == (498, 2, 0)


@pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)
async def test_a_committer_lives_on_when_all_that_waited_was_given_up(till: Till):
    customer = await new_customer(till, 500)
    async with till.worker() as worker:
        given_up = asyncio.create_task(worker.submit(till.hold("given up", customer, 1)))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0.05)
        assert isinstance(await worker.submit(till.hold("next", customer, 2)), bytes)
    assert await till.balances(customer) == (498, 2, 0)


@pytest.mark.parametrize("ledger_kind", ["postgres"], indirect=True)
async def test_who_is_free_does_not_wait_behind_who_is_busy(till: Till):
    busy, free = await new_customer(till, 500), await new_customer(till, 500)
    async with till.worker() as worker:
        async with till.database.committer.acquire() as connection, connection.transaction():
            await connection.execute(
                "select from wallet.customer_versions where customer_id = $1 for update", busy
            )
            first = asyncio.create_task(worker.submit(till.hold("first", busy, 10)))
            await until_waiting(till.database.worker)  # in the second queue
            second = asyncio.create_task(worker.submit(till.hold("second", busy, 10)))
            await until(lambda: worker.queue_length == 1)
            assert isinstance(await worker.submit(till.hold("third", free, 10)), bytes)
            assert not first.done()
            assert not second.done()
        assert isinstance(await second, bytes)
        await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize("is_taken", [False, True], ids=["waiting", "in a batch"])
async def test_a_committer_that_stops_finishes_what_it_has_taken(till: Till, is_taken: bool):
    customer = await new_customer(till, 500)
    committer = till.committer(batch_max=100 if is_taken else 5)
    committer.start()
    asked = [till.debit(f"{count}", customer, 10) for count in range(20)]
    waiting = asyncio.create_task(committer.submit_all(asked))
    while is_taken and not committer._batches_open:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await committer.stop()
    assert all(isinstance(outcome, bytes) for outcome in await waiting)
    with pytest.raises(Busy):
        await committer.submit(till.hold("late", customer, 1))
    assert await till.balances(customer) == (300, 0, 0)


class Unshowable:
    """Hot balances that cannot be written at all."""

    async def put(self, customers: Any) -> None:
        raise OverflowError

    async def refresh(self, customers: Any) -> None:
        raise ConnectionResetError


async def test_what_cannot_be_shown_is_answered_all_the_same(till: Till):
    customer = till.new_customer()
    async with till.worker(hot=Unshowable()) as worker:
        await worker.submit(till.open_wallet(customer, 500))
        await worker.submit(till.hold("call-1", customer, 10))
    assert await till.balances(customer) == (490, 10, 0)


# -- an engine of its own: the ledger refuses ---------------------------------------------------


ON_ITS_OWN = pytest.mark.parametrize("ledger_kind", ["memory", "tigerbeetle"], indirect=True)


@ON_ITS_OWN
async def test_what_the_ledger_refuses_is_split_anew_with_ids_that_were_never_used(till: Till):
    customer = till.new_customer()
    slow = Overtaken(till.ledger)
    async with till.worker(ledger=slow) as worker, till.worker() as other:
        await worker.submit(till.open_wallet(customer, 100))
        await worker.submit(till.open_wallet(customer, 100, code="second", priority=30))
        slow.sent.clear()
        slow.overtake = other.submit(till.hold("quick", customer, 60))
        asked = till.hold("slow", customer, 60)
        reply = await worker.submit(asked)
        assert await worker.submit(till.hold("slow", customer, 60)) == reply
    assert await attempt_of(till, asked) == 2
    first, second = slow.sent
    assert [transfer.amount for transfer in first] == [60]
    assert [transfer.amount for transfer in second] == [40, 20]
    assert not {one.id for one in first} & {one.id for one in second}
    assert not await till.ledger.transfers([transfer.id for transfer in first])
    assert await till.balances(customer) == (80, 120, 0)
    await till.check(customer)


@ON_ITS_OWN
async def test_what_the_ledger_refuses_is_denied_if_the_money_is_gone(till: Till):
    customer = await new_customer(till, 100)
    slow = Overtaken(till.ledger)
    async with till.worker(ledger=slow) as worker, till.worker() as other:
        slow.overtake = other.submit(till.hold("quick", customer, 60))
        asked = till.hold("slow", customer, 60)
        with pytest.raises(InsufficientFunds):
            await worker.submit(asked)
        assert await attempt_of(till, asked) == 2
        assert await till.balances(customer) == (40, 60, 0)
        await worker.submit(till.open_wallet(customer, 20, code="second"))
        await worker.submit(till.hold("slow", customer, 60))
    assert await attempt_of(till, asked) == 3
    await till.check(customer)


DOZENS = Package(amount=Decimal(5), package_size=12, free_units=0)
PRICING = Pricing(UUID(int=1), "main", UUID(int=2), Cycle("monthly", "calendar", NOON))


def use(units: int) -> Item:
    line = Line(bucket(DOZENS, charge_id=UUID(int=3), code="calls"), Decimal(units))
    return Item("calls", {}, (PricedLine(line, None),))


@ON_ITS_OWN
@pytest.mark.parametrize(("on_shortfall", "units"), [("overage", 25), ("reject", 5)])
async def test_a_refused_intent_is_taken_out_of_the_totals_again(
    till: Till, on_shortfall: str, units: int
):
    customer = await new_customer(till, 105, on_shortfall=on_shortfall)
    slow = Overtaken(till.ledger)
    async with till.worker(ledger=slow) as worker, till.worker() as other:
        await worker.submit(till.debit("first", customer, use(5), pricing=PRICING))
        # 20 more units open two packages, and most of what there is for them is taken meanwhile.
        slow.overtake = other.submit(till.hold("quick", customer, 95))
        more = till.debit("more", customer, use(20), pricing=PRICING)
        (outcome,) = await outcomes_of(worker, [more])
    assert isinstance(outcome, bytes if on_shortfall == "overage" else InsufficientFunds)
    assert await attempt_of(till, more) == 2
    async with till.database.worker.acquire() as connection:
        totals = await connection.fetch(
            "select total from wallet.totals where organization_id = $1", till.organization_id
        )
    ((total,),) = totals
    assert Decimal(msgspec.json.decode(total)["units"]) == units
    await till.check(customer)
