"""Minimums: what a charge, or a plan, costs at least in a period."""

from __future__ import annotations

from decimal import Decimal

from rating.exact import EXACT, ZERO
from rating.period import Period
from rating.proration import by_days


def true_up(minimum: Decimal, *, used: Decimal, period: Period) -> Decimal:
    """What is missing to the minimum: its share of the period's days, less what was used.

    `used` is what counts towards it, in the same unit: of a charge all that it costs in the period,
    over its filters and groups; of a plan its own fee and what all of its charges cost. Never below
    zero. Source: Lago, spending minimums and minimum commitments.

    >>> from datetime import UTC, datetime
    >>> first, last = datetime(2024, 2, 5, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    >>> part = Period(start=first, end=last, full_days=29)
    >>> true_up(Decimal(29), used=Decimal("20.5"), period=part)
    Decimal('4.5')
    """
    return max(EXACT.subtract(by_days(minimum, period), used), ZERO)
