"""Days and seconds as parts of a period. The only roundings of units that are not the metric's.

Source: Lago rounds prorated units up to five decimals, weighted sums up to twenty. Amounts are
taken by the day as exactly as a division allows: invoices round them, as they round every fee.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from rating.exact import EXACT, divided, divided_up
from rating.period import Period

PRORATED_DIGITS: Final = 5
WEIGHTED_DIGITS: Final = 20


def prorated(units: Decimal, share: Fraction) -> Decimal:
    """A share of the units (`Period.share`), rounded up to five decimals.

    >>> prorated(Decimal(1), Fraction(20, 30)), prorated(Decimal(300), Fraction(1, 2))
    (Decimal('0.66667'), Decimal('150'))
    """
    return unit_days(EXACT.multiply(units, Decimal(share.numerator)), share.denominator)


def unit_days(total: Decimal, days: int) -> Decimal:
    """What units times days come to over this many days, rounded up to five decimals."""
    return divided_up(total, Decimal(days), digits=PRORATED_DIGITS)


def unit_microseconds(total: Decimal, days: int) -> Decimal:
    """What units times microseconds come to over this many days of 24 hours, up to twenty decimals.

    >>> unit_microseconds(Decimal(59_400_000_000), 31)
    Decimal('0.02217741935483870968')
    """
    return divided_up(total, Decimal(days * 86_400_000_000), digits=WEIGHTED_DIGITS)


def by_days(amount: Decimal, period: Period) -> Decimal:
    """What an amount for a whole billing period comes to for the days of this part of it.

    Source: Lago, the price of a day is the amount over the days of the whole billing period.

    >>> from datetime import UTC, datetime
    >>> first, last = datetime(2024, 2, 5, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    >>> part = Period(start=first, end=last, full_days=29)
    >>> by_days(Decimal(29), part)
    Decimal('25')
    """
    return divided(EXACT.multiply(amount, Decimal(period.days)), Decimal(period.whole_days))
