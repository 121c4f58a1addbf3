"""Every unit costs the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import ClassVar

from msgspec import Struct

from rating.exact import EXACT, ZERO
from rating.quantities import price
from rating.usage import Total


class Standard(Struct, frozen=True, kw_only=True, tag_field="charge_model", tag="standard"):
    """Units times `amount`.

    The only linear model: what an event costs does not depend on what was used before, so no
    total is needed to price it. Totals below zero cost nothing.
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

    def add(self, total: Total, units: Decimal) -> Total:
        """The total after one more event."""
        used = EXACT.add(total.units, units)
        return Total(units=used, events=total.events + 1, amount=self.price(used))

    def reprice(self, total: Total) -> Decimal:
        """What this model asks for what a total stands for."""
        return self.price(total.units)

    def price_events(self, quantities: Sequence[Decimal]) -> Decimal:
        """The price of a period's events."""
        return self.price(reduce(EXACT.add, quantities, ZERO))
