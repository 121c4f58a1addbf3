"""Everything the checks look at, in one transaction: rows, their packed parts, and the book.

With the Postgres engine that is one moment, exactly. A book kept elsewhere is copied, so what is
under way may look wrong; `running` looks again before it says so. Rows go through this process in
portions, and all that is copied is rolled back at the end.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, msgpack

from invoicing.records import Connection, load_queries
from ledger import Ledger, ids
from wallet_service.book_copies import copy_book
from wallet_service.checks.findings import SHOWN_MAX
from wallet_service.database import Database
from wallet_service.decision.budget_state import BudgetPart
from wallet_service.decision.state import Leg, Paid

__all__ = ["Snapshot", "open_snapshot"]

_queries: Final = load_queries(__file__)
_legs: Final = msgpack.Decoder(list[Leg]).decode
_paid: Final = msgpack.Decoder(list[Paid]).decode
_budgets: Final = msgpack.Decoder(list[BudgetPart]).decode

_PORTION: Final = 5_000


class Snapshot(Struct):
    """What one run of the checks sees."""

    connection: Connection

    async def count(self, sql: str) -> int:
        """How many things a check has looked at."""
        counted: int = await self.connection.fetchval(sql)
        return counted

    async def breaches(self, sql: str) -> list[str]:
        """The first rows of a query whose rows are what should not be."""
        rows: list[Any] = await self.connection.fetch(sql, SHOWN_MAX)
        return [row["breach"] for row in rows]


@asynccontextmanager
async def open_snapshot(database: Database, ledger: Ledger) -> AsyncGenerator[Snapshot]:
    """Bring everything into view; nothing of it stays."""
    async with database.worker.acquire() as connection:
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            # Rows that nobody has counted yet would be taken for few, and joined one by one.
            await connection.execute("set local enable_nestloop = off")
            # It stands still while all customers are compared with Redis, and ends with us.
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            await _unpack(
                connection, "checked_operations", _queries.operations.sql, _operation_records
            )
            await _unpack(connection, "checked_legs", _queries.legs.sql, _leg_records)
            await _unpack(connection, "checked_payments", _queries.payments.sql, _paid_records)
            await _unpack(
                connection,
                "checked_budget_parts",
                _queries.budget_parts.sql,
                _budget_part_records,
            )
            if ledger.name != "postgres":
                rows: list[Any] = await connection.fetch(_queries.ledgers.sql)
                await copy_book(connection, ledger, [row["ledger"] for row in rows])
            yield Snapshot(connection)
        finally:
            await transaction.rollback()


Records = Callable[[Any], list[tuple[Any, ...]]]


async def _unpack(connection: Connection, table: str, sql: str, records_of: Records) -> None:
    """Read a query in portions, and write what its rows hold."""
    cursor = await connection.cursor(sql)
    while rows := await cursor.fetch(_PORTION):
        await _write(connection, table, [one for row in rows for one in records_of(row)])


def _operation_records(row: Any) -> list[tuple[Any, ...]]:
    reference = ids.hash128(row["organization_id"], row["kind"], row["key"])
    return [(UUID(int=reference), *row)]


def _leg_records(row: Any) -> list[tuple[Any, ...]]:
    return [
        (row["organization_id"], row["id"], leg.grant_id, leg.transfer_id, leg.amount_minor)
        for leg in _legs(row["legs"])
    ]


def _paid_records(row: Any) -> list[tuple[Any, ...]]:
    return [
        (
            row["organization_id"],
            row["id"],
            entry.grant_id,
            entry.transfer_id,
            entry.amount_minor,
            entry.refunded_minor,
        )
        for entry in _paid(row["paid"])
    ]


def _budget_part_records(row: Any) -> list[tuple[Any, ...]]:
    return [
        (
            row["organization_id"],
            row["id"],
            part.budget_id,
            part.bucket,
            part.starts_at,
            part.amount_minor,
        )
        for part in _budgets(row["budgets"])
    ]


async def _write(connection: Connection, table: str, records: Sequence[tuple[Any, ...]]) -> None:
    if records:
        await connection.copy_records_to_table(table, schema_name="wallet", records=records)
