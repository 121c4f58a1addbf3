"""What every posting is made of: legs, references, chains, and one movement of an amount."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ledger.chart import AccountCode, TransferCode, house_account_id
from ledger.money import MAX_MINOR
from ledger.transfers import Transfer, TransferId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.accounts import AccountId

Ids: TypeAlias = Callable[[str], TransferId]
"""The id of a leg of this operation in this attempt, by the leg's name."""


class Reference(Struct, frozen=True, kw_only=True):
    """What a transfer says it is about."""

    user_data_128: int = 0
    """Hash of organization and idempotency key: leads from the book back to the operation."""
    user_data_64: int = 0
    """Of the event or metric; in a reversal, the low half of the id that it reverses."""
    user_data_32: int = 0
    """Of the subscription."""


NO_REFERENCE = Reference()


class Leg(Struct, frozen=True):
    """So much from (or to) this account."""

    account_id: int
    amount: int


def chain(*parts: Sequence[Transfer]) -> list[Transfer]:
    """Several movements as one: all of them are booked, or none."""
    transfers = [transfer for part in parts for transfer in part]
    assert transfers, "an operation moves something"
    last = len(transfers) - 1
    return [
        transfer
        if transfer.linked == (position < last)
        else replace(transfer, linked=position < last)
        for position, transfer in enumerate(transfers)
    ]


def house(ledger: int, code: AccountCode, detail: str = "") -> AccountId:
    """The id of an account of the house."""
    return house_account_id(ledger=ledger, code=code, detail=detail)


def move(
    transfer_id: TransferId,
    *,
    debit: AccountId,
    credit: AccountId,
    amount: int,
    ledger: int,
    code: TransferCode,
    reference: Reference,
) -> Transfer:
    """One amount from one account to another."""
    assert 0 < amount <= MAX_MINOR, f"a leg of {amount}"
    return Transfer(
        id=transfer_id,
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        ledger=ledger,
        code=code,
        user_data_128=reference.user_data_128,
        user_data_64=reference.user_data_64,
        user_data_32=reference.user_data_32,
    )


def either_way(
    transfer_id: TransferId,
    *,
    debit: AccountId,
    credit: AccountId,
    amount: int,
    ledger: int,
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    """One movement; of an amount below zero, the other way."""
    if amount < 0:
        debit, credit = credit, debit
    return [
        move(
            transfer_id,
            debit=debit,
            credit=credit,
            amount=abs(amount),
            ledger=ledger,
            code=code,
            reference=reference,
        )
    ]


class Between(Struct, frozen=True, kw_only=True):
    """A movement between two accounts of the house, whose amount may go either way.

    Called with the operation's ids, ledger, amount and reference, it is the transfer.
    """

    leg: str
    debit: AccountCode
    credit: AccountCode
    code: TransferCode

    def __call__(
        self, *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
    ) -> list[Transfer]:
        return either_way(
            ids(self.leg),
            debit=house(ledger, self.debit),
            credit=house(ledger, self.credit),
            amount=amount,
            ledger=ledger,
            code=self.code,
            reference=reference,
        )
