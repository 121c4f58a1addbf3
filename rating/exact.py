"""Decimal arithmetic that is exact or fails.

Python's default context keeps 28 digits and rounds the rest away in silence. Here a result that
cannot be kept whole raises `decimal.Inexact`: that is a bug of ours, since the limits on
quantities and prices (`rating.quantities`) leave ample room in 200 digits.

>>> EXACT.multiply(Decimal("123456789012345678901234567890"), Decimal("1.000000001"))
Decimal('123456789135802467913580246791.234567890')
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Underflow,
)

EXACT = Context(
    prec=200,
    rounding=ROUND_HALF_EVEN,
    Emin=-1_000,
    Emax=1_000,
    traps=[DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow],
)

ZERO = Decimal(0)
ONE = Decimal(1)


def percent(rate: Decimal) -> Decimal:
    """The share a rate in percent stands for, without dividing.

    >>> percent(Decimal("2.99"))
    Decimal('0.0299')
    """
    return EXACT.scaleb(rate, -2)


def ceil_div(dividend: Decimal, divisor: Decimal) -> Decimal:
    """How many whole divisors it takes to cover the dividend (not negative).

    >>> ceil_div(Decimal("10.5"), Decimal(5))
    Decimal('3')
    """
    whole, rest = EXACT.divmod(dividend, divisor)
    return EXACT.add(whole, ONE) if rest > 0 else whole
