"""What every posting is made of: legs, chains, and where one movement of an amount is booked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ledger.chart import AccountCode, TransferCode, house_account_id
from ledger.ids import low64
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


class Booking(Struct, frozen=True, kw_only=True):
    """Where an operation books a movement: the ids of its legs, the ledger, and what it is about.

    Every posting takes one.
    """

    ids: Ids
    ledger: int
    reference: Reference = NO_REFERENCE

    def house(self, code: AccountCode, detail: str = "") -> AccountId:
        """The id of an account of the house."""
        return house_account_id(ledger=self.ledger, code=code, detail=detail)

    def move(
        self, leg: str, *, debit: AccountId, credit: AccountId, amount: int, code: TransferCode
    ) -> Transfer:
        """One amount from one account to another."""
        assert 0 < amount <= MAX_MINOR, f"a leg of {amount}"
        reference = self.reference
        return Transfer(
            id=self.ids(leg),
            debit_account_id=debit,
            credit_account_id=credit,
            amount=amount,
            ledger=self.ledger,
            code=code,
            user_data_128=reference.user_data_128,
            user_data_64=reference.user_data_64,
            user_data_32=reference.user_data_32,
        )

    def either_way(
        self, leg: str, *, debit: AccountId, credit: AccountId, amount: int, code: TransferCode
    ) -> Transfer:
        """One movement; of an amount below zero, the other way."""
        if amount < 0:
            debit, credit = credit, debit
        return self.move(leg, debit=debit, credit=credit, amount=abs(amount), code=code)

    def naming(self, original_id: TransferId) -> Booking:
        """The same, of a movement that takes another one back."""
        assert self.reference.user_data_64 == 0, "this place names the original"
        return replace(self, reference=replace(self.reference, user_data_64=low64(original_id)))


class Between(Struct, frozen=True, kw_only=True):
    """A movement between two accounts of the house, whose amount may go either way."""

    leg: str
    debit: AccountCode
    credit: AccountCode
    code: TransferCode

    def __call__(self, at: Booking, *, amount: int) -> list[Transfer]:
        return [
            at.either_way(
                self.leg,
                debit=at.house(self.debit),
                credit=at.house(self.credit),
                amount=amount,
                code=self.code,
            )
        ]
