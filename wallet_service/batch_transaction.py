"""One batch, one transaction: customers are locked, read, decided on and written.

    lock     customers, in the order of their ids; the busy ones are left for another batch
    read     keys, wallets, holds, totals, balances, and the batch's time: after the locks
    budgets  locked and read after that, where there are any; the busy ones are left too
    decide   in order, in a pure function
    write    keys, rows and (Postgres engine) the transfers, set-wise

With an engine outside Postgres no rows are written but keys, totals and the intents.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from invoicing.records import Connection
from ledger import Ledger, chart
from ledger.transfers import ENDED, TransferResult, chain_result
from rating.totals import Total
from wallet_service import customer_reading, customer_writing
from wallet_service.budget_counters import (
    Place,
    introduce_buckets,
    take_buckets,
    wide_places,
    write_buckets,
)
from wallet_service.customer_balances import accounts_of, apply_balances, assets_of
from wallet_service.customer_locking import introduce_customers, lock_customers
from wallet_service.database import Database
from wallet_service.decision import Done, LockedState, Operation, Outcome, decide
from wallet_service.decision.state import TotalKey
from wallet_service.errors import Invalid
from wallet_service.recent_customers import RecentCustomers
from wallet_service.running_totals import write_totals

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


class BatchTransaction:
    """Carries the operations of one batch at a time, for any number of callers."""

    def __init__(self, *, database: Database, ledger: Ledger) -> None:
        self._pool = database.committer
        """Role wallet_committer: all organizations, append-only where the tables are."""
        self._ledger = ledger
        self._is_atomic = ledger.name == "postgres"
        self._houses: set[tuple[int, str]] = set()
        self._recent = RecentCustomers()
        self._buckets: set[Place] = set()
        """Buckets of budgets that are there to be locked."""

    async def run(
        self, batch: Sequence[Operation], *, skip_locked: bool, ended: set[UUID]
    ) -> Judged:
        """Lock, read, decide, write, commit. ``ended``: holds that the ledger says are over.

        Raises Again, HoldsEnded, and whatever the stores raise.
        """
        await self._open_house(batch)
        await self._introduce_buckets(batch)
        balances = {} if self._is_atomic else await self._look_up(batch)
        async with self._pool.acquire() as connection, connection.transaction():
            versions = await lock_customers(
                connection, [operation.customer for operation in batch], skip_locked=skip_locked
            )
            mine = [
                position
                for position, one in enumerate(batch)
                if one.customer is None or one.customer in versions
            ]
            operations = [batch[position] for position in mine]
            if len(operations) < len(batch) and not skip_locked:
                await introduce_customers(
                    connection, [one.customer for one in batch if one.customer not in versions]
                )
            if not operations:
                return Judged([None] * len(batch))
            assets = assets_of(operations)
            state = await customer_reading.read(
                connection,
                operations,
                versions,
                ledger=self._ledger,
                reads_balances=self._is_atomic,
                known=self._recent.take(versions, assets),
            )
            if not self._is_atomic:
                apply_balances(state.customers.values(), assets, balances)
            _forget_legs(state, ended)
            is_free = await take_buckets(connection, operations, state, skip_locked=skip_locked)
            if not all(is_free):
                mine = [one for one, free in zip(mine, is_free, strict=True) if free]
                operations = [batch[position] for position in mine]
            outcomes = decide(operations, state, is_atomic=self._is_atomic)
            await self._write(connection, operations, outcomes, state)
        if self._is_atomic:
            self._recent.keep(state.customers.values())
        judged: list[Outcome | None] = [None] * len(batch)
        for position, outcome in zip(mine, outcomes, strict=True):
            judged[position] = outcome
        return Judged(judged, state)

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

    async def _introduce_buckets(self, operations: Sequence[Operation]) -> None:
        """Budgets of more than one customer exist before they are locked."""
        new = wide_places(operations) - self._buckets
        if not new:
            return
        async with self._pool.acquire() as connection:
            await introduce_buckets(connection, new)
        if len(self._buckets) > _BUCKETS_MAX:
            self._buckets.clear()
        self._buckets |= new

    async def _look_up(self, operations: Sequence[Operation]) -> dict[int, Any]:
        """Balances before the locks.

        They choose the split; what the ledger then refuses is looked up anew.
        """
        customers = sorted({one.customer for one in operations if one.customer})
        async with self._pool.acquire() as connection:
            states = await customer_reading.read_wallets(connection, customers)
        assets = assets_of(operations)
        return await self._ledger.balances(accounts_of(states.values(), assets))

    async def _write(
        self,
        connection: Connection,
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
            raise Again
        effects = [(operation.organization_id, outcome.effect) for operation, outcome in done]
        totals: dict[tuple[UUID, TotalKey], Total] = {}
        for organization_id, effect in effects:
            for change in effect.totals:
                totals[organization_id, change.key] = change.after
        await write_totals(connection, totals)
        await write_buckets(connection, effects, state.budgets)
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


# -- parts -----------------------------------------------------------------------------------------


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
