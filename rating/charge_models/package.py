"""Units are sold in packages; a package begun is a package paid."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from rating.charge_models.by_units import ByUnits
from rating.errors import InvalidModel
from rating.exact import EXACT, ZERO, ceil_div
from rating.quantities import price

_UNITS_MAX = 10**18


class Package(ByUnits, frozen=True, kw_only=True, tag_field="charge_model", tag="package"):
    """`amount` for every `package_size` units begun, after the first `free_units`."""

    amount: Decimal
    package_size: int
    free_units: int = 0

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Package:
        """Read the settings, or raise InvalidModel."""
        package_size = properties.get("package_size")
        if type(package_size) is not int or not 0 < package_size <= _UNITS_MAX:
            raise InvalidModel("package_size", "invalid_package_size")
        free_units = properties.get("free_units")
        if free_units is None:
            free_units = 0
        if type(free_units) is not int or not 0 <= free_units <= _UNITS_MAX:
            raise InvalidModel("free_units", "invalid_free_units")
        return cls(
            amount=price(properties.get("amount"), field="amount"),
            package_size=package_size,
            free_units=free_units,
        )

    def price(self, units: Decimal) -> Decimal:
        """The price of this many units in all.

        >>> five_per_hundred = Package(amount=Decimal(5), package_size=100, free_units=100)
        >>> five_per_hundred.price(Decimal(201))
        Decimal('10')
        """
        paid = EXACT.subtract(units, Decimal(self.free_units))
        if paid <= 0:
            return ZERO
        return EXACT.multiply(ceil_div(paid, Decimal(self.package_size)), self.amount)
