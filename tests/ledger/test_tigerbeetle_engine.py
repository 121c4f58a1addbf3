"""What only the TigerBeetle engine must take care of: its one client, deadlines, lost sessions."""

import asyncio
import contextlib
import ctypes
import time

import pytest

pytest.importorskip("tigerbeetle")

from tigerbeetle import bindings
from tigerbeetle.client import ClientEvictedError

from ledger import LedgerBusy, LedgerUnavailable, OutcomePending, UnsupportedTransfer
from ledger.engines import open_ledger
from ledger.engines.tigerbeetle_dispatcher import Dispatcher, Operation
from ledger.ids import hash128
from tests.ledger.book import EXISTS, GRANT, OK, Book
from tests.waiting import until

NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def book(tigerbeetle: str) -> Book:
    """An engine of its own on the shared cluster; a grant of 100."""
    book = Book(
        open_ledger("tigerbeetle", addresses=tigerbeetle, deadline_s=60),
        hash128(time.time_ns()) % 2**31 + 1,
    )
    await book.open(book.account("payments"), book.account("revenue"), book.account("grant", GRANT))
    assert await book.book(book.transfer("top-up", "payments", "grant", 100)) == [OK]
    yield book
    await book.ledger.close()


async def until_sent(dispatcher):
    """Return when the first call is with the cluster, and the queue is empty again."""
    await until(lambda: dispatcher._client is not None)


async def test_no_cluster_is_said_at_the_deadline():
    ledger = open_ledger("tigerbeetle", addresses=NOWHERE, deadline_s=0.3)
    started = time.monotonic()
    with pytest.raises(LedgerUnavailable):
        await ledger.ready()
    assert time.monotonic() - started < 30  # which its driver alone would wait for
    await ledger.close()
    with pytest.raises(LedgerUnavailable):
        await ledger.ready()


async def test_what_was_sent_without_an_answer_is_pending_and_what_was_not_is_not():
    ledger = open_ledger("tigerbeetle", addresses=NOWHERE, deadline_s=0.3)
    book = Book(ledger, 1)
    first = asyncio.create_task(book.book(book.transfer("first", "a", "b", 1)))
    await until_sent(ledger._dispatcher)
    with pytest.raises(LedgerUnavailable) as second:
        await book.book(book.transfer("second", "a", "b", 1))
    assert second.type is LedgerUnavailable
    with pytest.raises(OutcomePending):
        await first
    await ledger.close()


async def test_the_queue_is_bounded():
    dispatcher = Dispatcher(addresses=NOWHERE, cluster_id=0, deadline_s=0.2, queue_events_max=3)
    ids = (5).to_bytes(16, "little")
    calls = [asyncio.create_task(dispatcher.call(Operation.LOOKUP_ACCOUNTS, ids * 3))]
    await until_sent(dispatcher)
    calls.append(asyncio.create_task(dispatcher.call(Operation.LOOKUP_ACCOUNTS, ids * 2)))
    await asyncio.sleep(0)
    with pytest.raises(LedgerBusy):
        await dispatcher.call(Operation.LOOKUP_ACCOUNTS, ids * 2)
    for call in calls:
        with pytest.raises(LedgerUnavailable):
            await call
    assert dispatcher._queued_events == 0, "who gave up takes no place"
    await dispatcher.close()


async def test_a_caller_who_leaves_stops_nothing(book):
    use = book.transfer("use", "grant", "revenue", 30)
    leaving = asyncio.create_task(book.book(use))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    assert await book.book(use) in ([OK], [EXISTS])
    assert await book.sums("grant") == (0, 30, 0, 100)


async def test_a_call_that_was_not_sent_may_be_taken_back():
    dispatcher = Dispatcher(addresses=NOWHERE, cluster_id=0, deadline_s=60)
    ids = (5).to_bytes(16, "little")
    first = asyncio.create_task(dispatcher.call(Operation.LOOKUP_ACCOUNTS, ids))
    await until_sent(dispatcher)
    waiting = asyncio.create_task(dispatcher.call(Operation.LOOKUP_ACCOUNTS, ids))
    await until(lambda: dispatcher._queued_events == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert dispatcher._queued_events == 0
    await dispatcher.close()
    with pytest.raises(LedgerUnavailable):
        await first


async def test_calls_that_wait_together_are_sent_together(book):
    dispatcher = book.ledger._dispatcher
    sent = []
    send = dispatcher._send

    async def spy(operation, events):
        sent.append((operation, len(events)))
        return await send(operation, events)

    dispatcher._send = spy
    calls = [book.book(book.transfer(f"{number}", "grant", "revenue", 1)) for number in range(40)]
    assert await asyncio.gather(*calls) == [[OK]] * 40
    assert len(sent) <= 3, sent
    assert sum(size for _, size in sent) == 40 * 128
    assert await book.sums("grant") == (0, 40, 0, 100)


async def test_chains_of_several_callers_stay_their_own(book):
    def chain(number, amount):
        return book.book(
            book.transfer(f"{number} a", "grant", "revenue", 1, linked=True),
            book.transfer(f"{number} b", "grant", "revenue", amount),
        )

    answers = await asyncio.gather(*[chain(number, 500 * (number % 2)) for number in range(10)])
    for number, answer in enumerate(answers):
        assert answer == (
            [OK, OK] if number % 2 == 0 else ["linked_event_failed", "exceeds_credits"]
        )
    assert await book.sums("grant") == (0, 5, 0, 100)


async def test_an_evicted_session_sends_the_same_ids_again(book):
    evicted = book.ledger._dispatcher._client
    send = evicted.send

    async def send_and_lose(operation, events):
        await send(operation, events)
        raise ClientEvictedError

    evicted.send = send_and_lose
    assert await book.book(book.transfer("use", "grant", "revenue", 30)) == [EXISTS]
    assert book.ledger._dispatcher._client is not evicted
    assert await book.sums("grant") == (0, 30, 0, 100)


async def test_a_session_that_was_evicted_while_idle_is_opened_anew(book):
    idle = book.ledger._dispatcher._client
    bindings.tb_client_deinit(ctypes.byref(idle._client))  # what an eviction does to the client
    assert await book.book(book.transfer("use", "grant", "revenue", 30)) == [OK]
    assert book.ledger._dispatcher._client is not idle
    assert await book.sums("grant") == (0, 30, 0, 100)


async def test_a_chain_that_no_submission_carries_is_our_own_bug(book):
    links = [
        book.transfer(f"{number}", "grant", "revenue", 0, linked=number < 8_189)
        for number in range(8_190)
    ]
    with pytest.raises(UnsupportedTransfer):
        await book.book(*links)
    assert await book.book(book.transfer("use", "grant", "revenue", 1)) == [OK]


async def test_closing_while_a_call_is_open_answers_it(tigerbeetle):
    ledger = open_ledger("tigerbeetle", addresses=NOWHERE, deadline_s=20)
    book = Book(ledger, 1)
    sent = asyncio.create_task(book.book(book.transfer("first", "a", "b", 1)))
    await until_sent(ledger._dispatcher)
    await ledger.close()
    await ledger.close()
    with pytest.raises(OutcomePending):
        await sent
