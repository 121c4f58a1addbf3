"""Holds: money set aside, earned, given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode
from ledger.money import MAX_MINOR
from ledger.postings.movements import NO_REFERENCE, Ids, Leg, Reference, chain, house
from ledger.postings.usage import debit_legs
from ledger.transfers import Phase, Transfer, TransferId

if TYPE_CHECKING:
    from collections.abc import Sequence


class Held(Struct, frozen=True):
    """One leg of a live hold: a pending transfer and the grant that it sets money aside of."""

    transfer_id: int
    account_id: int
    amount: int


def pending_of(held: Held, *, ledger: int) -> Transfer:
    """The pending transfer that `hold` made of a leg, as far as its end depends on it."""
    return Transfer(
        id=held.transfer_id,
        debit_account_id=held.account_id,
        credit_account_id=house(ledger, AccountCode.REVENUE),
        amount=held.amount,
        ledger=ledger,
        code=TransferCode.HOLD,
        phase=Phase.PENDING,
    )


def hold(
    *,
    ids: Ids,
    ledger: int,
    legs: Sequence[Leg],
    timeout_s: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Set money aside: one pending leg a grant, towards revenue, all or none.

    The grants' available balances fall at once; nothing is earned before a capture. `timeout_s` is
    the backstop after which the ledger gives it back by itself.
    """
    return chain(_hold_legs(ids, ledger, legs, timeout_s, reference))


def capture(
    *,
    ids: Ids,
    ledger: int,
    holds: Sequence[Held],
    used: Sequence[int],
    debits: Sequence[Leg] = (),
    overage: Leg | None = None,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Earn what was used of a hold and end it; what was not used is given back.

    `used` says so for each leg of the hold. Usage above the hold is debited from free grants and
    overdrafts (`debits`), and what nobody can pay is owed by the customer (`overage`).
    """
    return chain(
        _end_legs(ids, ledger, holds, used, reference),
        debit_legs(ids, ledger, debits, overage, TransferCode.CAPTURE, reference),
    )


def partial_capture(
    *,
    ids: Ids,
    ledger: int,
    holds: Sequence[Held],
    used: Sequence[int],
    timeout_s: int,
    debits: Sequence[Leg] = (),
    overage: Leg | None = None,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Earn a part of a hold and hold the rest anew, at once: nobody else can take it in between.

    A pending transfer is posted once, so the rest needs new legs: the pending ones among what is
    returned. Legs that nothing was used of stay as they are.
    """
    touched = [leg for leg, taken in zip(holds, used, strict=True) if taken]
    rest = [
        Leg(leg.account_id, leg.amount - taken)
        for leg, taken in zip(holds, used, strict=True)
        if 0 < taken < leg.amount
    ]
    return chain(
        _end_legs(ids, ledger, touched, [taken for taken in used if taken], reference),
        debit_legs(ids, ledger, debits, overage, TransferCode.CAPTURE, reference),
        _hold_legs(ids, ledger, rest, timeout_s, reference),
    )


def extend(
    *,
    ids: Ids,
    ledger: int,
    holds: Sequence[Held],
    legs: Sequence[Leg],
    timeout_s: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Give a hold back and set money aside anew, longer or more, in one step.

    A pending transfer's timeout cannot be changed. To hold more without holding longer, add legs
    with `hold`.
    """
    return chain(
        _void_legs(ids, ledger, holds, "void", reference),
        _hold_legs(ids, ledger, legs, timeout_s, reference),
    )


def void(
    *, ids: Ids, ledger: int, holds: Sequence[Held], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Give all of a hold back. Never linked to anything new."""
    return chain(_void_legs(ids, ledger, holds, "void", reference))


def expire_hold(
    *, ids: Ids, ledger: int, holds: Sequence[Held], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Give all of a hold back because nobody captured it in time. Never linked to anything new."""
    return chain(_void_legs(ids, ledger, holds, "expire", reference))


def _hold_legs(
    ids: Ids, ledger: int, legs: Sequence[Leg], timeout_s: int, reference: Reference
) -> list[Transfer]:
    assert timeout_s > 0, "every hold ends"
    revenue = house(ledger, AccountCode.REVENUE)
    transfers: list[Transfer] = []
    for position, leg in enumerate(legs):
        assert 0 < leg.amount <= MAX_MINOR, f"a leg of {leg.amount}"
        transfers.append(
            Transfer(
                id=ids(f"hold:{position}"),
                debit_account_id=leg.account_id,
                credit_account_id=revenue,
                amount=leg.amount,
                ledger=ledger,
                code=TransferCode.HOLD,
                phase=Phase.PENDING,
                user_data_128=reference.user_data_128,
                user_data_64=reference.user_data_64,
                user_data_32=reference.user_data_32,
                timeout_s=timeout_s,
                linked=True,
            )
        )
    return transfers


def _end_legs(
    ids: Ids, ledger: int, holds: Sequence[Held], used: Sequence[int], reference: Reference
) -> list[Transfer]:
    """Post what was used of each leg; legs that nothing was used of are given back."""
    transfers: list[Transfer] = []
    for position, (leg, taken) in enumerate(zip(holds, used, strict=True)):
        assert 0 <= taken <= leg.amount, "a leg is captured up to its amount"
        if taken:
            transfers.append(
                _end(ids(f"post:{position}"), leg, ledger, Phase.POST, taken, reference)
            )
        else:
            transfers.append(
                _end(ids(f"void:{position}"), leg, ledger, Phase.VOID, leg.amount, reference)
            )
    return transfers


def _void_legs(
    ids: Ids, ledger: int, holds: Sequence[Held], name: str, reference: Reference
) -> list[Transfer]:
    return [
        _end(ids(f"{name}:{position}"), leg, ledger, Phase.VOID, leg.amount, reference)
        for position, leg in enumerate(holds)
    ]


def _end(
    transfer_id: TransferId, leg: Held, ledger: int, phase: Phase, amount: int, reference: Reference
) -> Transfer:
    """Accounts and code are those of the hold: the book refuses any others."""
    return Transfer(
        id=transfer_id,
        debit_account_id=leg.account_id,
        credit_account_id=house(ledger, AccountCode.REVENUE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.HOLD,
        phase=phase,
        pending_id=leg.transfer_id,
        user_data_128=reference.user_data_128,
        user_data_64=reference.user_data_64,
        user_data_32=reference.user_data_32,
        linked=True,
    )
