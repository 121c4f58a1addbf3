"""Numbers as they come in: checked against strict limits before they become decimals.

`Decimal` itself accepts `NaN`, `1E+1000000` and Arabic digits, so nothing reaches it unchecked.

- A quantity (units used) has at most 30 digits before and 18 after the point; it may be negative,
  since corrections are.
- A price (of one unit, one package, one event …) has at most 18 digits before and 30 after the
  point, and is not negative. List prices per token go down to 24 decimals.

Both come as `int`, as `Decimal` (JSON numbers are decoded exactly, never through float) or as a
plain ASCII string; a `bool` or a `float` is refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from rating.errors import InvalidModel, InvalidQuantity
from rating.exact import EXACT, ONE, ZERO

WHOLE_DIGITS_MAX: Final = 30
FRACTION_DIGITS_MAX: Final = 18
PRICE_WHOLE_DIGITS_MAX: Final = 18
PRICE_FRACTION_DIGITS_MAX: Final = 30

_WHOLE_END: Final[int] = 10**WHOLE_DIGITS_MAX
_TEXT_LENGTH_MAX: Final = 1 + WHOLE_DIGITS_MAX + 1 + FRACTION_DIGITS_MAX
_QUANTITY = re.compile(r"-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,18})?")
_PRICE = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?")


def quantity(value: object, *, field: str) -> Decimal:
    """Read a quantity, or raise InvalidQuantity naming the field.

    >>> quantity("-12.50", field="tokens"), quantity(374, field="tokens")
    (Decimal('-12.50'), Decimal('374'))
    >>> quantity("1E+1000000", field="tokens")
    Traceback (most recent call last):
    rating.errors.InvalidQuantity: 'tokens' must be a decimal number of at most 30 digits before \
and 18 digits after the point
    """
    if type(value) is int and -_WHOLE_END < value < _WHOLE_END:  # what most usage is
        return Decimal(value)
    number = _number(value, pattern=_QUANTITY, whole=WHOLE_DIGITS_MAX, fraction=FRACTION_DIGITS_MAX)
    if number is None:
        raise InvalidQuantity(field)
    return number


def range_bound(value: object, *, field: str, reason: str) -> Decimal:
    """Read a bound of a range of quantities, not negative, or raise InvalidModel.

    >>> range_bound("0.1", field="graduated_ranges", reason="invalid_graduated_ranges")
    Decimal('0.1')
    """
    number = _number(value, pattern=_QUANTITY, whole=WHOLE_DIGITS_MAX, fraction=FRACTION_DIGITS_MAX)
    if number is None or number < 0:
        raise InvalidModel(field, reason)
    return number


def price(value: object, *, field: str, reason: str = "invalid_amount") -> Decimal:
    """Read a price (or a rate), or raise InvalidModel with the field and the reason.

    >>> price("0.00000015", field="amount")
    Decimal('1.5E-7')
    """
    number = _number(
        value,
        pattern=_PRICE,
        whole=PRICE_WHOLE_DIGITS_MAX,
        fraction=PRICE_FRACTION_DIGITS_MAX,
    )
    if number is None or number < 0:
        raise InvalidModel(field, reason)
    return number


def _number(
    value: object, *, pattern: re.Pattern[str], whole: int, fraction: int
) -> Decimal | None:
    """The decimal that `value` stands for, None if it is not within the limits."""
    kind = type(value)  # not isinstance: True is an int, and no quantity
    if kind is str:
        assert isinstance(value, str)
        # The length first: a pattern is not run over 4,000 digits.
        if len(value) > _TEXT_LENGTH_MAX or pattern.fullmatch(value) is None:
            return None
        return Decimal(value) or ZERO  # "-0" is zero
    if kind is int:
        assert isinstance(value, int)
        return Decimal(value) if abs(value) < 10**whole else None
    if kind is Decimal:
        assert isinstance(value, Decimal)
        return _within(value, whole=whole, fraction=fraction)
    return None


def _within(number: Decimal, *, whole: int, fraction: int) -> Decimal | None:
    """The same number in plain notation if it is finite and small enough, looked at by exponent."""
    if not number.is_finite():
        return None
    if not number:
        return ZERO
    # `adjusted` is the exponent of the first digit: 1E+1000000 is refused without writing it out.
    if number.adjusted() >= whole:
        return None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -fraction:
        return None
    return number if exponent <= 0 else EXACT.quantize(number, ONE)
