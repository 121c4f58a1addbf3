"""Everything the checks look at, in one transaction: rows, their packed parts, and the book.

With the Postgres engine that is one moment, exactly. A book kept elsewhere is copied, so what is
under way may look wrong; `running` looks again before it says so. Rows go through this process in
portions, and all that is copied is rolled back at the end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, msgpack

from invoicing.records import Connection, load_queries
from ledger import Ledger, ids
from ledger.accounts import Account, Balance
from ledger.transfers import Phase, Transfer
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
_AT_ONCE: Final = 8


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
                await _copy_book(connection, ledger)
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


# -- a book that is kept elsewhere -----------------------------------------------------------------


async def _copy_book(connection: Connection, ledger: Ledger) -> None:
    """Copy accounts and transfers, ledger by ledger. A transfer is copied with its debit side."""
    rows: list[Any] = await connection.fetch(_queries.ledgers.sql)
    for row in rows:
        async for page in _pages(ledger, row["ledger"]):
            await _write(connection, "checked_accounts", [_account_record(*one) for one in page])
            for start in range(0, len(page), _AT_ONCE):
                some = [account for account, _ in page[start : start + _AT_ONCE]]
                await _copy_transfers(connection, ledger, some)
    await connection.execute(_queries.fill_in_released.sql)
    await connection.execute(_queries.time_out.sql)


async def _pages(ledger: Ledger, number: int) -> AsyncIterator[list[tuple[Account, Balance]]]:
    after_id = 0
    while page := await ledger.ledger_accounts(number, after_id=after_id):
        yield page
        after_id = page[-1][0].id


async def _copy_transfers(
    connection: Connection, ledger: Ledger, accounts: Iterable[Account]
) -> None:
    """Page through several accounts at once, and write what each round brought."""
    since = {account.id: 0 for account in accounts}
    while since:
        pages = await asyncio.gather(
            *(
                ledger.account_transfers(account_id, since_timestamp=start)
                for account_id, start in since.items()
            )
        )
        records: list[tuple[Any, ...]] = []
        for account_id, page in zip(list(since), pages, strict=True):
            records += [_transfer_record(one) for one in page if one.debit_account_id == account_id]
            if page:
                since[account_id] = page[-1].timestamp + 1
            else:
                del since[account_id]
        await _write(connection, "checked_transfers", records)


def _account_record(account: Account, balance: Balance) -> tuple[Any, ...]:
    return (
        UUID(int=account.id),
        account.ledger,
        account.code,
        int(account.flags),
        balance.debits_pending,
        balance.debits_posted,
        balance.credits_pending,
        balance.credits_posted,
    )


def _transfer_record(transfer: Transfer) -> tuple[Any, ...]:
    return (
        UUID(int=transfer.id),
        UUID(int=transfer.debit_account_id),
        UUID(int=transfer.credit_account_id),
        transfer.amount,
        0,
        transfer.ledger,
        transfer.code,
        int(transfer.phase),
        transfer.linked,
        UUID(int=transfer.pending_id) if transfer.pending_id else None,
        UUID(int=transfer.user_data_128),
        # Until it is known which of them have timed out: a pending one's end by itself.
        transfer.expires_at if transfer.phase is Phase.PENDING else 0,
        transfer.timestamp,
    )
