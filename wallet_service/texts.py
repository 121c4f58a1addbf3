"""Decimals, times and ids as requests write them: read strictly, and only up to a length."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from wallet_service.errors import Invalid

__all__ = ["parse_time", "read_decimal", "read_time", "read_uuid"]

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?", re.ASCII)
_DECIMAL_LENGTH_MAX: Final = 40
_TIME_LENGTH_MAX: Final = 40
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}", re.ASCII)
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
    try:
        at = parse_time(text)
    except ValueError:
        raise refusal from None
    if not _YEAR_MIN <= at.year <= _YEAR_MAX:
        raise refusal
    return at


def parse_time(text: str) -> datetime:
    """The same of any year. Raises ValueError."""
    if len(text) > _TIME_LENGTH_MAX or not text.isascii():
        raise ValueError(text[:_TIME_LENGTH_MAX])
    at = datetime.fromisoformat(text)
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def read_uuid(text: str) -> UUID:
    """An id in ASCII digits; `UUID` itself would take Arabic ones, and underscores between.

    Raises ValueError.

    >>> read_uuid("01900000-0000-7000-8000-000000000000")
    UUID('01900000-0000-7000-8000-000000000000')
    """
    if not _UUID.fullmatch(text):
        raise ValueError
    return UUID(text)
