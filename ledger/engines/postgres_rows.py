"""How accounts and transfers look in Postgres: 128-bit numbers are `uuid`s, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from asyncpg.pgproto import pgproto

from ledger.accounts import Account, AccountFlags
from ledger.transfers import Phase, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.book import AccountState

Row: TypeAlias = Any

PgUuid = pgproto.UUID
"""asyncpg's own, which is made of bytes in a fraction of the time."""

ZERO = PgUuid(bytes(16))
I64_MAX = 2**63 - 1

_U64 = 2**64
_PHASES = {int(phase): phase for phase in Phase}


def account_of(row: Row) -> Account:
    """Read a row of `find_accounts` or `ledger_accounts`."""
    return Account(
        id=row[0].int,
        ledger=row[1],
        code=row[2],
        flags=AccountFlags(row[3]),
        user_data_128=row[4].int,
        user_data_64=unsigned(row[5]),
        user_data_32=row[6],
        timestamp=row[7],
    )


def transfer_of(row: Row) -> Transfer:
    """Read a row of `find_transfers` or of an account's history."""
    flags = row[7]
    return Transfer(
        id=row[0].int,
        debit_account_id=row[1].int,
        credit_account_id=row[2].int,
        amount=row[3],
        ledger=row[4],
        code=row[5],
        phase=_PHASES[row[6]],
        pending_id=row[8].int if row[8] is not None else 0,
        user_data_128=row[9].int,
        user_data_64=unsigned(row[10]),
        user_data_32=row[11],
        timeout_s=row[12],
        linked=bool(flags & 1),
        balancing_debit=bool(flags & 16),
        balancing_credit=bool(flags & 32),
        timestamp=row[13],
    )


def transfer_locked(row: Row) -> Transfer:
    """The same from a row of `lock_and_read`, which shares its columns with the accounts."""
    flags = row[3]
    return Transfer(
        id=row[1].int,
        debit_account_id=row[13].int,
        credit_account_id=row[14].int,
        amount=row[4],
        ledger=row[2],
        code=row[10],
        phase=_PHASES[row[11]],
        pending_id=row[15].int if row[15] is not None else 0,
        user_data_128=row[16].int,
        user_data_64=unsigned(row[6]),
        user_data_32=row[7],
        timeout_s=row[5],
        linked=bool(flags & 1),
        balancing_debit=bool(flags & 16),
        balancing_credit=bool(flags & 32),
        timestamp=row[8],
    )


def new_transfer_of(
    transfer: Transfer, *, released: int, phase: int, claims_hold: bool
) -> tuple[object, ...]:
    """Make the row (`ledger.new_transfer`) of a transfer that is to be kept."""
    return (
        uuid_of(transfer.id),
        uuid_of(transfer.debit_account_id),
        uuid_of(transfer.credit_account_id),
        transfer.amount,
        released,
        transfer.ledger,
        transfer.code,
        phase,
        transfer.flags,
        uuid_of(transfer.pending_id) if transfer.pending_id else None,
        uuid_of(transfer.user_data_128) if transfer.user_data_128 else ZERO,
        signed(transfer.user_data_64),
        transfer.user_data_32,
        transfer.timeout_s,
        transfer.expires_at or None,
        transfer.timestamp,
        claims_hold,
    )


def moved_balance_of(state: AccountState) -> tuple[object, ...]:
    """Make the row (`ledger.moved_balance`) of an account that a batch has moved."""
    return (
        uuid_of(state.account_id),
        state.debits_pending,
        state.debits_posted,
        state.credits_pending,
        state.credits_posted,
        state.timestamp,
        state.timestamp_before,
    )


def uuid_of(number: int) -> PgUuid:
    """Make the uuid that stands for a 128-bit number."""
    return PgUuid(number.to_bytes(16, "big"))


def uuids_of(numbers: Iterable[int]) -> list[PgUuid]:
    """Make a column of them."""
    return [PgUuid(number.to_bytes(16, "big")) for number in numbers]


def signed(number: int) -> int:
    """An unsigned 64-bit number as Postgres can hold it."""
    return number if number <= I64_MAX else number - _U64


def unsigned(number: int) -> int:
    """Read such a number back."""
    return number if number >= 0 else number + _U64
