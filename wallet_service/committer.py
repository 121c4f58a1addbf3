"""Group commit: all that moves a customer's money is locked, judged and written in batches.

One committer runs in each api worker, and one in the worker. Requests wait for the batch that is
being formed; it leaves when no more are coming in and the one before is about to commit. A batch:

    transaction   lock, read, decide, write, commit: `batch_transaction`
    show          the new balances go to Redis: `customer_showing`
    answer        to each request its reply, or its error

Requests whose customer is busy go into a second queue, whose batches wait for the lock. With an
engine outside Postgres the transaction commits intents, and `intent_posting` brings them to their
end before the answers leave.
"""

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Sequence
from typing import Any, TypeAlias
from uuid import UUID

import structlog

from ledger import Ledger
from ledger.transfers import ENDED
from wallet_service.batch_gathering import Gathering
from wallet_service.batch_transaction import Again, BatchTransaction, HoldsEnded, Judged
from wallet_service.budget_counters import Place
from wallet_service.customer_showing import load_and_show, show
from wallet_service.database import Database
from wallet_service.decision import (
    Done,
    LockedState,
    Operation,
    Outcome,
    Refused,
    Replayed,
    Waits,
)
from wallet_service.errors import Busy, OutcomePending, Unavailable, WalletError
from wallet_service.hot_customers import HotCustomers
from wallet_service.intent_posting import Intent, IntentPosting
from wallet_service.pending_operations import Lane, Pending, PendingOperations
from wallet_service.store_failures import CONFLICTS, UNAVAILABLE

__all__ = ["Committer"]

_Committed: TypeAlias = tuple[LockedState, Sequence[tuple[Pending, Outcome]]]

log = structlog.get_logger()

_SHOWN = (Done, Replayed)
_TRIES_MAX = 3
"""How often a batch runs again after a conflict.

Also how often one request may be refused by the ledger and judged anew.
"""
_PAUSE_S = 0.005
_BATCHES_MAX = 3
"""Batches that are under way at once: one, one that commits meanwhile, and one that waits for
customers who are busy elsewhere."""
_FINISHING_MAX = 4
"""Batches that are committed and wait for Redis, or for a ledger outside Postgres."""


class Committer:
    """Takes operations, answers each with its reply or its error. See the module's docstring."""

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        hot: HotCustomers,
        batch_max: int,
        queue_max: int,
        deadline_s: float,
    ) -> None:
        self._transaction = BatchTransaction(database=database, ledger=ledger)
        self._intent_posting = IntentPosting(database=database, ledger=ledger, hot=hot)
        self._hot = hot
        self._is_atomic = ledger.name == "postgres"
        self._deadline_s = deadline_s
        self._gathering = Gathering(size_max=batch_max)
        self._pending = PendingOperations(
            gathering=self._gathering,
            batch_max=batch_max,
            queue_max=queue_max,
            deadline_s=deadline_s,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._side_tasks: set[asyncio.Task[Any]] = set()
        self._committing = asyncio.Semaphore(_BATCHES_MAX)
        self._finishing = asyncio.Semaphore(_FINISHING_MAX)
        self._is_stopping = False
        self._batches_open = 0

    # -- the door ----------------------------------------------------------------------------------

    async def submit(self, operation: Operation) -> bytes:
        """Commit one operation and give its reply.

        Raises the WalletError that refuses it; Busy if there is no room, no batch or no lock in
        time, and nothing happened; OutcomePending if its outcome is not known by the deadline. It
        goes on all the same: the same key tells.
        """
        (reply,) = self._take_in([operation])
        return await reply

    async def submit_all(self, operations: Sequence[Operation]) -> list[bytes | Exception]:
        """Commit several operations, each on its own account; the outcomes in their order."""
        replies = self._take_in(operations) if operations else []
        outcomes: list[bytes | Exception] = []
        for reply in replies:
            try:
                outcomes.append(await reply)
            except Exception as error:  # noqa: BLE001 (each is the outcome of one)
                outcomes.append(error)
        return outcomes

    def _take_in(self, operations: Sequence[Operation]) -> list[asyncio.Future[bytes]]:
        if self._is_stopping:
            raise Busy("too many operations are waiting")
        return self._pending.take_in(operations)

    def start(self) -> None:
        """Begin to take batches."""
        self._tasks = [
            asyncio.create_task(self._run(self._pending.ready, skip_locked=True)),
            asyncio.create_task(self._run(self._pending.locked_out, skip_locked=False)),
        ]

    async def stop(self) -> None:
        """Refuse what comes, finish what waits, and end."""
        self._is_stopping = True
        loop = asyncio.get_running_loop()
        end = loop.time() + self._deadline_s
        while self._is_busy() and loop.time() < end:  # noqa: ASYNC110 (once in a life, many causes)
            await asyncio.sleep(_PAUSE_S)
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._pending.end(Unavailable("the service is stopping"))

    def _is_busy(self) -> bool:
        return bool(self._pending or self._side_tasks or self._batches_open)

    @property
    def queue_length(self) -> int:
        """Operations that wait for a batch."""
        return len(self._pending)

    # -- batches -----------------------------------------------------------------------------------

    async def _run(self, lane: Lane, *, skip_locked: bool) -> None:
        while True:
            await lane.news.wait()
            lane.news.clear()
            while lane:
                if skip_locked:
                    await self._gathering.wait(lane)
                batch = self._pending.take(lane)
                if not batch:
                    break  # all that wait are for customers of batches under way, which wake us
                await self._committing.acquire()
                written = asyncio.Event()
                self._spawn(self._carry(batch, written, skip_locked=skip_locked))
                await written.wait()

    async def _carry(
        self, batch: list[Pending], written: asyncio.Event, *, skip_locked: bool
    ) -> None:
        """Process a batch; ``written`` tells that only its commit is left, so the next may begin.

        Its customers are left out of other batches until it is through. The next one does not wait
        for its last steps, to show and to answer: nothing is locked any more.
        """
        self._batches_open += 1
        is_awaited = skip_locked  # who waits for a lock keeps nobody else waiting
        done: _Committed | None = None
        if is_awaited:
            self._gathering.begin()
        try:
            done = await self._process(batch, written, skip_locked=skip_locked)
        except Exception as error:
            log.exception("batch_failed", operations=len(batch))
            for pending in batch:
                pending.refuse(error)
        finally:
            self._batches_open -= 1
            if is_awaited and done is None:
                self._gathering.end()
            self._committing.release()
            self._pending.let_go(batch)
            written.set()
        if done is not None:
            await self._finish(*done, is_awaited=is_awaited)

    async def _process(
        self, batch: list[Pending], written: asyncio.Event, *, skip_locked: bool
    ) -> _Committed | None:
        """Carry out a batch; gives what there is to show, and then to answer, if there is any."""
        done = await self._commit(batch, written, skip_locked=skip_locked)
        if done is None:
            return None
        outcomes = list(zip(batch, done.outcomes, strict=True))
        busy = [pending for pending, outcome in outcomes if outcome is None]
        judged = [(pending, outcome) for pending, outcome in outcomes if outcome is not None]
        self._pending.measure(len(judged))
        if busy:
            self._put_back(busy, done)
        if done.state is None:
            return None
        for pending, outcome in judged:
            if isinstance(outcome, Waits):
                self._wait_for_others(pending)
        await self._finishing.acquire()
        return done.state, judged

    def _put_back(self, busy: Sequence[Pending], done: Judged) -> None:
        """Who was not judged is in another batch: one that takes locks, or waits for them."""
        for pending in busy:
            pending.is_taken = pending.is_unsure
        if done.wants_locks:
            for pending in busy:
                has_moved = pending.operation.customer in done.moved
                pending.takes_locks = pending.has_moved or not has_moved
                pending.has_moved = has_moved
            self._pending.ready.add_first(busy)
        else:
            self._pending.locked_out.add(busy)

    async def _finish(
        self,
        state: LockedState,
        judged: Sequence[tuple[Pending, Outcome]],
        *,
        is_awaited: bool,
    ) -> None:
        """Show what a batch has moved, or have its intents posted; then answer."""
        try:
            if self._is_atomic:
                await self._show(state, judged)
            else:
                await self._post(state, judged)
                replayed = [one.operation.customer for one, out in judged if type(out) is Replayed]
                await load_and_show(self._hot, replayed)
        except Exception as error:
            log.exception("batch_failed", operations=len(judged))
            for pending, _ in judged:
                pending.refuse(error)
        else:
            self._answer(judged)
        finally:
            self._finishing.release()
            if is_awaited:
                self._gathering.end(answered=len(judged))

    def _answer(self, judged: Sequence[tuple[Pending, Outcome]]) -> None:
        """Tell who waits how it came out; of intents and of what waits for others, others tell."""
        for pending, outcome in judged:
            match outcome:
                case Done(reply=reply) if self._is_atomic:
                    pending.resolve(reply)
                case Replayed(reply=reply):
                    pending.resolve(reply)
                case Refused(error=error):
                    pending.refuse(error)
                case _:
                    pass

    async def _commit(
        self, batch: list[Pending], written: asyncio.Event, *, skip_locked: bool
    ) -> Judged | None:
        """Run a batch's transaction until it stands.

        None if its operations were dealt with otherwise.
        """
        operations = [pending.operation for pending in batch]
        ended = {pending.ended_hold for pending in batch if pending.ended_hold}
        budgets = set[Place]().union(*[pending.budgets for pending in batch])
        error: BaseException = Busy()
        for attempt in range(_TRIES_MAX + 1):
            if attempt > 1:
                await asyncio.sleep(random.uniform(0, 0.01) * attempt)  # noqa: S311 (jitter)
            try:
                return await self._transaction.run(
                    operations,
                    skip_locked=skip_locked,
                    ended=ended,
                    budgets=budgets,
                    is_repeated=attempt > 0,
                    takes_locks=any(pending.takes_locks for pending in batch),
                    written=written,
                )
            except HoldsEnded as refusal:
                ended |= refusal.holds
            except (*CONFLICTS, Again) as conflict:
                error = Busy()
                log.debug("batch_again", reason=type(conflict).__name__, operations=len(batch))
            except UNAVAILABLE as failure:
                # The commit may have landed. Run again from the locks: the keys tell.
                error = Unavailable(type(failure).__name__)
                _lose(batch)
                log.warning("store_unavailable", reason=repr(failure), operations=len(batch))
            except Exception as failure:
                if len(batch) > 1:
                    self._separate(batch)
                    return None
                if not isinstance(failure, WalletError):  # what was refused is no failure of ours
                    log.exception("operation_failed", kind=batch[0].operation.kind)
                error = failure
                break
        for pending in batch:
            pending.fail(error)
        return None

    def _separate(self, batch: list[Pending]) -> None:
        """One bad operation must fail alone: each gets a transaction of its own."""
        for pending in batch:
            pending.is_alone = True
        self._pending.ready.add_first(batch)

    async def _show(self, state: LockedState, judged: Sequence[tuple[Pending, Outcome]]) -> None:
        """Put the new balances where reads look, before the answers leave.

        Also those of what is answered again: whoever did it may have died before they were shown.
        """
        customers = {one.operation.customer for one, out in judged if type(out) in _SHOWN}
        await show(self._hot, [state.customers[key] for key in customers if key is not None])

    # -- an engine outside Postgres ----------------------------------------------------------------

    async def sweep(self, *, age_s: float = 2.0, customers: Sequence[UUID] | None = None) -> int:
        """Bring intents that were left open to their end; says how many there were."""
        if self._is_atomic:
            return 0
        return await self._intent_posting.sweep(age_s=age_s, customers=customers)

    async def _post(self, state: LockedState, judged: Sequence[tuple[Pending, Outcome]]) -> None:
        """Post what was accepted, and answer it; what the ledger refuses is judged again."""
        accepted = [
            (pending, outcome.reply, Intent.of(pending.operation, outcome))
            for pending, outcome in judged
            if isinstance(outcome, Done)
        ]
        if not accepted:
            return
        try:
            await self._intent_posting.post([intent for _, _, intent in accepted], state)
        except OutcomePending:
            for pending, _, _ in accepted:
                pending.refuse(OutcomePending())
            return
        for pending, reply, intent in accepted:
            if intent.failure is not None:
                pending.refuse(intent.failure)
            elif intent.is_fact:
                pending.resolve(reply)
            else:
                self._judge_again(pending, intent)

    def _judge_again(self, pending: Pending, refused: Intent) -> None:
        if refused.result is not None and refused.result.status in ENDED:
            pending.ended_hold = refused.effect.authorization_id
        if pending.tries + 1 >= _TRIES_MAX:
            pending.refuse(Busy("other operations took the balance meanwhile"))
        else:
            pending.tries += 1
            pending.takes_locks = True  # its key is known by now
            self._pending.ready.add([pending])

    def _wait_for_others(self, pending: Pending) -> None:
        """The same key or hold is under way elsewhere: help it to its end, then judge again."""
        loop = asyncio.get_running_loop()
        if loop.time() > pending.deadline:
            pending.refuse(OutcomePending())
            return
        self._spawn(self._help(pending))

    async def _help(self, pending: Pending) -> None:
        await asyncio.sleep(_PAUSE_S)
        operation = pending.operation
        if operation.customer_id is not None:
            try:
                await self.sweep(age_s=0.05, customers=[operation.customer_id])
            except Exception as failure:  # noqa: BLE001 (whatever it is, who waits hears of it)
                log.warning("outcome_pending", reason=repr(failure), operations=1)
                pending.refuse(OutcomePending())
                return
        self._pending.ready.add([pending])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)


def _lose(batch: Sequence[Pending]) -> None:
    """The answer to a batch's commit may have got lost."""
    for pending in batch:
        pending.is_unsure = True
