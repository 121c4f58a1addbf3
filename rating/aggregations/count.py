"""Every event is one unit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from rating.exact import ONE


def quantify(_properties: Mapping[str, object], _field_name: str | None) -> Decimal:
    """One, whatever the event carries.

    >>> quantify({"tokens": 374}, None)
    Decimal('1')
    """
    return ONE
