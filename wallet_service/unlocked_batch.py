"""A batch in two round trips: read without locks, and written if its customers have not moved.

Whatever moves something of a customer's counts its version up, under the lock on that row
(`customer_locking`). The write takes those locks, compares the versions with those that were read,
counts them up and writes, in one statement that is a transaction of its own
(`wallet.write_those_unmoved`). So what was decided of a customer still holds, or nothing of it is
kept, and it is judged anew: with the next batch once, then under locks.

Only what is simple goes this way: operations that are accepted, and come to nothing but keys,
authorizations, events and transfers. The rest wants more statements, and so locks; what would be
refused is refused under them. Customers who move time and again take the locks for a while.

With an engine outside Postgres balances are looked up in between, and what is written are the keys
with their intents.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct

from invoicing.records import Connection
from ledger import Ledger
from ledger.engine import NO_ROWS, BatchRows, KnownAccounts
from ledger.engines.postgres import PostgresLedger
from wallet_service import customer_reading, customer_writing, operation_reading
from wallet_service.customer_balances import accounts_of, apply_balances, assets_of
from wallet_service.customer_locking import introduce_customers
from wallet_service.database import Database
from wallet_service.decision import (
    CustomerKey,
    Done,
    LockedState,
    Operation,
    Outcome,
    decide,
)
from wallet_service.decision.commands import (
    Authorize,
    Capture,
    Debit,
    Expire,
    Extend,
    Item,
    Pricing,
    Void,
)
from wallet_service.store_failures import CONFLICTS

__all__ = ["Unlocked", "UnlockedBatch"]

_CAREFUL_S: Final = 1.0
"""How long a customer's operations take the locks, after they were tried without in vain."""
_CAREFUL_MAX: Final = 10_000


class _Judged(Struct):
    """What was decided, and is to be written."""

    accepted: list[tuple[Operation, Done]]
    rows: BatchRows


class Unlocked(Struct):
    """What came of a batch without locks."""

    outcomes: list[Outcome | None]
    """In the order of the operations; None where it is to be judged anew."""
    state: LockedState
    moved: Collection[CustomerKey] = ()
    """Customers whom somebody else moved meanwhile: theirs may be tried without locks again."""


class UnlockedBatch:
    """Carries the operations of one batch at a time, for any number of callers."""

    def __init__(self, *, database: Database, ledger: Ledger) -> None:
        self._pool = database.committer
        self._ledger = ledger
        self._engine = ledger if isinstance(ledger, PostgresLedger) else None
        """The same, where it is in this database and commits with it."""
        self._moved: dict[CustomerKey, float] = {}
        """Customers that have moved between read and write, and until when that counts."""
        self._careful: dict[CustomerKey, float] = {}
        """Customers that take the locks, and until when."""

    async def run(
        self, batch: Sequence[Operation], *, written: asyncio.Event | None
    ) -> Unlocked | None:
        """Read, decide and write: None if nothing was kept, and locks must be taken.

        The outcome of an operation is None where it is for itself to be judged anew, since only
        what is accepted is judged here, and only what has not moved is kept. ``written`` is set
        when only the write is left. Raises what the store raises; nobody knows then whether the
        batch was kept.
        """
        if not all(_is_simple(one) for one in batch):
            return None
        free = self._without_careful(batch)
        if not free:
            return None
        async with self._pool.acquire() as connection:
            state, book = await self._read(connection, free)
            if self._engine is not None:
                return await self._decide_and_write(connection, batch, free, state, book, written)
        await self._look_up(free, state)
        async with self._pool.acquire() as connection:
            return await self._decide_and_write(connection, batch, free, state, book, written)

    async def _look_up(self, batch: Sequence[Operation], state: LockedState) -> None:
        """Ask a ledger outside this database for balances, and hold no connection meanwhile."""
        customers, assets = state.customers.values(), assets_of(batch)
        apply_balances(
            customers, assets, await self._ledger.balances(accounts_of(customers, assets))
        )

    async def _decide_and_write(
        self,
        connection: Connection,
        batch: Sequence[Operation],
        free: Sequence[Operation],
        state: LockedState,
        book: KnownAccounts,
        written: asyncio.Event | None,
    ) -> Unlocked | None:
        judged = self._judge(free, state, book)
        if judged is None:
            return None
        if written is not None:
            written.set()
        try:
            moved = await customer_writing.write_unmoved(
                connection,
                judged.accepted,
                state,
                judged.rows,
                is_atomic=self._engine is not None,
            )
        except CONFLICTS:
            return None
        kept = {operation.customer for operation, _ in judged.accepted}.difference(moved)
        self._learn_moved(moved, is_all=not kept)
        if not kept:
            return None
        for key in kept:
            assert key is not None, "what is simple is somebody's"
            state.customers[key].version += 1
        accepted: dict[int, Outcome] = {
            id(one): outcome for one, outcome in judged.accepted if one.customer in kept
        }
        return Unlocked([accepted.get(id(one)) for one in batch], state, frozenset(moved))

    async def _read(
        self, connection: Connection, batch: Sequence[Operation]
    ) -> tuple[LockedState, KnownAccounts]:
        """Customers, and what their operations are about."""
        state, book = await customer_reading.read_funded(
            connection, batch, self._engine, only_locked=False
        )
        unknown = [one.customer for one in batch if one.customer not in state.customers]
        if unknown:
            await introduce_customers(connection, unknown)
            state, book = await customer_reading.read_funded(
                connection, batch, self._engine, only_locked=False
            )
        await operation_reading.read(
            connection, batch, state, keys=False, intents=self._engine is None
        )
        return state, book

    def _judge(
        self, batch: Sequence[Operation], state: LockedState, book: KnownAccounts
    ) -> _Judged | None:
        """Decide; None where one statement cannot write what comes of it."""
        if any(hold.budgets for one in state.customers.values() for hold in one.holds.values()):
            return None
        book.holds = operation_reading.holds_of(batch, state)
        decided = decide(batch, state, is_atomic=self._engine is not None)
        outcomes = list(zip(batch, decided, strict=True))
        accepted = [(one, outcome) for one, outcome in outcomes if isinstance(outcome, Done)]
        others = [
            one.customer
            for one, outcome in accepted
            if outcome.effect.accounts or not customer_writing.is_written_at_once(outcome.effect)
        ]
        if others:
            self._be_careful(others)
            return None
        # What was refused has moved nothing, so the rest stands without it.
        if not accepted or (len(accepted) < len(batch) and _has_twins(batch)):
            return None
        transfers = [transfer for _, outcome in accepted for transfer in outcome.effect.transfers]
        if not transfers or self._engine is None:
            return _Judged(accepted, NO_ROWS)
        judged = self._engine.judge_known(transfers, book)
        return None if judged is None else _Judged(accepted, judged.rows)

    def _without_careful(self, batch: Sequence[Operation]) -> Sequence[Operation]:
        careful = self._careful
        if not careful:
            return batch
        now = time.monotonic()
        return [one for one in batch if careful.get(_customer_of(one), now) <= now]

    def _learn_moved(self, customers: Iterable[CustomerKey], *, is_all: bool) -> None:
        """Who moves twice within a second is careful; also who moves where nobody else was."""
        now = time.monotonic()
        for customer in customers:
            if is_all or self._moved.get(customer, now) > now:
                self._be_careful([customer])
            self._moved[customer] = now + _CAREFUL_S
        if len(self._moved) > _CAREFUL_MAX:
            self._moved.clear()

    def _be_careful(self, customers: Iterable[CustomerKey | None]) -> None:
        until = time.monotonic() + _CAREFUL_S
        for customer in customers:
            if customer is not None:
                self._careful[customer] = until
        if len(self._careful) > _CAREFUL_MAX:
            self._careful.clear()


# -- parts -----------------------------------------------------------------------------------------


def _is_simple(operation: Operation) -> bool:
    """Whether judging it needs nothing but its customer and its hold."""
    command = operation.command
    if type(command) is Debit or type(command) is Authorize:
        for choice in command.choices:
            if not _are_known(choice.items, command.pricing):
                return False
        return operation.customer_id is not None
    match command:
        case Capture():
            is_simple = not command.budgets and _are_known(command.items or (), command.pricing)
        case Extend():
            is_simple = _are_known(command.items, command.pricing)
        case Void() | Expire():
            is_simple = True
        case _:
            is_simple = False
    return is_simple and operation.customer_id is not None


def _are_known(items: Iterable[Item], pricing: Pricing | None) -> bool:
    """Whether items are in no budget, and have prices that depend on no running total."""
    for item in items:
        if item.budgets:
            return False
        if pricing is not None:
            for priced in item.lines:
                if priced.exact is None:
                    return False
    return True


def _has_twins(batch: Sequence[Operation]) -> bool:
    """Whether two operations have one key, so that one is judged by what the other came to."""
    return len({(one.organization_id, one.kind, one.key) for one in batch}) < len(batch)


def _customer_of(operation: Operation) -> CustomerKey:
    customer = operation.customer
    assert customer is not None, "what is simple is somebody's"
    return customer
