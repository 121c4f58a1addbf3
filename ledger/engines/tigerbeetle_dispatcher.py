"""The one owner of the TigerBeetle client: every call of the process goes through it.

    callers ──► one bounded queue a kind ──► the owner: one submission at a time ──► cluster
       ▲                                              │
       └────────── each its own future ◄──────────────┘

A session has one request in flight, so calls that come in meanwhile are sent together, up to what
one submission can carry. The client neither times out nor survives a cancelled await: nobody but
the owner awaits it, callers wait for their own future up to a deadline, and what was sent stays
sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections import deque
from typing import Any

from msgspec import Struct
from tigerbeetle import bindings
from tigerbeetle.client import (
    ClientAsync,
    ClientClosedError,
    ClientEvictedError,
    ClientReleaseTooHighError,
    ClientReleaseTooLowError,
    CompletionContextAsync,
    InflightPacket,
    InitError,
    TooMuchDataError,
)

from ledger.errors import LedgerBusy, LedgerUnavailable, OutcomePending
from ledger.transfers import BATCH_MAX

Operation = bindings.Operation

EVENT_SIZES = {
    Operation.CREATE_ACCOUNTS: 128,
    Operation.CREATE_TRANSFERS: 128,
    Operation.LOOKUP_ACCOUNTS: 16,
    Operation.LOOKUP_TRANSFERS: 16,
    Operation.GET_ACCOUNT_TRANSFERS: 128,
    Operation.QUERY_ACCOUNTS: 64,
}
"""What may be asked, and how many bytes one event of it takes."""

MERGED = frozenset(
    {
        Operation.CREATE_ACCOUNTS,
        Operation.CREATE_TRANSFERS,
        Operation.LOOKUP_ACCOUNTS,
        Operation.LOOKUP_TRANSFERS,
    }
)
"""Calls of these kinds that wait together are sent together."""

WRITES = frozenset({Operation.CREATE_ACCOUNTS, Operation.CREATE_TRANSFERS})

_RESULT_SIZE = 16
_EVICTIONS_MAX = 5


class Reply(Struct, frozen=True):
    """The bytes of a reply and the moment of the cluster at which they were true."""

    timestamp: int
    body: bytes


class _Client(ClientAsync):
    """The client, with what its completion callback drops: the timestamp of the reply.

    Events go in and results come out as bytes, laid out as `ledger.engines.tigerbeetle` says, which
    spares a Python object for every field of every event.
    """

    def _acquire_packet(
        self,
        operation: bindings.Operation,
        operations: Any,
        c_event_type: Any,
        c_result_type: Any,
    ) -> InflightPacket:
        events = ctypes.create_string_buffer(operations, len(operations))
        packet: Any = bindings.CPacket()
        packet.next = None
        packet.user_data = self._counter.increment()
        packet.user_tag = 0
        packet.operation = operation
        packet.status = bindings.PacketStatus.OK
        packet.data_size = len(operations)
        packet.data = ctypes.cast(events, ctypes.c_void_p)
        inflight = InflightPacket(
            packet=packet,
            response=None,
            on_completion=None,
            on_completion_context=None,
            operation=operation,
            c_event_type=c_event_type,
            c_result_type=c_result_type,
        )
        # The client reads the events after this call returns: they live as long as the packet.
        inflight.c_event_type = events
        return inflight

    def _on_completion(self, inflight_packet: InflightPacket) -> None:
        """Also called while the loop is already closed, by a client that nobody closed in time."""
        context = inflight_packet.on_completion_context
        assert isinstance(context, CompletionContextAsync)
        with contextlib.suppress(RuntimeError):
            context.loop.call_soon_threadsafe(context.event.set)

    @staticmethod
    @bindings.OnCompletion
    def _c_on_completion(
        completion_ctx: int, packet: Any, timestamp: int, bytes_ptr: Any, len_: int
    ) -> None:
        """Runs in the client's own thread; the reply's memory is gone when it returns."""
        client = ClientAsync._clients[completion_ctx]  # noqa: SLF001
        inflight = client._inflight_packets[packet[0].user_data]  # noqa: SLF001
        status = packet[0].status
        if status == bindings.PacketStatus.OK.value:
            body = ctypes.string_at(bytes_ptr, len_) if len_ else b""
            inflight.response = Reply(timestamp, body)
        else:
            inflight.response = _ERRORS.get(status, _UnexpectedStatus)()
        client._on_completion(inflight)  # noqa: SLF001

    async def send(self, operation: bindings.Operation, events: bytes) -> Reply:
        """One submission. Must not be cancelled."""
        return await self._submit(operation, events, None, None)


class _UnexpectedStatus(Exception):
    """The client says that our packet was malformed."""


_ERRORS: dict[int, type[Exception]] = {
    bindings.PacketStatus.TOO_MUCH_DATA.value: TooMuchDataError,
    bindings.PacketStatus.CLIENT_EVICTED.value: ClientEvictedError,
    bindings.PacketStatus.CLIENT_RELEASE_TOO_LOW.value: ClientReleaseTooLowError,
    bindings.PacketStatus.CLIENT_RELEASE_TOO_HIGH.value: ClientReleaseTooHighError,
    bindings.PacketStatus.CLIENT_SHUTDOWN.value: ClientClosedError,
}


class _Job:
    """One call: its events, and the future on which the caller waits."""

    __slots__ = ("count", "events", "future", "is_sent", "operation")

    def __init__(
        self, operation: bindings.Operation, events: bytes, future: asyncio.Future[Reply]
    ) -> None:
        self.operation = operation
        self.events = events
        self.count = len(events) // EVENT_SIZES[operation]
        self.future = future
        self.is_sent = False


class Dispatcher:
    """Owns the client: opened on first use, renewed when evicted, closed once."""

    def __init__(
        self,
        *,
        addresses: str,
        cluster_id: int,
        deadline_s: float,
        queue_events_max: int = 4 * BATCH_MAX,
    ) -> None:
        self._addresses = addresses
        self._cluster_id = cluster_id
        self._deadline_s = deadline_s
        self._queue_events_max = queue_events_max
        self._queued_events = 0
        self._queues: dict[bindings.Operation, deque[_Job]] = {
            operation: deque() for operation in EVENT_SIZES
        }
        self._work = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._client: _Client | None = None
        self._is_closed = False
        self.batch_max = BATCH_MAX
        """How many events one submission carries; lowered when the cluster takes less."""

    async def call(self, operation: bindings.Operation, events: bytes) -> Reply:
        """Send these events and wait for the reply, up to the deadline.

        Raises LedgerBusy (not queued), LedgerUnavailable (not sent, or nothing but a read), and
        OutcomePending (sent: only a repeat with the same ids tells).
        """
        if self._is_closed:
            raise LedgerUnavailable("the ledger was closed")
        job = _Job(operation, events, asyncio.get_running_loop().create_future())
        if self._queued_events + job.count > self._queue_events_max:
            raise LedgerBusy(f"{self._queued_events} events wait for TigerBeetle already")
        self._queued_events += job.count
        self._queues[operation].append(job)
        self._work.set()
        if self._owner is None:
            self._owner = asyncio.create_task(self._run(), name="tigerbeetle-owner")
        try:
            return await asyncio.wait_for(asyncio.shield(job.future), self._deadline_s)
        except TimeoutError:
            self._give_up(job)
            if job.is_sent and operation in WRITES:
                raise OutcomePending("TigerBeetle has not answered before the deadline") from None
            raise LedgerUnavailable("TigerBeetle has not answered before the deadline") from None
        except asyncio.CancelledError:
            self._give_up(job)
            raise

    def _give_up(self, job: _Job) -> None:
        """Nobody waits any more: take the job back if it was not sent yet."""
        if not job.is_sent:
            self._queues[job.operation].remove(job)
            self._queued_events -= job.count
        job.future.add_done_callback(_forget)

    async def _run(self) -> None:
        while not self._is_closed:
            await self._work.wait()
            self._work.clear()
            for operation in EVENT_SIZES:
                while not self._is_closed and (jobs := self._take(operation)):
                    await self._serve(operation, jobs)

    def _take(self, operation: bindings.Operation) -> list[_Job]:
        """The jobs of the next submission: as many as fit, in the order in which they came."""
        queue = self._queues[operation]
        jobs: list[_Job] = []
        count = 0
        while queue and (not jobs or operation in MERGED):
            if jobs and count + queue[0].count > self.batch_max:
                break
            job = queue.popleft()
            job.is_sent = True
            count += job.count
            jobs.append(job)
        self._queued_events -= count
        return jobs

    async def _serve(self, operation: bindings.Operation, jobs: list[_Job]) -> None:
        """Send jobs of one kind together and answer each; never lets an error stop the owner."""
        try:
            reply = await self._send(operation, b"".join(job.events for job in jobs))
        except TooMuchDataError:
            await self._serve_less(operation, jobs)
            return
        except Exception as error:  # noqa: BLE001 - each caller hears it
            for job in jobs:
                _fail(job, error)
            return
        if operation in WRITES:
            offset = 0
            for job in jobs:
                size = job.count * _RESULT_SIZE
                _answer(job, Reply(reply.timestamp, reply.body[offset : offset + size]))
                offset += size
        else:
            for job in jobs:
                _answer(job, reply)

    async def _serve_less(self, operation: bindings.Operation, jobs: list[_Job]) -> None:
        """The cluster takes smaller submissions than we thought; nothing of this one was sent."""
        if len(jobs) > 1:
            self.batch_max = max(1, sum(job.count for job in jobs) // 2)
            for job in jobs:
                await self._serve(operation, [job])
            return
        self.batch_max = max(1, jobs[0].count // 2)
        _fail(jobs[0], TooMuchDataError())

    async def _send(self, operation: bindings.Operation, events: bytes) -> Reply:
        for _ in range(_EVICTIONS_MAX):
            try:
                if self._client is None:
                    self._client = _Client(self._cluster_id, self._addresses)
                return await self._client.send(operation, events)
            except (ClientEvictedError, ClientClosedError):
                # More than 64 sessions are open: the oldest was closed, which a request in flight
                # hears as evicted and the first one after an idle time as closed. A new session
                # sends the same ids again.
                if self._is_closed:
                    raise
                evicted, self._client = self._client, None
                if evicted is not None:
                    await evicted.close()
            except InitError as error:
                raise LedgerUnavailable(f"the TigerBeetle client does not start: {error}") from None
            except (ClientReleaseTooHighError, ClientReleaseTooLowError) as error:
                raise LedgerUnavailable(f"TigerBeetle refuses this client: {error}") from error
        raise OutcomePending("TigerBeetle evicted this client again and again")

    async def close(self) -> None:
        """Stop sending. Whatever waits hears that it does not know the outcome."""
        if self._is_closed:
            return
        self._is_closed = True
        self._work.set()
        for queue in self._queues.values():
            while queue:
                _fail(queue.popleft(), LedgerUnavailable("the ledger was closed"))
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._owner is not None:
            await self._owner


def _answer(job: _Job, reply: Reply) -> None:
    if not job.future.done():
        job.future.set_result(reply)


def _fail(job: _Job, error: Exception) -> None:
    if isinstance(error, ClientClosedError):
        error = (
            OutcomePending("the ledger was closed before TigerBeetle answered")
            if job.operation in WRITES
            else LedgerUnavailable("the ledger was closed")
        )
    if not job.future.done():
        job.future.set_exception(error)


def _forget(future: asyncio.Future[Reply]) -> None:
    """Take notice of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
