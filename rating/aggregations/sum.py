"""An event stands for the number in one of its properties."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from rating.errors import MissingProperty
from rating.quantities import quantity


def quantify(properties: Mapping[str, object], field_name: str | None) -> Decimal:
    """The quantity in the property, or MissingProperty or InvalidQuantity.

    >>> quantify({"tokens": "374"}, "tokens")
    Decimal('374')
    """
    assert field_name, "a sum needs the name of a property"
    value = properties.get(field_name)
    if value is None:
        raise MissingProperty(field_name)
    return quantity(value, field=field_name)
