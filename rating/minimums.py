"""Minimums: what a charge costs at least in a period."""

from __future__ import annotations

from decimal import Decimal

from rating.exact import EXACT, ZERO, divided
from rating.period import Period


def true_up(minimum: Decimal, *, used: Decimal, period: Period) -> Decimal:
    """What is missing to the minimum: its share of the period's days, less what was used.

    `used` is all that the charge costs in the period, over its filters and groups, in the same
    unit. Never below zero. Source: Lago, spending minimums.

    >>> from datetime import UTC, datetime
    >>> first, last = datetime(2024, 2, 5, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    >>> part = Period(start=first, end=last, full_days=29)
    >>> true_up(Decimal(29), used=Decimal("20.5"), period=part)
    Decimal('4.5')
    """
    due = divided(EXACT.multiply(minimum, Decimal(period.days)), Decimal(period.whole_days))
    return max(EXACT.subtract(due, used), ZERO)
