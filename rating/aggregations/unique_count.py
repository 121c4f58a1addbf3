"""Every value of a property is one unit, however often it comes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from rating.errors import InvalidMember, MissingProperty
from rating.exact import ONE
from rating.texts import as_text


def quantify(properties: Mapping[str, object], field_name: str | None) -> Decimal:
    """One for the value in the property, or MissingProperty or InvalidMember.

    >>> quantify({"user_id": "ada"}, "user_id")
    Decimal('1')
    """
    assert field_name, "a unique count needs the name of a property"
    value = properties.get(field_name)
    if value is None:
        raise MissingProperty(field_name)
    if as_text(value) is None:
        raise InvalidMember(field_name)
    return ONE
