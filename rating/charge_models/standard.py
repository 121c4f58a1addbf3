"""Every unit costs the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from rating.charge_models.by_units import ByUnits
from rating.exact import EXACT, ZERO
from rating.quantities import price


class Standard(ByUnits, frozen=True, kw_only=True, tag_field="charge_model", tag="standard"):
    """Units times `amount`.

    Linear: what an event costs does not depend on what was used before, so no total is needed to
    price it. Totals below zero cost nothing.
    """

    is_linear: ClassVar[bool] = True

    amount: Decimal

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Standard:
        """Read the settings, or raise InvalidModel."""
        return cls(amount=price(properties.get("amount"), field="amount"))

    def price(self, units: Decimal) -> Decimal:
        """The price of this many units; a negative quantity costs nothing.

        >>> Standard(amount=Decimal("5.12345")).price(Decimal(10))
        Decimal('51.23450')
        """
        return EXACT.multiply(units, self.amount) if units > 0 else ZERO
