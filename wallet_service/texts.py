"""Decimals and times as requests write them: read strictly, exactly, and only up to a length."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from wallet_service.errors import Invalid

__all__ = ["read_decimal", "read_time"]

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?", re.ASCII)
_DECIMAL_LENGTH_MAX: Final = 40
_TIME_LENGTH_MAX: Final = 40
_YEAR_MIN: Final = 1970
_YEAR_MAX: Final = 9998


def read_decimal(text: str, *, field: str, code: str = "value_is_invalid") -> Decimal:
    """A decimal that is not negative: up to 18 digits, a point, up to 18 decimals. Raises Invalid.

    `Decimal` itself would take `NaN`, `1E+1000000`, `1_000` and Arabic digits.

    >>> read_decimal("17.96999999", field="paid_credits")
    Decimal('17.96999999')
    """
    if len(text) > _DECIMAL_LENGTH_MAX or not _DECIMAL.fullmatch(text):
        raise Invalid(field, code, "a decimal such as 12.5: at most 18 digits and 18 decimals")
    return Decimal(text)


def read_time(text: str, *, field: str) -> datetime:
    """A time or a day in ISO 8601, UTC where it names no zone. Raises Invalid."""
    refusal = Invalid(field, "value_is_invalid", "a time in ISO 8601")
    if len(text) > _TIME_LENGTH_MAX or not text.isascii():
        raise refusal
    try:
        at = datetime.fromisoformat(text)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise refusal from None
    if not _YEAR_MIN <= at.year <= _YEAR_MAX:
        raise refusal
    return at
