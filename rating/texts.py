"""The values of properties as text: what filters, groups and members are compared by."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

# A longer number is no name, and writing it out would cost what its sender likes.
_DIGITS_MAX: Final = 30


def as_text(value: object) -> str | None:
    """A property's value as filters write it; None for what has no name.

    >>> as_text("gpt-4o"), as_text(3), as_text(True), as_text(Decimal("1.50")), as_text([1])
    ('gpt-4o', '3', 'true', '1.50', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_DIGITS_MAX else None
    if isinstance(value, Decimal):
        is_short = value.is_finite() and abs(value.adjusted()) < _DIGITS_MAX
        return format(value, "f") if is_short else None
    return None
