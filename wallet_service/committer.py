"""Group commit: all that moves a customer's money is locked, judged and written in batches.

One committer runs in each api worker, and one in the worker. Requests wait for the batch that is
being formed; it leaves as soon as the one before has returned, with no timer. A batch:

    lock     customers, in the order of their ids; who is busy goes into the waiting batch
    read     keys, wallets, holds, totals, balances, and the batch's time: after the locks
    decide   in order, in a pure function
    write    keys, rows and (Postgres engine) the transfers, set-wise
    commit   one transaction; then the new balances go to Redis, and the answers leave

With an engine outside Postgres the commit keeps an intent, the ledger makes it a fact, and a second
transaction concludes it: `open → posted | refused`. A sweeper does the same for intents whose
process died.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct

from invoicing.records import load_queries
from ledger import Ledger, chart
from ledger.errors import LedgerConflict, LedgerError, LedgerUnavailable
from ledger.transfers import ENDED, ChainResult, TransferResult, chain_result
from rating.usage import Total
from wallet_service import customer_balances, customer_reading, customer_writing, running_totals
from wallet_service.customer_locking import introduce_customers, lock_customers
from wallet_service.database import Database
from wallet_service.decision import (
    CustomerKey,
    CustomerState,
    Done,
    Effect,
    LockedState,
    Operation,
    Outcome,
    Refused,
    Replayed,
    Waits,
    decide,
)
from wallet_service.decision.pricing import undo
from wallet_service.decision.state import TotalKey
from wallet_service.errors import Busy, Invalid, OutcomePending, Unavailable
from wallet_service.hot_customers import HotCustomers
from wallet_service.intents import decode_intent
from wallet_service.recent_customers import RecentCustomers

__all__ = ["Committer"]

log = structlog.get_logger()

_queries = load_queries(__file__)

_TRIES_MAX = 3
"""How often a batch runs again after a conflict.

Also how often one request may be refused by the ledger and judged anew.
"""
_SWEEP_MAX = 500
_PAUSE_S = 0.005

_CONFLICTS = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    LedgerConflict,
)
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError)
_UNAVAILABLE = (
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    LedgerUnavailable,
    *_LOST,
)


class _Again(Exception):
    """The batch must run again: another transaction was first with a key."""


class _HoldsEnded(Exception):
    """The ledger says that these holds are over: judge again without their legs."""

    def __init__(self, holds: set[UUID]) -> None:
        super().__init__()
        self.holds = holds


class _Pending(Struct, eq=False):
    """A request that waits for its outcome."""

    operation: Operation
    reply: asyncio.Future[bytes]
    deadline: float
    tries: int = 0
    is_alone: bool = False
    ended_hold: UUID | None = None

    @property
    def customer(self) -> CustomerKey | None:
        operation = self.operation
        if operation.customer_id is None:
            return None
        return operation.organization_id, operation.customer_id

    def resolve(self, reply: bytes) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)

    def refuse(self, error: BaseException) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)


class _Intent(Struct):
    """An open operation whose transfers the ledger is asked to post."""

    organization_id: UUID
    kind: str
    key: str
    attempt: int
    effect: Effect
    pending: _Pending | None = None
    reply: bytes = b""
    result: ChainResult | None = None

    @property
    def place(self) -> tuple[UUID, str, str]:
        return self.organization_id, self.kind, self.key


class _Batch(Struct):
    """What one transaction came to."""

    busy: list[_Pending] = []
    judged: list[tuple[_Pending, Outcome]] = []
    state: LockedState | None = None


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
        self._pool = database.committer
        """Role wallet_committer: all organizations, append-only where the tables are."""
        self._ledger = ledger
        self._hot = hot
        self._is_atomic = ledger.name == "postgres"
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._deadline_s = deadline_s
        self._queue: deque[_Pending] = deque()
        self._waiting: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._wake_waiting = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._side_tasks: set[asyncio.Task[Any]] = set()
        self._houses: set[tuple[int, str]] = set()
        self._recent = RecentCustomers()
        self._is_stopping = False
        self._batches_open = 0

    # -- the door ----------------------------------------------------------------------------------

    async def submit(self, operation: Operation) -> bytes:
        """Commit one operation and give its reply.

        Raises the WalletError that refuses it; Busy if there is no room or no lock in time;
        OutcomePending if its outcome is not known by the deadline. It goes on all the same: the
        same key tells.
        """
        (outcome,) = await self.submit_all([operation])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def submit_all(self, operations: Sequence[Operation]) -> list[bytes | BaseException]:
        """Commit several operations, each on its own account; the outcomes in their order."""
        if not operations:
            return []
        if self._is_stopping or self.queue_length + len(operations) > self._queue_max:
            raise Busy("too many operations are waiting")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._deadline_s
        pendings = [_Pending(operation, loop.create_future(), deadline) for operation in operations]
        self._queue.extend(pendings)
        self._wake.set()
        futures = [pending.reply for pending in pendings]
        await asyncio.wait(futures, timeout=self._deadline_s)
        return [_outcome_of(future) for future in futures]

    def start(self) -> None:
        """Begin to take batches."""
        self._tasks = [
            asyncio.create_task(self._run(self._queue, self._wake, skip_locked=True)),
            asyncio.create_task(self._run(self._waiting, self._wake_waiting, skip_locked=False)),
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
        for pending in (*self._queue, *self._waiting):
            pending.refuse(Unavailable("the service is stopping"))

    def _is_busy(self) -> bool:
        return bool(self._queue or self._waiting or self._side_tasks or self._batches_open)

    @property
    def queue_length(self) -> int:
        """Operations that wait for a batch."""
        return len(self._queue) + len(self._waiting)

    # -- batches -----------------------------------------------------------------------------------

    async def _run(self, queue: deque[_Pending], wake: asyncio.Event, *, skip_locked: bool) -> None:
        while True:
            await wake.wait()
            wake.clear()
            while queue:
                batch = self._take(queue)
                self._batches_open += 1
                try:
                    await self._process(batch, skip_locked=skip_locked)
                except Exception as error:
                    # The loop must live on; each request hears of it.
                    log.exception("batch_failed", operations=len(batch))
                    for pending in batch:
                        pending.refuse(error)
                finally:
                    self._batches_open -= 1

    def _take(self, queue: deque[_Pending]) -> list[_Pending]:
        """The next batch; one that must run alone is a batch of its own."""
        batch: list[_Pending] = []
        while queue and len(batch) < self._batch_max:
            if queue[0].is_alone and batch:
                break
            batch.append(queue.popleft())
            if batch[-1].is_alone:
                break
        return batch

    async def _process(self, batch: list[_Pending], *, skip_locked: bool) -> None:
        done = await self._commit(batch, skip_locked=skip_locked)
        if done is None:
            return
        if done.busy:
            self._waiting.extend(done.busy)
            self._wake_waiting.set()
        if done.state is None:
            return
        for pending, outcome in done.judged:
            if isinstance(outcome, Waits):
                self._wait_for_others(pending)
        if self._is_atomic:
            self._recent.keep(done.state.customers.values())
            await self._show(done.state, done.judged)
        else:
            await self._post(_intents(done.judged))
        self._answer(done.judged)

    def _answer(self, judged: Sequence[tuple[_Pending, Outcome]]) -> None:
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

    async def _commit(self, batch: list[_Pending], *, skip_locked: bool) -> _Batch | None:
        """Run a batch's transaction until it stands.

        None if its operations were dealt with otherwise.
        """
        ended: set[UUID] = set()
        error: BaseException = Busy()
        for attempt in range(_TRIES_MAX + 1):
            if attempt:
                await asyncio.sleep(random.uniform(0, 0.01) * attempt)  # noqa: S311 (jitter)
            try:
                return await self._transact(batch, skip_locked=skip_locked, ended=ended)
            except _HoldsEnded as refusal:
                ended |= refusal.holds
            except (*_CONFLICTS, _Again) as conflict:
                error = Busy()
                log.info("batch_again", reason=type(conflict).__name__, operations=len(batch))
            except _UNAVAILABLE as failure:
                # The commit may have landed. Run again from the locks: the keys tell.
                error = Unavailable(type(failure).__name__)
                log.warning("store_unavailable", reason=repr(failure), operations=len(batch))
            except Exception as failure:
                if len(batch) > 1:
                    self._separate(batch)
                    return None
                log.exception("operation_failed", kind=batch[0].operation.kind)
                error = failure
                break
        for pending in batch:
            pending.refuse(error)
        return None

    def _separate(self, batch: list[_Pending]) -> None:
        """One bad operation must fail alone: each gets a transaction of its own."""
        for pending in reversed(batch):
            pending.is_alone = True
            self._queue.appendleft(pending)
        self._wake.set()

    async def _transact(
        self, batch: list[_Pending], *, skip_locked: bool, ended: set[UUID]
    ) -> _Batch:
        await self._open_house([pending.operation for pending in batch])
        balances = {} if self._is_atomic else await self._look_up(batch)
        ended = ended | {pending.ended_hold for pending in batch if pending.ended_hold}
        async with self._pool.acquire() as connection, connection.transaction():
            versions = await lock_customers(
                connection, [pending.customer for pending in batch], skip_locked=skip_locked
            )
            mine, busy = _split(batch, versions)
            if busy and not skip_locked:
                await introduce_customers(connection, [pending.customer for pending in busy])
            if not mine:
                return _Batch(busy)
            operations = [pending.operation for pending in mine]
            state = await customer_reading.read(
                connection,
                operations,
                versions,
                ledger=self._ledger,
                reads_balances=self._is_atomic,
                known=self._recent.take(versions, customer_balances.assets_of(operations)),
            )
            if not self._is_atomic:
                assets = customer_balances.assets_of(operations)
                customer_balances.apply_balances(state.customers.values(), assets, balances)
            _forget_legs(state, ended)
            outcomes = decide(operations, state, is_atomic=self._is_atomic)
            await self._write(connection, operations, outcomes, state)
            return _Batch(busy, list(zip(mine, outcomes, strict=True)), state)

    async def _write(
        self,
        connection: Any,
        operations: Sequence[Operation],
        outcomes: Sequence[Outcome],
        state: LockedState,
    ) -> None:
        now = state.now
        done = [
            (operation, outcome)
            for operation, outcome in zip(operations, outcomes, strict=True)
            if isinstance(outcome, Done)
        ]
        if not await customer_writing.write_keys(
            connection, operations, outcomes, is_atomic=self._is_atomic, now=now
        ):
            raise _Again
        effects = [(operation.organization_id, outcome.effect) for operation, outcome in done]
        totals: dict[tuple[UUID, TotalKey], Total] = {}
        for organization_id, effect in effects:
            for change in effect.totals:
                totals[organization_id, change.key] = change.after
        await running_totals.write_totals(connection, totals)
        if not self._is_atomic:
            return
        await customer_writing.write(connection, effects, now=now)
        accounts = [account for _, effect in effects for account in effect.accounts]
        transfers = [transfer for _, effect in effects for transfer in effect.transfers]
        if accounts:
            await self._ledger.create_accounts(accounts, connection=connection)
        if transfers:
            results = await self._ledger.create_transfers(transfers, connection=connection)
            if not all(result.ok for result in results):
                raise _refusal(done, results)

    async def _open_house(self, operations: Sequence[Operation]) -> None:
        """The accounts of the house exist before a ledger's first transfer.

        Opening them twice is harmless.
        """
        for operation in operations:
            asset = operation.command.asset
            if asset is None:
                continue
            provider = getattr(operation.command, "provider", "manual")
            if (asset.ledger, provider) not in self._houses:
                await self._ledger.create_accounts(
                    chart.house_accounts(
                        ledger=asset.ledger, asset_code=asset.code, providers=(provider,)
                    )
                )
                self._houses.add((asset.ledger, provider))

    # -- an engine of its own: intent, fact, conclusion --------------------------------------------

    async def _look_up(self, batch: list[_Pending]) -> dict[int, Any]:
        """Balances before the locks.

        They choose the split; what the ledger then refuses is looked up anew.
        """
        customers = sorted({pending.customer for pending in batch if pending.customer})
        async with self._pool.acquire() as connection:
            states = await customer_reading.read_wallets(connection, customers)
        assets = customer_balances.assets_of(pending.operation for pending in batch)
        return await self._ledger.balances(customer_balances.accounts_of(states.values(), assets))

    async def _post(self, intents: list[_Intent]) -> None:
        """Make intents facts: submit their chains, conclude them, answer whoever waits."""
        if not intents:
            return
        try:
            await self._submit(intents)
            await self._conclude_all(intents)
        except (LedgerError, *_UNAVAILABLE, *_CONFLICTS) as failure:
            log.warning("outcome_pending", reason=repr(failure), operations=len(intents))
            for intent in intents:
                if intent.pending is not None:
                    intent.pending.refuse(OutcomePending())
            return
        await self._refresh(
            {intent.effect.customer_id: intent.organization_id for intent in intents}
        )
        for intent in intents:
            pending, result = intent.pending, intent.result
            if pending is None:
                continue
            if result is None or result.ok:
                pending.resolve(intent.reply)
                continue
            if result.status in ENDED:
                pending.ended_hold = intent.effect.authorization_id
            if pending.tries + 1 >= _TRIES_MAX:
                pending.refuse(Busy("other operations took the balance meanwhile"))
            else:
                pending.tries += 1
                self._queue.append(pending)
                self._wake.set()

    async def _submit(self, intents: list[_Intent]) -> None:
        transfers = [transfer for intent in intents for transfer in intent.effect.transfers]
        accounts = [account for intent in intents for account in intent.effect.accounts]
        if accounts:
            await self._ledger.create_accounts(accounts)
        results = await self._ledger.create_transfers(transfers) if transfers else []
        position = 0
        for intent in intents:
            length = len(intent.effect.transfers)
            intent.result = _result(results[position : position + length])
            position += length

    async def _conclude_all(self, intents: list[_Intent]) -> None:
        """Conclude them together, or, if one of them cannot be, each on its own account."""
        try:
            await self._conclude(intents)
        except (LedgerError, *_UNAVAILABLE, *_CONFLICTS):
            raise
        except Exception:
            log.exception("conclusion_failed", operations=len(intents))
            for intent in intents:
                try:
                    await self._conclude([intent])
                except Exception as error:
                    log.exception("intent_failed", kind=intent.kind, key=intent.key)
                    if intent.pending is not None:
                        intent.pending.refuse(error)

    async def _conclude(self, intents: list[_Intent]) -> None:
        """Write what was posted and undo what was refused, in one transaction.

        Under the customers' locks; what another process concluded first is left as it is.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_customers(
                connection,
                [
                    None
                    if intent.effect.customer_id is None
                    else (intent.organization_id, intent.effect.customer_id)
                    for intent in intents
                ],
                skip_locked=False,
            )
            ordered = sorted(intents, key=lambda intent: intent.place)
            rows = await connection.fetch(
                _queries.conclude.sql,
                [intent.organization_id for intent in ordered],
                [intent.kind for intent in ordered],
                [intent.key for intent in ordered],
                [intent.attempt for intent in ordered],
                ["posted" if _is_fact(intent) else "refused" for intent in ordered],
            )
            concluded = {(row["organization_id"], row["kind"], row["key"]) for row in rows}
            mine = [intent for intent in intents if intent.place in concluded]
            now = await connection.fetchval("select clock_timestamp()")
            await customer_writing.write(
                connection,
                [(intent.organization_id, intent.effect) for intent in mine if _is_fact(intent)],
                now=now,
            )
            await self._undo_totals(connection, [intent for intent in mine if not _is_fact(intent)])

    async def _undo_totals(self, connection: Any, refused: list[_Intent]) -> None:
        keys = [
            (intent.organization_id, change.key)
            for intent in refused
            for change in intent.effect.totals
        ]
        if not keys:
            return
        totals = await running_totals.read_totals(connection, keys)
        for intent in refused:
            mine = {
                key: total for (org, key), total in totals.items() if org == intent.organization_id
            }
            undo(intent.effect.totals, mine)
            for key, total in mine.items():
                totals[intent.organization_id, key] = total
        await running_totals.write_totals(connection, totals)

    async def sweep(self, *, age_s: float = 2.0, customers: Sequence[UUID] | None = None) -> int:
        """Submit open intents again, with the same ids, and conclude them.

        Says how many there were.
        """
        if self._is_atomic:
            return 0
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                _queries.open_intents.sql,
                age_s,
                None if customers is None else list(customers),
                _SWEEP_MAX,
            )
        intents = [
            _Intent(
                row["organization_id"],
                row["kind"],
                row["key"],
                row["attempt"],
                decode_intent(row["intent"]),
            )
            for row in rows
        ]
        if intents:
            await self._submit(intents)
            await self._conclude_all(intents)
            await self._refresh(
                {intent.effect.customer_id: intent.organization_id for intent in intents}
            )
        return len(intents)

    def _wait_for_others(self, pending: _Pending) -> None:
        """The same key or hold is under way elsewhere: help it to its end, then judge again."""
        loop = asyncio.get_running_loop()
        if loop.time() > pending.deadline:
            pending.refuse(OutcomePending())
            return
        self._spawn(self._help(pending))

    async def _help(self, pending: _Pending) -> None:
        await asyncio.sleep(_PAUSE_S)
        operation = pending.operation
        if operation.customer_id is not None:
            try:
                await self.sweep(age_s=0.05, customers=[operation.customer_id])
            except Exception as failure:  # noqa: BLE001 (whatever it is, who waits hears of it)
                log.warning("outcome_pending", reason=repr(failure), operations=1)
                pending.refuse(OutcomePending())
                return
        self._queue.append(pending)
        self._wake.set()

    # -- what is shown -----------------------------------------------------------------------------

    async def _show(self, state: LockedState, judged: Sequence[tuple[_Pending, Outcome]]) -> None:
        """Put the new balances where reads look, before the answers leave.

        A slow Redis delays them by 5 ms.
        """
        changed = {pending.customer for pending, outcome in judged if isinstance(outcome, Done)}
        ready: list[CustomerState] = []
        stale: dict[UUID | None, UUID] = {}
        for key in changed:
            if key is None:
                continue
            customer = state.customers[key]
            if customer.is_incomplete:
                stale[key[1]] = key[0]
            else:
                ready.append(customer)
        try:
            await self._hot.put(ready)
        except Exception:
            # The money has moved: the answer must leave, and the reconciler repairs what is shown.
            log.exception("balances_not_shown", customers=len(ready))
        await self._refresh(stale)

    async def _refresh(self, customers: dict[UUID | None, UUID]) -> None:
        keys = [
            (organization_id, customer_id)
            for customer_id, organization_id in customers.items()
            if customer_id is not None
        ]
        if not keys:
            return
        try:
            await self._hot.refresh(keys)
        except Exception:  # as above
            log.exception("balances_not_shown", customers=len(keys))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)


# -- parts -----------------------------------------------------------------------------------------


def _outcome_of(future: asyncio.Future[bytes]) -> bytes | BaseException:
    if not future.done():
        future.cancel()
        return OutcomePending()
    error = future.exception()
    return future.result() if error is None else error


def _split(
    batch: list[_Pending], versions: dict[CustomerKey, int]
) -> tuple[list[_Pending], list[_Pending]]:
    mine: list[_Pending] = []
    busy: list[_Pending] = []
    for pending in batch:
        is_mine = pending.customer is None or pending.customer in versions
        (mine if is_mine else busy).append(pending)
    return mine, busy


def _intents(judged: Sequence[tuple[_Pending, Outcome]]) -> list[_Intent]:
    """What was accepted, as the ledger is to be asked for it."""
    return [
        _Intent(
            pending.operation.organization_id,
            pending.operation.kind,
            pending.operation.key,
            outcome.attempt,
            outcome.effect,
            pending,
            outcome.reply,
        )
        for pending, outcome in judged
        if isinstance(outcome, Done)
    ]


def _result(results: Sequence[TransferResult]) -> ChainResult | None:
    return chain_result(results) if results else None


def _is_fact(intent: _Intent) -> bool:
    """Whether the ledger has it; an operation that moves nothing is a fact by itself."""
    return intent.result is None or intent.result.ok


def _forget_legs(state: LockedState, ended: set[UUID]) -> None:
    """Holds that the ledger has ended by its own timeout: their money is free again."""
    if not ended:
        return
    for customer in state.customers.values():
        for hold in customer.holds.values():
            if hold.id in ended:
                hold.legs = []
                hold.status = "expired" if hold.status == "held" else hold.status


def _refusal(
    done: Sequence[tuple[Operation, Done]], results: Sequence[TransferResult]
) -> Exception:
    """What to do about transfers that were refused although they were judged under lock."""
    holds: set[UUID] = set()
    position = 0
    for _, outcome in done:
        length = len(outcome.effect.transfers)
        chain = results[position : position + length]
        position += length
        result = _result(chain)
        if result is None or result.ok:
            continue
        if result.status in ENDED and outcome.effect.authorization_id is not None:
            holds.add(outcome.effect.authorization_id)
        elif result.status.startswith("overflows_"):
            # An account that has seen more than 2^63-1 units in its life.
            return Invalid("amount", "value_is_out_of_range", "the account cannot count further")
        else:
            return AssertionError(
                f"the ledger refused what was decided under lock: {result.status}"
            )
    return _HoldsEnded(holds)
