"""What was used so far, as much of it as a price needs to go on from."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

from rating.exact import EXACT, ZERO


class Total(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Usage of one charge (filter, group) in one period so far, and its exact price.

    The next event costs what its price adds to all that was charged: `price(total + event) -
    charged`, never less than nothing. So the charges of a period add up to its price computed at
    once, where prices only rise; where they fell in between (a correction, a cheaper volume tier),
    they add up to the highest price reached, and the true-up gives the difference back. No list of
    events is kept: `free_events` and `free_units` are all that a free tier remembers of them.
    Encodes to JSON with msgspec.
    """

    units: Decimal = ZERO
    events: int = 0
    amount: Decimal = ZERO
    """The price of the units so far."""
    charged: Decimal = ZERO
    """What the events were charged: the highest price so far, corrections apart. Source: Lago bills
    in advance only what exceeds the most that was reached in the period."""
    free_events: int = 0
    """Events that the free tier has taken."""
    free_units: Decimal = ZERO
    """Running total at which the free tier stands or ended."""
    plan_version_id: UUID | None = None
    """The prices that `amount` was computed with."""


ZERO_TOTAL: Final = Total()


def take_out(now: Total, *, before: Total, after: Total) -> Total:
    """Take one movement, `before` → `after`, out of a total that others may have moved since.

    For an intent that was refused after it had moved the total. What others paid in between stays
    as it was priced; the next event is priced from the total as it is then.

    >>> five, eight = Total(units=Decimal(5), events=1), Total(units=Decimal(8), events=2)
    >>> now = Total(units=Decimal(18), events=3)
    >>> take_out(now, before=five, after=eight)  # doctest: +ELLIPSIS
    Total(units=Decimal('15'), events=2, ...)
    """
    if now == after:
        return before
    return Total(
        units=_less(now.units, before.units, after.units),
        events=now.events - (after.events - before.events),
        amount=_less(now.amount, before.amount, after.amount),
        charged=_less(now.charged, before.charged, after.charged),
        free_events=now.free_events - (after.free_events - before.free_events),
        free_units=_less(now.free_units, before.free_units, after.free_units),
        plan_version_id=now.plan_version_id,
    )


def _less(now: Decimal, before: Decimal, after: Decimal) -> Decimal:
    return EXACT.subtract(now, EXACT.subtract(after, before))
