"""A book that is kept outside of Postgres, copied into it for as long as a transaction lasts.

What is read set-wise (checks, reports) reads the copy together with the rows of this database.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from invoicing.records import Connection, load_queries
from ledger import Ledger
from ledger.accounts import Account, Balance
from ledger.transfers import Phase, Transfer

__all__ = ["copy_book"]

_queries: Final[Any] = load_queries(__file__)

_AT_ONCE: Final = 8


async def copy_book(connection: Connection, ledger: Ledger, numbers: Iterable[int]) -> None:
    """Copy accounts and transfers, ledger by ledger. A transfer is copied with its debit side.

    The caller's transaction is to be rolled back.
    """
    for number in numbers:
        async for page in _pages(ledger, number):
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


async def _write(connection: Connection, table: str, records: Sequence[tuple[Any, ...]]) -> None:
    if records:
        await connection.copy_records_to_table(table, schema_name="wallet", records=records)
