"""What the models have in common that look at the units of a period and at nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from rating.exact import EXACT, ZERO
from rating.totals import Total


class ByUnits(Struct, frozen=True, kw_only=True):
    """A model whose price depends only on how many units were used in all.

    Neither their order nor the events in which they came matter, so a period can be priced from
    sums. A total below zero costs nothing, not even a flat amount (source: Lago, fees of negative
    units); neither does a period in which nothing was used and nothing happened.
    """

    is_linear: ClassVar[bool] = False
    is_summable: ClassVar[bool] = True

    def price(self, units: Decimal) -> Decimal:
        """The price of this many units in all."""
        raise NotImplementedError

    def add(self, total: Total, units: Decimal) -> Total:
        """The total after one more event."""
        used = EXACT.add(total.units, units)
        return replace(total, units=used, events=total.events + 1, amount=self.price(used))

    def highest(self, total: Total, units: Decimal) -> Decimal:
        """The highest price that the total can have with up to `units` more."""
        return self.price(EXACT.add(total.units, units))

    def rebase(self, total: Total) -> Total:
        """The total as it would stand if all of it had been priced by this model."""
        return replace(total, amount=self.price_total(units=total.units, events=total.events))

    def price_total(
        self,
        *,
        units: Decimal,
        events: int,
        precise_amount_cents: Decimal = ZERO,  # noqa: ARG002 (only the dynamic model needs it)
    ) -> Decimal:
        """The price of a period from its sums."""
        return self.price(units) if units or events else ZERO
