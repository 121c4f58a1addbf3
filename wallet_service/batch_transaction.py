"""One batch, one transaction: customers are locked, read, decided on and written.

    lock     customers, in the order of their ids; the busy ones are left for another batch
    read     keys, wallets, holds, totals, balances, and the batch's time: after the locks
    budgets  locked and read after that, where there are any; the busy ones are left too
    decide   in order, in a pure function
    write    keys, rows and (Postgres engine) the transfers, set-wise

With an engine outside Postgres no rows are written but keys, totals and the intents.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from invoicing.records import Connection
from ledger import Ledger, chart
from ledger.engine import NO_ROWS, KnownAccounts
from ledger.engines.postgres import PostgresLedger
from ledger.transfers import ENDED, TransferResult, chain_result
from rating.totals import Total
from wallet_service import customer_reading, customer_writing, operation_reading
from wallet_service.budget_counters import (
    Place,
    introduce_buckets,
    take_buckets,
    write_buckets,
)
from wallet_service.customer_balances import accounts_of, apply_balances, assets_of
from wallet_service.customer_locking import introduce_customers, locking
from wallet_service.database import Database
from wallet_service.decision import (
    CustomerKey,
    Done,
    LockedState,
    Operation,
    Outcome,
    decide,
)
from wallet_service.decision.commands import CreateWallet
from wallet_service.decision.state import TotalKey
from wallet_service.errors import Invalid
from wallet_service.running_totals import write_totals
from wallet_service.unlocked_batch import UnlockedBatch

__all__ = ["Again", "BatchTransaction", "HoldsEnded", "Judged"]


_BUCKETS_MAX = 100_000


class Again(Exception):
    """The batch must run again: another transaction was first with a key."""


class HoldsEnded(Exception):
    """The ledger says that these holds are over: judge again without their legs."""

    def __init__(self, holds: set[UUID]) -> None:
        super().__init__()
        self.holds = holds


class Judged(Struct):
    """What one transaction came to."""

    outcomes: list[Outcome | None]
    """In the order of the operations; None where the customer, or a budget, is busy."""
    state: LockedState | None = None
    """None if all were busy."""
    wants_locks: bool = False
    """Nobody was locked: an outcome of None is one that is to be judged under locks."""
    moved: Collection[CustomerKey] = ()
    """Or that may be tried without locks once more: its customer has moved meanwhile."""


class _LookedUp(Struct):
    """What a ledger outside this database said before the locks."""

    versions: dict[CustomerKey, int]
    """Of the customers, when it was asked."""
    balances: dict[int, Any]


class BatchTransaction:
    """Carries the operations of one batch at a time, for any number of callers."""

    def __init__(self, *, database: Database, ledger: Ledger) -> None:
        self._pool = database.committer
        """Role wallet_committer: all organizations, append-only where the tables are."""
        self._ledger = ledger
        self._engine = ledger if isinstance(ledger, PostgresLedger) else None
        """The same, where it is in this database and commits with it."""
        self._unlocked = UnlockedBatch(database=database, ledger=ledger)
        self._houses: set[tuple[int, str]] = set()
        self._buckets: set[Place] = set()
        """Buckets of budgets that are there to be locked."""

    async def run(
        self,
        batch: Sequence[Operation],
        *,
        skip_locked: bool,
        ended: set[UUID],
        budgets: set[Place],
        is_repeated: bool = False,
        takes_locks: bool = False,
        written: asyncio.Event | None = None,
    ) -> Judged:
        """Lock, read, decide, write, commit. ``ended``: holds that the ledger says are over.

        ``budgets``: those of many customers that operations name.

        With an engine in this database, keys are taken to be new, and holds to be in the book as
        they are here: the write tells if they are not. ``is_repeated`` looks first, ``takes_locks``
        is for who was tried without. ``written`` is set when only the commit is left. Raises Again,
        LedgerConflict, HoldsEnded, and whatever the stores raise.
        """
        await self._open_house(batch)
        await self._introduce_buckets(budgets)
        if skip_locked and not (is_repeated or takes_locks or ended):
            done = await self._unlocked.run(batch, written=written)
            if done is not None:
                return Judged(done.outcomes, done.state, wants_locks=True, moved=done.moved)
        looked_up = None if self._engine else await self._look_up(batch)
        customers = [operation.customer for operation in batch]
        await self._introduce_customers(batch)
        async with (
            self._pool.acquire() as connection,
            locking(connection, customers, skip_locked=skip_locked),
        ):
            state, book = await self._read_customers(connection, batch, looked_up)
            mine = [
                position
                for position, one in enumerate(batch)
                if one.customer is None or one.customer in state.customers
            ]
            operations = [batch[position] for position in mine]
            if len(operations) < len(batch) and not skip_locked:
                await introduce_customers(
                    connection,
                    [one.customer for one in batch if one.customer not in state.customers],
                )
            if not operations:
                return Judged([None] * len(batch))
            await operation_reading.read(
                connection,
                operations,
                state,
                keys=is_repeated or self._engine is None,
                intents=self._engine is None,
            )
            _forget_legs(state, ended)
            is_free = await take_buckets(connection, operations, state, skip_locked=skip_locked)
            if not all(is_free):
                mine = [one for one, free in zip(mine, is_free, strict=True) if free]
                operations = [batch[position] for position in mine]
            if book is not None:
                book.holds = operation_reading.holds_of(operations, state)
            outcomes = decide(operations, state, is_atomic=self._engine is not None)
            if self._engine and not is_repeated:
                await _check_refusals(connection, operations, outcomes)
            await self._write(
                connection, operations, outcomes, state, None if is_repeated else book
            )
            if written is not None:
                written.set()
        judged: list[Outcome | None] = [None] * len(batch)
        for position, outcome in zip(mine, outcomes, strict=True):
            judged[position] = outcome
        return Judged(judged, state)

    async def _read_customers(
        self,
        connection: Connection,
        batch: Sequence[Operation],
        looked_up: "_LookedUp | None",
    ) -> tuple[LockedState, KnownAccounts | None]:
        """The customers that were locked, with their balances.

        Those were looked up before, or are read here, as the engine's own accounts too.
        """
        state, book = await customer_reading.read_funded(
            connection, batch, self._engine, only_locked=True
        )
        if looked_up is None:
            return state, book
        apply_balances(state.customers.values(), assets_of(batch), looked_up.balances)
        for key, customer in state.customers.items():
            # It moved after the look-up: good enough to decide on, but not to be shown.
            if customer.version != looked_up.versions.get(key, 0) + 1:
                customer.is_incomplete = True
        return state, None

    async def _open_house(self, operations: Sequence[Operation]) -> None:
        """The accounts of the house exist before a ledger's first transfer.

        Opening them twice is harmless.
        """
        for operation in operations:
            provider = getattr(operation.command, "provider", "manual")
            for asset in (operation.command.asset, getattr(operation.command, "money", None)):
                if asset is None or (asset.ledger, provider) in self._houses:
                    continue
                await self._ledger.create_accounts(
                    chart.house_accounts(
                        ledger=asset.ledger, asset_code=asset.code, providers=(provider,)
                    )
                )
                self._houses.add((asset.ledger, provider))

    async def _introduce_customers(self, operations: Sequence[Operation]) -> None:
        """Who opens a wallet often has no version yet, which is to be locked in a moment."""
        new = [one.customer for one in operations if isinstance(one.command, CreateWallet)]
        if new:
            async with self._pool.acquire() as connection:
                await introduce_customers(connection, new)

    async def _introduce_buckets(self, places: set[Place]) -> None:
        """Budgets of more than one customer exist before they are locked."""
        new = places - self._buckets
        if not new:
            return
        async with self._pool.acquire() as connection:
            await introduce_buckets(connection, new)
        if len(self._buckets) > _BUCKETS_MAX:
            self._buckets.clear()
        self._buckets |= new

    async def _look_up(self, operations: Sequence[Operation]) -> "_LookedUp":
        """Balances before the locks.

        They choose the split; what the ledger then refuses is looked up anew.
        """
        async with self._pool.acquire() as connection:
            state, _ = await customer_reading.read_funded(
                connection, operations, None, only_locked=False
            )
        accounts = accounts_of(state.customers.values(), assets_of(operations))
        return _LookedUp(
            {key: customer.version for key, customer in state.customers.items()},
            await self._ledger.balances(accounts),
        )

    async def _write(
        self,
        connection: Connection,
        operations: Sequence[Operation],
        outcomes: Sequence[Outcome],
        state: LockedState,
        book: KnownAccounts | None,
    ) -> None:
        now = state.now
        done = [
            (operation, outcome)
            for operation, outcome in zip(operations, outcomes, strict=True)
            if isinstance(outcome, Done)
        ]
        effects = [(operation.organization_id, outcome.effect) for operation, outcome in done]
        engine = self._engine
        keys = customer_writing.keys_of(operations, outcomes, is_atomic=engine is not None, now=now)
        transfers = [transfer for _, effect in effects for transfer in effect.transfers]
        accounts = [account for _, effect in effects for account in effect.accounts]
        judged = None
        if engine and book and transfers and not accounts:
            judged = engine.judge_known(transfers, book)
        if not await customer_writing.write_batch(
            connection, keys, effects if engine else [], judged.rows if judged else NO_ROWS
        ):
            raise Again
        totals: dict[tuple[UUID, TotalKey], Total] = {}
        for organization_id, effect in effects:
            for change in effect.totals:
                totals[organization_id, change.key] = change.after
        await write_totals(connection, totals)
        await write_buckets(connection, effects, state.budgets)
        if not engine:
            return
        await customer_writing.write_others(connection, effects, now=now)
        if accounts:
            await engine.create_accounts(accounts, connection=connection)
        if transfers and not judged:
            results = await engine.create_transfers(transfers, connection=connection)
            if not all(result.ok for result in results):
                raise _refusal(done, results)


# -- parts -----------------------------------------------------------------------------------------


async def _check_refusals(
    connection: Connection, operations: Sequence[Operation], outcomes: Sequence[Outcome]
) -> None:
    """Of what is done the write tells whether its key was new; of what is refused, this.

    Raises Again where it was not: the first answer stands.
    """
    refused = [
        operation
        for operation, outcome in zip(operations, outcomes, strict=True)
        if not isinstance(outcome, Done)
    ]
    if await operation_reading.any_key_is_known(connection, refused):
        raise Again


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
        result = chain_result(chain) if chain else None
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
    return HoldsEnded(holds)
