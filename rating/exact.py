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
from typing import Final

EXACT = Context(
    prec=200,
    rounding=ROUND_HALF_EVEN,
    Emin=-1_000,
    Emax=1_000,
    traps=[DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow],
)

ZERO = Decimal(0)
ONE = Decimal(1)

DIVISION: Final = 40
"""Digits after the point that a quotient keeps, where a division does not end (`divided`)."""


def percent(rate: Decimal) -> Decimal:
    """The share a rate in percent stands for, without dividing.

    >>> percent(Decimal("2.99"))
    Decimal('0.0299')
    """
    return EXACT.scaleb(rate, -2)


def ceil_div(dividend: Decimal, divisor: Decimal) -> Decimal:
    """How many whole divisors it takes to cover the dividend.

    >>> ceil_div(Decimal("10.5"), Decimal(5))
    Decimal('3')
    """
    whole, rest = EXACT.divmod(dividend, divisor)
    return EXACT.add(whole, ONE) if rest > 0 else whole


def divided(dividend: Decimal, divisor: Decimal, *, digits: int = DIVISION) -> Decimal:
    """The quotient, half away from zero at `digits` after the point if it does not end before.

    Divide once, and last: a quotient that was cut is not exact any more.

    >>> divided(Decimal(20), Decimal(-3), digits=4), divided(Decimal(21), Decimal(30))
    (Decimal('-6.6667'), Decimal('0.7'))
    """
    whole, rest = EXACT.divmod(EXACT.scaleb(dividend, digits), divisor)
    if EXACT.add(rest.copy_abs(), rest.copy_abs()) >= divisor.copy_abs():
        up = ONE if (dividend < 0) == (divisor < 0) else -ONE
        whole = EXACT.add(whole, up)
    return _plain(EXACT.scaleb(whole, -digits))


def divided_up(dividend: Decimal, divisor: Decimal, *, digits: int) -> Decimal:
    """The quotient by a positive divisor, rounded towards the greater at `digits` after the point.

    >>> divided_up(Decimal(20), Decimal(30), digits=5)
    Decimal('0.66667')
    >>> divided_up(Decimal(-2), Decimal(3), digits=1)
    Decimal('-0.6')
    """
    return _plain(EXACT.scaleb(ceil_div(EXACT.scaleb(dividend, digits), divisor), -digits))


def _plain(number: Decimal) -> Decimal:
    """Without the zeros at its end, and without an exponent.

    >>> _plain(Decimal("7.000")), _plain(Decimal("1200.0"))
    (Decimal('7'), Decimal('1200'))
    """
    if not number:
        return ZERO
    short = number.normalize(EXACT)
    exponent = short.as_tuple().exponent
    assert isinstance(exponent, int)
    return short if exponent <= 0 else EXACT.quantize(short, ONE)
