"""Amounts as whole numbers of an asset's smallest unit, and the only place that rounds.

>>> usd = Asset("USD", 9)
>>> parse_amount("0.005935", usd)
5935000
>>> format_minor(5935000, usd.scale)
'0.005935'
>>> to_minor(Decimal("0.0000000005"), usd.scale, Rounding.HALF_AWAY)
1
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from enum import StrEnum

from msgspec import Struct

from ledger.errors import InvalidAmount

MAX_MINOR = 2**63 - 1
"""The largest amount and the largest balance of a customer's account."""

SCALE_MAX = 18
"""The finest asset that there may be."""

TEXT_MAX = 40
"""No amount is longer: 18 digits, a point and 18 decimals, and room to name the real reason."""


class Asset(Struct, frozen=True):
    """What an amount is counted in: a currency or a native unit."""

    code: str
    scale: int
    """Amounts are whole numbers of 10^-scale."""


class Rounding(StrEnum):
    """Every rounding that we know, by what it is for.

    HALF_AWAY  usage that happened, and invoices: to the nearest, halves away from zero
    UP         what is set aside: never less than needed (away from zero)
    DOWN       what is shown as available: never more than there is (towards zero)
    """

    HALF_AWAY = ROUND_HALF_UP
    UP = ROUND_UP
    DOWN = ROUND_DOWN


_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,18}))?", re.ASCII)
_LEADING_ZEROS = re.compile(r"0[0-9]+(\.[0-9]+)?", re.ASCII)
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?", re.ASCII)
_PRECISE = Context(prec=200)
_EXPONENT_MAX = 60


def parse_amount(text: str, asset: Asset) -> int:
    """Read a decimal text as an amount of `asset`, exactly: nothing is rounded.

    Raises InvalidAmount, whose `reason` is one of `empty`, `too_long`, `not_a_decimal`, `negative`,
    `leading_zeros`, `too_many_decimals`, `too_large`.
    """
    if not text:
        raise InvalidAmount("empty", "an amount is missing")
    if len(text) > TEXT_MAX:
        raise InvalidAmount("too_long", f"an amount has at most {TEXT_MAX} characters")
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise _explain(text)
    whole, decimals = match.groups(default="")
    if len(decimals) > asset.scale:
        raise InvalidAmount("too_many_decimals", f"{asset.code} has at most {asset.scale} decimals")
    minor = int(whole + decimals.ljust(asset.scale, "0"))
    if minor > MAX_MINOR:
        raise _too_large(asset.scale)
    return minor


def to_minor(amount: Decimal, scale: int, rounding: Rounding) -> int:
    """Round an exact amount to the asset's smallest unit, in the named way.

    Raises InvalidAmount (`not_finite`, `too_large`): what rating computed does not fit the book.
    """
    if not amount.is_finite():
        raise InvalidAmount("not_finite", "an amount is a finite number")
    if amount.adjusted() > _EXPONENT_MAX:
        raise _too_large(scale)
    minor = _nearest(amount, scale, rounding)
    if not -MAX_MINOR <= minor <= MAX_MINOR:
        raise _too_large(scale)
    return minor


def to_shown_minor(amount: Decimal, scale: int) -> int:
    """Round a price that is shown and not booked, half away from zero, however large it is.

    >>> to_shown_minor(Decimal("0.125"), 2), to_shown_minor(Decimal("1e30"), 0)
    (13, 1000000000000000000000000000000)
    """
    return _nearest(amount, scale, Rounding.HALF_AWAY)


def _nearest(amount: Decimal, scale: int, rounding: Rounding) -> int:
    return int(amount.scaleb(scale, _PRECISE).to_integral_value(rounding, _PRECISE))


def to_decimal(minor: int, scale: int) -> Decimal:
    """The exact amount that so many smallest units are."""
    return Decimal((1 if minor < 0 else 0, tuple(map(int, str(abs(minor)))), -scale))


def format_minor(minor: int, scale: int) -> str:
    """The shortest decimal text that says exactly this much.

    >>> format_minor(75_000_000_000, 9), format_minor(-1, 2), format_minor(0, 9)
    ('75', '-0.01', '0')
    """
    if scale == 0 or minor == 0:
        return str(minor)
    if minor < 0:
        return f"-{format_minor(-minor, scale)}"
    digits = str(minor).zfill(scale + 1)
    whole, decimals = digits[:-scale], digits[-scale:].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def rescale(minor: int, *, scale: int, to_scale: int, rounding: Rounding) -> int:
    """The same amount in another smallest unit, such as a balance in cents for an invoice."""
    if to_scale >= scale:
        return minor * 10 ** (to_scale - scale)
    step: int = 10 ** (scale - to_scale)
    whole, rest = divmod(abs(minor), step)
    up = (
        rest > 0 if rounding is Rounding.UP else rounding is Rounding.HALF_AWAY and 2 * rest >= step
    )
    return (whole + 1 if up else whole) * (-1 if minor < 0 else 1)


def _explain(text: str) -> InvalidAmount:
    """Name what is wrong with a short text that is no amount."""
    if _NEGATIVE.fullmatch(text):
        return InvalidAmount("negative", "an amount is not negative")
    if _LEADING_ZEROS.fullmatch(text):
        return InvalidAmount("leading_zeros", "an amount has no leading zeros")
    whole, _, decimals = text.partition(".")
    if whole.isascii() and whole.isdigit() and (not decimals or decimals.isascii()):
        if decimals.isdigit() and len(decimals) > SCALE_MAX:
            return InvalidAmount("too_many_decimals", f"an amount has at most {SCALE_MAX} decimals")
        if "." not in text or decimals.isdigit():
            return _too_large(0)
    return InvalidAmount("not_a_decimal", "an amount is digits, at most one point, and digits")


def _too_large(scale: int) -> InvalidAmount:
    return InvalidAmount("too_large", f"an amount is at most {format_minor(MAX_MINOR, scale)}")
