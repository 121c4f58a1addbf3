"""Rounding of quantities: what a metric does to its aggregated units, and expressions to numbers.

Amounts of money are never rounded here: that is `ledger.money`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Final, Literal, TypeAlias

from rating.exact import EXACT, ONE, ZERO

RoundingFunction: TypeAlias = Literal["round", "ceil", "floor"]
"""`round` goes to the nearest, and from the middle away from zero; `ceil` goes up, `floor` down."""

ROUNDING_FUNCTIONS: Final[tuple[RoundingFunction, ...]] = ("round", "ceil", "floor")


def _context(rounding: str) -> Context:
    """As `EXACT`, except that digits may be given up."""
    return Context(
        prec=EXACT.prec,
        rounding=rounding,
        Emin=EXACT.Emin,
        Emax=EXACT.Emax,
        traps=[DivisionByZero, InvalidOperation, Overflow],
    )


_CONTEXTS: Final[Mapping[RoundingFunction, Context]] = {
    "round": _context(ROUND_HALF_UP),
    "ceil": _context(ROUND_CEILING),
    "floor": _context(ROUND_FLOOR),
}


def rounded(units: Decimal, *, function: RoundingFunction, precision: int = 0) -> Decimal:
    """The units with `precision` digits after the point; a negative one rounds before the point.

    `units` and `precision` must leave the result within 200 digits, as all that rating accepts
    does. Source: Lago documentation, `billable-metrics/rounding`.

    >>> rounded(Decimal("123.4567"), function="round", precision=2)
    Decimal('123.46')
    >>> rounded(Decimal("123.4567"), function="round", precision=-1)
    Decimal('120')
    >>> rounded(Decimal("123.4567"), function="ceil"), rounded(Decimal("-0.5"), function="round")
    (Decimal('124'), Decimal('-1'))
    """
    step = Decimal((0, (1,), -precision))
    number = _CONTEXTS[function].quantize(units, step)
    if precision < 0:
        number = EXACT.quantize(number, ONE)  # in plain notation: 120, not 1.2E+2
    return number or ZERO  # no negative zero
