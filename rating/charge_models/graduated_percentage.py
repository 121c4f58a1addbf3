"""Units fill one range after the other; each range takes its own share of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

from rating.charge_models.by_units import ByUnits
from rating.charge_models.ranges import RateRange, Tiers, read_ranges
from rating.exact import percent
from rating.quantities import price


class GraduatedPercentage(
    ByUnits,
    frozen=True,
    kw_only=True,
    dict=True,
    tag_field="charge_model",
    tag="graduated_percentage",
):
    """Σ over the ranges reached: units in the range x `rate` / 100 + `flat_amount`.

    The first range is reached by the first event, even by one of no units. Source: Lago,
    graduated percentage charge model.
    """

    graduated_percentage_ranges: tuple[RateRange, ...]

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> GraduatedPercentage:
        """Read the settings, or raise InvalidModel."""
        ranges = read_ranges(
            properties,
            "graduated_percentage_ranges",
            reason="invalid_graduated_ranges",
            may_touch=False,
        )
        return cls(
            graduated_percentage_ranges=tuple(
                RateRange(
                    from_value=begin,
                    to_value=end,
                    rate=price(settings.get("rate"), field="rate", reason="invalid_rate"),
                    flat_amount=price(settings.get("flat_amount"), field="flat_amount"),
                )
                for begin, end, settings in ranges
            )
        )

    @cached_property
    def _tiers(self) -> Tiers:
        return Tiers.of_grades(
            (tier.to_value, percent(tier.rate), tier.flat_amount)
            for tier in self.graduated_percentage_ranges
        )

    def price(self, units: Decimal) -> Decimal:
        """The price of this many units in all.

        >>> first_ten, more = (
        ...     {"from_value": 0, "to_value": 10, "rate": "1", "flat_amount": "200"},
        ...     {"from_value": 11, "to_value": None, "rate": "2", "flat_amount": "300"},
        ... )
        >>> model = GraduatedPercentage.from_properties(
        ...     {"graduated_percentage_ranges": [first_ten, more]}
        ... )
        >>> model.price(Decimal(1)), model.price(Decimal(11))
        (Decimal('200.01'), Decimal('500.12'))
        """
        return self._tiers.price(units)
