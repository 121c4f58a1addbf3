"""Pricing units: a charge may be computed in credits or points, and paid in money."""

from __future__ import annotations

from decimal import Decimal

from rating.charges import Conversion
from rating.exact import EXACT
from rating.rounding import rounded


def converted_fee(amount: Decimal, conversion: Conversion | None) -> Decimal:
    """What a fee is worth in the charge's asset: rounded in its own unit first, then converted.

    Exact, so the caller rounds it to the asset. Without a conversion the amount is what it is.
    Source: Lago, applied pricing units.

    >>> credits = Conversion(code="credits", scale=2, rate=Decimal("0.25"))
    >>> converted_fee(Decimal("10.005"), credits), converted_fee(Decimal("10.005"), None)
    (Decimal('2.5025'), Decimal('10.005'))
    """
    if conversion is None:
        return amount
    fee = rounded(amount, function="round", precision=conversion.scale)
    return EXACT.multiply(fee, conversion.rate)
