"""Usage that is charged without a hold, and usage that is given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ledger.chart import AccountCode, TransferCode
from ledger.ids import low64
from ledger.postings.movements import NO_REFERENCE, Ids, Leg, Reference, chain, house, move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.transfers import Transfer


class Reversed(Struct, frozen=True):
    """So much of an original transfer goes back to the account that paid it."""

    transfer_id: int
    account_id: int
    amount: int


def debit(
    *,
    ids: Ids,
    ledger: int,
    legs: Sequence[Leg],
    overage: Leg | None = None,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Charge usage at once: debit grants and overdrafts, then the customer's overage; earn it."""
    return chain(debit_legs(ids, ledger, legs, overage, TransferCode.DEBIT, reference))


def refund(
    *, ids: Ids, ledger: int, legs: Sequence[Reversed], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Give back captured usage: debit revenue, credit the grants (or the overage) that paid it."""
    return _reverse(ids, ledger, legs, TransferCode.REFUND, reference)


def reversal(
    *, ids: Ids, ledger: int, legs: Sequence[Reversed], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Undo a charged event, likewise; the event itself stays, with a negative usage line."""
    return _reverse(ids, ledger, legs, TransferCode.REVERSAL, reference)


def debit_legs(
    ids: Ids,
    ledger: int,
    legs: Sequence[Leg],
    overage: Leg | None,
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    """Debit each leg, then the customer's overage; all of it is revenue."""
    revenue = house(ledger, AccountCode.REVENUE)
    transfers = [
        move(
            ids(f"debit:{position}"),
            debit=leg.account_id,
            credit=revenue,
            amount=leg.amount,
            ledger=ledger,
            code=code,
            reference=reference,
        )
        for position, leg in enumerate(legs)
    ]
    if overage is not None:
        transfers.append(
            move(
                ids("overage"),
                debit=overage.account_id,
                credit=revenue,
                amount=overage.amount,
                ledger=ledger,
                code=TransferCode.OVERAGE,
                reference=reference,
            )
        )
    return transfers


def _reverse(
    ids: Ids, ledger: int, legs: Sequence[Reversed], code: TransferCode, reference: Reference
) -> list[Transfer]:
    assert reference.user_data_64 == 0, "this place names the original"
    revenue = house(ledger, AccountCode.REVENUE)
    return chain(
        [
            move(
                ids(f"{code.name.lower()}:{position}"),
                debit=revenue,
                credit=leg.account_id,
                amount=leg.amount,
                ledger=ledger,
                code=code,
                reference=replace(reference, user_data_64=low64(leg.transfer_id)),
            )
            for position, leg in enumerate(legs)
        ]
    )
