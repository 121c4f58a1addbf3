"""Posting intents: the flow of operations with an engine outside Postgres.

A batch has committed an intent for each; the ledger makes it a fact, and a second transaction
concludes it:

    open ──► submit its transfers ──► posted    its rows are written
                                  └─► refused   its running totals and budgets are undone

Submitting the same ids twice is posting once, so whoever finds an intent open may bring it to its
end: the batch that made it, a request that waits for it, or the sweeper if their process died.

The batch that made them concludes most in one statement, and shows its customers as it has left
them, if nobody else has moved them since it looked their balances up: their versions tell, and that
no other intent of theirs is open, which the ledger may have had in between. All the others are
concluded in a transaction, or loaded anew.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

import structlog
from msgspec import Struct

from invoicing.records import Connection, load_queries
from ledger import Ledger, ids
from ledger.errors import LedgerError
from ledger.transfers import ChainResult, chain_result
from wallet_service import customer_writing
from wallet_service.budget_counters import (
    Place,
    lock_buckets,
    read_buckets,
    write_buckets,
    write_spending,
)
from wallet_service.customer_locking import locking
from wallet_service.customer_showing import load_and_show, show
from wallet_service.database import Database
from wallet_service.decision import CustomerKey, Done, Effect, LockedState, Operation
from wallet_service.decision.budgets import undo_moves
from wallet_service.decision.pricing import undo
from wallet_service.errors import OutcomePending
from wallet_service.hot_customers import HotCustomers
from wallet_service.intents import decode_intent
from wallet_service.running_totals import read_totals, write_totals
from wallet_service.store_failures import CONFLICTS, UNAVAILABLE

__all__ = ["Intent", "IntentPosting"]

log = structlog.get_logger()

_queries: Final[Any] = load_queries(__file__)

_SWEEP_MAX = 500
_TRIES_MAX = 3


class Intent(Struct):
    """An open operation whose transfers the ledger is asked to post."""

    organization_id: UUID
    kind: str
    key: str
    attempt: int
    effect: Effect
    result: ChainResult | None = None
    """The ledger's word on its transfers, if it has any."""
    failure: Exception | None = None
    """Why it could not be concluded."""

    @classmethod
    def of(cls, operation: Operation, done: Done) -> Self:
        """What was accepted, as the ledger is to be asked for it."""
        return cls(
            operation.organization_id, operation.kind, operation.key, done.attempt, done.effect
        )

    @property
    def place(self) -> tuple[UUID, str, str]:
        """Where it is among the operations."""
        return self.organization_id, self.kind, self.key

    @property
    def customer(self) -> CustomerKey | None:
        """Whose it is."""
        if self.effect.customer_id is None:
            return None
        return self.organization_id, self.effect.customer_id

    @property
    def is_fact(self) -> bool:
        """Whether the ledger has it; an operation that moves nothing is a fact by itself."""
        return self.result is None or self.result.ok

    @property
    def end(self) -> str:
        """What becomes of it."""
        return "posted" if self.is_fact else "refused"

    @property
    def is_simple(self) -> bool:
        """Whether one statement can conclude it."""
        has_customer = self.effect.customer_id is not None
        return has_customer and customer_writing.is_written_at_once(self.effect)


class IntentPosting:
    """Brings intents to their end. See the module's docstring."""

    def __init__(self, *, database: Database, ledger: Ledger, hot: HotCustomers) -> None:
        self._pool = database.committer
        self._ledger = ledger
        self._hot = hot

    async def post(self, intents: list[Intent], state: LockedState) -> None:
        """Submit what a batch has just committed, and conclude it; each intent says how it ended.

        ``state`` is what it has left of its customers. Raises OutcomePending where nobody can say:
        they stay open, for the sweeper.
        """
        try:
            await self._submit(intents)
            if not await self._conclude_at_once(intents, state):
                await self._conclude_all(intents)
                await self._show(intents)
                return
            await show(self._hot, [state.customers[key] for key in _customers_of(intents)])
        except (LedgerError, *UNAVAILABLE, *CONFLICTS) as failure:
            log.warning("outcome_pending", reason=repr(failure), operations=len(intents))
            raise OutcomePending from failure

    async def sweep(self, *, age_s: float = 2.0, customers: Sequence[UUID] | None = None) -> int:
        """Submit open intents again, with the same ids, and conclude them.

        Says how many there were.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                _queries.open_intents.sql,
                age_s,
                None if customers is None else list(customers),
                _SWEEP_MAX,
            )
        intents = [
            Intent(
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
            await self._show(intents)
        return len(intents)

    async def _show(self, intents: list[Intent]) -> None:
        await load_and_show(self._hot, _customers_of(intents))

    async def _submit(self, intents: list[Intent]) -> None:
        """Ask the ledger to post them; the same ids again are posted once."""
        transfers = [transfer for intent in intents for transfer in intent.effect.transfers]
        accounts = [account for intent in intents for account in intent.effect.accounts]
        if accounts:
            await self._ledger.create_accounts(accounts)
        results = await self._ledger.create_transfers(transfers) if transfers else []
        position = 0
        for intent in intents:
            length = len(intent.effect.transfers)
            chain = results[position : position + length]
            intent.result = chain_result(chain) if chain else None
            position += length

    async def _conclude_at_once(self, intents: list[Intent], state: LockedState) -> bool:
        """Conclude simple ones in one statement; False if that cannot be, and nothing was done.

        Customers of ``state`` that may be shown as they are get the ledger's time as their version,
        the others are incomplete.
        """
        if not all(intent.is_simple for intent in intents):
            return False
        customers = [state.customers[key] for key in _customers_of(intents)]
        try:
            async with self._pool.acquire() as connection:
                moved = await customer_writing.write_concluded(
                    connection,
                    [(*intent.place, intent.attempt, intent.end) for intent in intents],
                    [(one.organization_id, one.effect) for one in intents if one.is_fact],
                    customers,
                    now=state.now,
                )
        except UNAVAILABLE:
            raise
        except CONFLICTS as conflict:
            log.debug("not_concluded_at_once", reason=repr(conflict), operations=len(intents))
            return False
        except Exception:  # one by one, they tell whose it was
            log.exception("conclusion_failed", operations=len(intents))
            return False
        for customer in customers:
            customer.version = 0
        for intent in intents:
            assert intent.customer is not None, "what is simple is somebody's"
            customer = state.customers[intent.customer]
            if intent.result is None or not intent.result.ok:
                customer.is_incomplete = True
            else:
                customer.version = max(customer.version, intent.result.timestamp)
        for key in moved:
            state.customers[key].is_incomplete = True
        return True

    async def _conclude_all(self, intents: list[Intent]) -> None:
        """Conclude them together, or, if one of them cannot be, each on its own account.

        The ledger has answered already, so who is in the way is waited for more than once.
        """
        try:
            for tries_left in range(_TRIES_MAX - 1, -1, -1):
                try:
                    await self._conclude(intents)
                    break
                except CONFLICTS:
                    if not tries_left:
                        raise
                    await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 (jitter)
        except (LedgerError, *UNAVAILABLE, *CONFLICTS):
            raise
        except Exception:
            log.exception("conclusion_failed", operations=len(intents))
            for intent in intents:
                try:
                    await self._conclude([intent])
                except Exception as error:
                    log.exception("intent_failed", kind=intent.kind, key=intent.key)
                    intent.failure = error

    async def _conclude(self, intents: list[Intent]) -> None:
        """Write what was posted and undo what was refused, in one transaction.

        Under the customers' locks; what another process concluded first is left as it is.
        """
        customers = [intent.customer for intent in intents]
        async with (
            self._pool.acquire() as connection,
            locking(connection, customers, skip_locked=False),
        ):
            await lock_buckets(connection, _wide_places_moved(intents), skip_locked=False)
            ordered = sorted(intents, key=lambda intent: intent.place)
            rows = await connection.fetch(
                _queries.conclude.sql,
                [intent.organization_id for intent in ordered],
                [intent.kind for intent in ordered],
                [intent.key for intent in ordered],
                [intent.attempt for intent in ordered],
                [intent.end for intent in ordered],
            )
            concluded = {(row["organization_id"], row["kind"], row["key"]) for row in rows}
            mine = [intent for intent in intents if intent.place in concluded]
            now = await connection.fetchval("select clock_timestamp()")
            facts = [(intent.organization_id, intent.effect) for intent in mine if intent.is_fact]
            await customer_writing.write_batch(connection, [], facts)
            await customer_writing.write_others(connection, facts, now=now)
            refused = [intent for intent in mine if not intent.is_fact]
            await self._undo_totals(connection, refused)
            await _undo_budgets(connection, refused, now=now)

    async def _undo_totals(self, connection: Connection, refused: list[Intent]) -> None:
        keys = [
            (intent.organization_id, change.key)
            for intent in refused
            for change in intent.effect.totals
        ]
        if not keys:
            return
        totals = await read_totals(connection, keys)
        for intent in refused:
            mine = {
                key: total for (org, key), total in totals.items() if org == intent.organization_id
            }
            undo(intent.effect.totals, mine)
            for key, total in mine.items():
                totals[intent.organization_id, key] = total
        await write_totals(connection, totals)


# -- parts -----------------------------------------------------------------------------------------


def _customers_of(intents: Sequence[Intent]) -> list[CustomerKey]:
    """Whose they are, each once, in the order of their ids."""
    return sorted({intent.customer for intent in intents if intent.customer is not None})


def _wide_places_moved(intents: Sequence[Intent]) -> set[Place]:
    """Buckets of more than one customer that the refused ones of these have moved."""
    return {place for place in _places_moved(intents) if place[1].is_wide}


def _places_moved(intents: Sequence[Intent]) -> set[Place]:
    return {
        (intent.organization_id, move.key)
        for intent in intents
        if not intent.is_fact
        for move in intent.effect.budget_moves
    }


async def _undo_budgets(
    connection: Connection, refused: Sequence[Intent], *, now: datetime
) -> None:
    places = _places_moved(refused)
    if not places:
        return
    buckets = await read_buckets(connection, places, now=now)
    undone = [
        (
            intent.organization_id,
            undo_moves(intent.effect, buckets, now=now, alert_id=_undone_id_of(intent)),
        )
        for intent in refused
    ]
    await write_buckets(connection, undone, buckets)
    await write_spending(connection, undone)


def _undone_id_of(intent: Intent) -> Callable[[str], UUID]:
    return lambda name: UUID(
        int=ids.derive(
            intent.effect.operation_id,
            f"undone/{name}",
            intent.attempt,
            organization_id=intent.organization_id,
        )
    )
