"""Every event brings its own price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct

from rating.exact import EXACT, ZERO


class Dynamic(Struct, frozen=True, kw_only=True, tag_field="charge_model", tag="dynamic"):
    """The sum of the events' `precise_total_amount_cents` / 100; nothing where no units are used.

    It has no settings, and goes with sums only. No total is needed to price an event, so there is
    nothing to `add` to, nor to rebase. Source: Lago, dynamic charge model.
    """

    is_linear: ClassVar[bool] = True
    is_summable: ClassVar[bool] = True

    @classmethod
    def from_properties(cls, _properties: Mapping[str, object]) -> Dynamic:
        """There is nothing to read."""
        return cls()

    def price_precise(self, units: Decimal, precise_amount_cents: Decimal) -> Decimal:
        """The price of an event, or of a period's sums: never below zero, nothing for no units.

        >>> Dynamic().price_precise(Decimal(10), Decimal("1234.56"))
        Decimal('12.3456')
        """
        if units <= 0 or precise_amount_cents <= 0:
            return ZERO
        return EXACT.scaleb(precise_amount_cents, -2)

    def price_total(
        self,
        *,
        units: Decimal,
        events: int,  # noqa: ARG002 (as in every model)
        precise_amount_cents: Decimal = ZERO,
    ) -> Decimal:
        """The price of a period from its sums."""
        return self.price_precise(units, precise_amount_cents)
