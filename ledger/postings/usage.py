"""Usage that is charged without a hold, and usage that is given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode
from ledger.postings.movements import Booking, Leg, chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.transfers import Transfer


class Reversed(Struct, frozen=True):
    """So much of an original transfer goes back to the account that paid it."""

    transfer_id: int
    account_id: int
    amount: int


def debit(at: Booking, *, legs: Sequence[Leg], overage: Leg | None = None) -> list[Transfer]:
    """Charge usage at once: debit grants and overdrafts, then the customer's overage; earn it."""
    return chain(debit_legs(at, legs, overage, TransferCode.DEBIT))


def refund(at: Booking, *, legs: Sequence[Reversed]) -> list[Transfer]:
    """Give back captured usage: debit revenue, credit the grants (or the overage) that paid it."""
    return _reverse(at, legs, TransferCode.REFUND)


def reversal(at: Booking, *, legs: Sequence[Reversed]) -> list[Transfer]:
    """Undo a charged event, likewise; the event itself stays, with a negative usage line."""
    return _reverse(at, legs, TransferCode.REVERSAL)


def debit_legs(
    at: Booking, legs: Sequence[Leg], overage: Leg | None, code: TransferCode
) -> list[Transfer]:
    """Debit each leg, then the customer's overage; all of it is revenue."""
    revenue = at.house(AccountCode.REVENUE)
    transfers = [
        at.move(
            f"debit:{position}", debit=leg.account_id, credit=revenue, amount=leg.amount, code=code
        )
        for position, leg in enumerate(legs)
    ]
    if overage is not None:
        transfers.append(
            at.move(
                "overage",
                debit=overage.account_id,
                credit=revenue,
                amount=overage.amount,
                code=TransferCode.OVERAGE,
            )
        )
    return transfers


def _reverse(at: Booking, legs: Sequence[Reversed], code: TransferCode) -> list[Transfer]:
    revenue = at.house(AccountCode.REVENUE)
    return chain(
        [
            at.naming(leg.transfer_id).move(
                f"{code.name.lower()}:{position}",
                debit=revenue,
                credit=leg.account_id,
                amount=leg.amount,
                code=code,
            )
            for position, leg in enumerate(legs)
        ]
    )
