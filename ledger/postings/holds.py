"""Holds: money set aside, earned, given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.chart import AccountCode, TransferCode, house_account_id
from ledger.money import MAX_MINOR
from ledger.postings.movements import Booking, Leg, chain
from ledger.postings.usage import debit_legs
from ledger.transfers import Phase, Transfer

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
        credit_account_id=house_account_id(ledger=ledger, code=AccountCode.REVENUE),
        amount=held.amount,
        ledger=ledger,
        code=TransferCode.HOLD,
        phase=Phase.PENDING,
    )


def hold(at: Booking, *, legs: Sequence[Leg], timeout_s: int) -> list[Transfer]:
    """Set money aside: one pending leg a grant, towards revenue, all or none.

    The grants' available balances fall at once; nothing is earned before a capture. `timeout_s` is
    the backstop after which the ledger gives it back by itself.
    """
    return chain(_hold_legs(at, legs, timeout_s))


def capture(
    at: Booking,
    *,
    holds: Sequence[Held],
    used: Sequence[int],
    debits: Sequence[Leg] = (),
    overage: Leg | None = None,
) -> list[Transfer]:
    """Earn what was used of a hold and end it; what was not used is given back.

    `used` says so for each leg of the hold. Usage above the hold is debited from free grants and
    overdrafts (`debits`), and what nobody can pay is owed by the customer (`overage`).
    """
    return chain(
        _end_legs(at, holds, used),
        debit_legs(at, debits, overage, TransferCode.CAPTURE),
    )


def partial_capture(
    at: Booking,
    *,
    holds: Sequence[Held],
    used: Sequence[int],
    timeout_s: int,
    debits: Sequence[Leg] = (),
    overage: Leg | None = None,
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
        _end_legs(at, touched, [taken for taken in used if taken]),
        debit_legs(at, debits, overage, TransferCode.CAPTURE),
        _hold_legs(at, rest, timeout_s),
    )


def extend(
    at: Booking, *, holds: Sequence[Held], legs: Sequence[Leg], timeout_s: int
) -> list[Transfer]:
    """Give a hold back and set money aside anew, longer or more, in one step.

    A pending transfer's timeout cannot be changed. To hold more without holding longer, add legs
    with `hold`.
    """
    return chain(
        _void_legs(at, holds, "void"),
        _hold_legs(at, legs, timeout_s),
    )


def void(at: Booking, *, holds: Sequence[Held]) -> list[Transfer]:
    """Give all of a hold back. Never linked to anything new."""
    return chain(_void_legs(at, holds, "void"))


def expire_hold(at: Booking, *, holds: Sequence[Held]) -> list[Transfer]:
    """Give all of a hold back because nobody captured it in time. Never linked to anything new."""
    return chain(_void_legs(at, holds, "expire"))


def _hold_legs(at: Booking, legs: Sequence[Leg], timeout_s: int) -> list[Transfer]:
    assert timeout_s > 0, "every hold ends"
    revenue = at.house(AccountCode.REVENUE)
    transfers: list[Transfer] = []
    for position, leg in enumerate(legs):
        assert 0 < leg.amount <= MAX_MINOR, f"a leg of {leg.amount}"
        transfers.append(
            Transfer(
                id=at.ids(f"hold:{position}"),
                debit_account_id=leg.account_id,
                credit_account_id=revenue,
                amount=leg.amount,
                ledger=at.ledger,
                code=TransferCode.HOLD,
                phase=Phase.PENDING,
                user_data_128=at.reference.user_data_128,
                user_data_64=at.reference.user_data_64,
                user_data_32=at.reference.user_data_32,
                timeout_s=timeout_s,
                linked=True,
            )
        )
    return transfers


def _end_legs(at: Booking, holds: Sequence[Held], used: Sequence[int]) -> list[Transfer]:
    """Post what was used of each leg; legs that nothing was used of are given back."""
    transfers: list[Transfer] = []
    for position, (leg, taken) in enumerate(zip(holds, used, strict=True)):
        assert 0 <= taken <= leg.amount, "a leg is captured up to its amount"
        if taken:
            transfers.append(_end(at, f"post:{position}", leg, Phase.POST, taken))
        else:
            transfers.append(_end(at, f"void:{position}", leg, Phase.VOID, leg.amount))
    return transfers


def _void_legs(at: Booking, holds: Sequence[Held], name: str) -> list[Transfer]:
    return [
        _end(at, f"{name}:{position}", leg, Phase.VOID, leg.amount)
        for position, leg in enumerate(holds)
    ]


def _end(at: Booking, name: str, leg: Held, phase: Phase, amount: int) -> Transfer:
    """Accounts and code are those of the hold: the book refuses any others."""
    return Transfer(
        id=at.ids(name),
        debit_account_id=leg.account_id,
        credit_account_id=at.house(AccountCode.REVENUE),
        amount=amount,
        ledger=at.ledger,
        code=TransferCode.HOLD,
        phase=phase,
        pending_id=leg.transfer_id,
        user_data_128=at.reference.user_data_128,
        user_data_64=at.reference.user_data_64,
        user_data_32=at.reference.user_data_32,
        linked=True,
    )
