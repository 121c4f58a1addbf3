"""How much was used in all decides what every unit costs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

from rating.charge_models.by_units import ByUnits
from rating.charge_models.ranges import Tiers, UnitRange, read_unit_ranges
from rating.exact import EXACT, ZERO
from rating.totals import Total


class Volume(ByUnits, frozen=True, kw_only=True, dict=True, tag_field="charge_model", tag="volume"):
    """Units x `per_unit_amount` + `flat_amount` of the one range that holds all the units.

    The range is the one with `from_value` ≤ units, rounded up, and units ≤ `to_value`. Where a
    cheaper range begins the price may fall: it is the only model in which more can cost less.
    Source: Lago, volume charge model.
    """

    volume_ranges: tuple[UnitRange, ...]

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Volume:
        """Read the settings, or raise InvalidModel."""
        return cls(
            volume_ranges=read_unit_ranges(
                properties, "volume_ranges", reason="invalid_volume_ranges", may_touch=False
            )
        )

    @cached_property
    def _tiers(self) -> Tiers:
        return Tiers.of_volumes(self.volume_ranges)

    def price(self, units: Decimal) -> Decimal:
        """The price of this many units in all.

        >>> hundred, more = (
        ...     {"from_value": 0, "to_value": 100, "per_unit_amount": "2", "flat_amount": "10"},
        ...     {"from_value": 101, "to_value": None, "per_unit_amount": "1", "flat_amount": "0"},
        ... )
        >>> model = Volume.from_properties({"volume_ranges": [hundred, more]})
        >>> model.price(Decimal(100)), model.price(Decimal("100.5"))
        (Decimal('210'), Decimal('100.5'))
        """
        return self._tiers.price(units)

    def price_prorated(self, units: Decimal, *, full_units: Decimal) -> Decimal:
        """The price of units that were there for a part of the period only.

        The full units choose the range, the prorated ones are paid.
        """
        return self._tiers.price_as(units, full_units)

    def highest(self, total: Total, units: Decimal) -> Decimal:
        """The highest price that the total can have with up to `units` more.

        A range's price is highest at its end, so every end on the way is looked at.
        """
        used = EXACT.add(total.units, units)
        ends = (top for top in self._tiers.tops if total.units < top < used)
        return max(self.price(used), max(map(self.price, ends), default=ZERO))
