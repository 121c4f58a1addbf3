"""Batches in Postgres: what they touch, locked and read; and what is kept of them, written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.book import AccountState, Book, Booked, Ending
from ledger.engine import BatchRows
from ledger.engines.postgres_rows import (
    moved_balance_of,
    new_transfer_of,
    transfer_locked,
    uuids_of,
)
from ledger.engines.postgres_statements import SQL, Connection
from ledger.ids import hash128
from ledger.statements import expiry_of
from ledger.transfers import Phase, TransferId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

STEP = 1_000
"""Transfers of a batch are a microsecond apart; below it stands the number of the batch."""
_TIMED_OUT = 4
_ENDINGS = (None, None, Ending(Phase.POST), Ending(Phase.VOID), Ending(None))


async def lock_and_read(
    connection: Connection,
    *,
    account_ids: Iterable[int],
    transfer_ids: Iterable[int],
    pending_ids: Iterable[int],
) -> tuple[Book, int]:
    """What the batch touches, locked, and its first timestamp: later than all in its accounts."""
    parameters = {
        "account_ids": uuids_of(account_ids),
        "transfer_ids": uuids_of(transfer_ids),
        "pending_ids": uuids_of(pending_ids),
    }
    rows = await SQL.lock_and_read.fetch(connection, **parameters)
    if any(row[9] for row in rows):
        # Someone else's batch ended while this one waited for its locks; now that it holds them,
        # a second look sees all that the other one did.
        rows = await SQL.lock_and_read.fetch(connection, **parameters)
    book = Book({}, {}, {}, set())
    timestamp = batch = newest = 0
    for row in rows:
        kind = row[0]
        if kind == 0:
            account_id = row[1].int
            if row[4] is None:
                book.accounts[account_id] = AccountState(account_id, row[2], row[3])
            else:
                newest = max(newest, row[8])
                book.accounts[account_id] = AccountState(
                    account_id, row[2], row[3], row[4], row[5], row[6], row[7], row[8]
                )
        elif kind == 1:
            if row[11] != _TIMED_OUT:
                transfer = transfer_locked(row)
                book.transfers[transfer.id] = transfer
                ending = _ENDINGS[row[12] or 0]
                if ending is not None:
                    book.ended[transfer.id] = ending
        elif kind == 2:  # noqa: PLR2004 - the kinds are explained where they are made
            book.burnt.add(row[1].int)
        else:
            timestamp, batch = row[4] * STEP, row[5]
    return book, first_timestamp(timestamp, batch, newest=newest)


def first_timestamp(clock: int, batch: int, *, newest: int) -> int:
    """A batch's first timestamp: later than all in its accounts, and not another batch's."""
    return (clock if clock > newest else (newest // STEP + 1) * STEP) + batch


async def write(
    connection: Connection,
    booked: list[Booked],
    *,
    book: Book,
    burnt: list[TransferId],
    timed_out: bool = False,
) -> None:
    """Keep a judged batch. Raises LedgerConflict if someone else's transaction was first."""
    rows = rows_of(booked, book, timed_out=timed_out)
    ((kept, moved),) = await SQL.write.fetch(
        connection, transfers=rows.transfers, balances=rows.balances
    )
    rows.check(kept, moved)
    if burnt:
        await SQL.burn.fetch(connection, ids=uuids_of(burnt))


def rows_of(
    booked: list[Booked],
    book: Book,
    *,
    timed_out: bool = False,
    claimed: AbstractSet[TransferId] = frozenset(),
) -> BatchRows:
    """What the database is to be given of a judged batch."""
    return BatchRows(
        [
            new_transfer_of(
                each.transfer,
                released=each.released,
                phase=_TIMED_OUT if timed_out else int(each.transfer.phase),
                claims_hold=each.transfer.pending_id in claimed,
            )
            for each in booked
        ],
        [
            moved_balance_of(book.accounts[account_id])
            for account_id in sorted(book.accounts)  # all lock them in this order
            if book.accounts[account_id].touched and book.accounts[account_id].is_limited
        ],
    )


async def release_expired(connection: Connection, limit: int) -> int:
    """Give back what pending transfers held whose time is over; says how many."""
    due = await SQL.find_due.fetch(connection, limit=limit)
    book, timestamp = await lock_and_read(
        connection,
        account_ids={row[side].int for row in due for side in (1, 2)},
        transfer_ids=(),
        pending_ids=[row[0].int for row in due],
    )
    booked: list[Booked] = []
    for pending in book.transfers.values():
        if pending.id in book.ended or pending.expires_at > timestamp:
            continue
        at = timestamp + len(booked) * STEP
        debit = book.accounts[pending.debit_account_id]
        credit = book.accounts[pending.credit_account_id]
        debit.debits_pending -= pending.amount
        credit.credits_pending -= pending.amount
        debit.touched = credit.touched = True
        debit.timestamp = credit.timestamp = at
        expiry = expiry_of(pending, expiry_id=hash128("timed out", pending.id), timestamp=at)
        booked.append(Booked(expiry, pending.amount))
    if booked:
        await write(connection, booked, book=book, burnt=[], timed_out=True)
    if len(due) < limit:
        await SQL.mark_released.fetch(connection, until=timestamp)
    return len(booked)
