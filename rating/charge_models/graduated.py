"""Units fill one range after the other; each range has its own price per unit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

from rating.charge_models.by_units import ByUnits
from rating.charge_models.ranges import Tiers, UnitRange, read_unit_ranges


class Graduated(
    ByUnits, frozen=True, kw_only=True, dict=True, tag_field="charge_model", tag="graduated"
):
    """Σ over the ranges reached: units in the range x `per_unit_amount` + `flat_amount`.

    The first range is reached by the first event, even by one of no units. Source: Lago,
    graduated charge model.
    """

    graduated_ranges: tuple[UnitRange, ...]

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Graduated:
        """Read the settings, or raise InvalidModel."""
        return cls(
            graduated_ranges=read_unit_ranges(
                properties, "graduated_ranges", reason="invalid_graduated_ranges", may_touch=True
            )
        )

    @cached_property
    def _tiers(self) -> Tiers:
        return Tiers.of_grades(
            (tier.to_value, tier.per_unit_amount, tier.flat_amount)
            for tier in self.graduated_ranges
        )

    def price(self, units: Decimal) -> Decimal:
        """The price of this many units in all.

        >>> first_ten, more = (
        ...     {"from_value": 0, "to_value": 10, "per_unit_amount": "10", "flat_amount": "2"},
        ...     {"from_value": 11, "to_value": None, "per_unit_amount": "5", "flat_amount": "3"},
        ... )
        >>> model = Graduated.from_properties({"graduated_ranges": [first_ten, more]})
        >>> model.price(Decimal(0)), model.price(Decimal(10)), model.price(Decimal(12))
        (Decimal('2'), Decimal('102'), Decimal('115'))
        """
        return self._tiers.price(units)
