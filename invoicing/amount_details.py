"""How the price of a line came about: by ranges, packages, volume. Only shown, never computed with.

Given where one version of a price made it; a price that changed within the period has no one
explanation. Source: Lago, amount details of fees.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from invoicing.usage_pricing import Fee
from rating.charge_models import Graduated, GraduatedPercentage, Package, Volume
from rating.charges import Charge
from rating.exact import EXACT, ZERO, ceil_div, percent

__all__ = ["amount_details"]


def amount_details(fee: Fee, charge: Charge) -> dict[str, Any]:
    """What the amount is made of, in the words of its charge model."""
    prices = fee.terms.prices
    if len(prices) != 1 or charge.pay_in_advance or fee.usage.prorated:
        return {}
    model, units = prices[0].model, fee.usage.units
    match model:
        case Package():
            return _package(model, units)
        case Volume():
            return _volume(model, units)
        case Graduated():
            ranges = [
                (one.to_value, one.per_unit_amount, one.flat_amount)
                for one in model.graduated_ranges
            ]
            return {"graduated_ranges": _ranges(ranges, units, name="per_unit_amount")}
        case GraduatedPercentage():
            ranges = [
                (one.to_value, one.rate, one.flat_amount)
                for one in model.graduated_percentage_ranges
            ]
            return {"graduated_percentage_ranges": _ranges(ranges, units, name="rate")}
        case _:
            return {}


def _package(model: Package, units: Decimal) -> dict[str, Any]:
    free = min(units, Decimal(model.free_units))
    paid = EXACT.subtract(units, free)
    return {
        "free_units": _text(free),
        "paid_units": _text(paid),
        "per_package_size": model.package_size,
        "per_package_unit_amount": _text(model.amount),
        "packages": _text(ceil_div(paid, Decimal(model.package_size))),
    }


def _volume(model: Volume, units: Decimal) -> dict[str, Any]:
    found = next(
        (one for one in model.volume_ranges if one.to_value is None or units <= one.to_value), None
    )
    if found is None:
        return {}
    return {
        "flat_unit_amount": _text(found.flat_amount),
        "per_unit_amount": _text(found.per_unit_amount),
        "per_unit_total_amount": _text(EXACT.multiply(units, found.per_unit_amount)),
    }


def _ranges(
    ranges: Sequence[tuple[Decimal | None, Decimal, Decimal]], units: Decimal, *, name: str
) -> list[dict[str, Any]]:
    """How many units each range took, and what they cost there."""
    found: list[dict[str, Any]] = []
    before = ZERO
    for to_value, each, flat in ranges:
        if found and units <= before:
            break
        end = units if to_value is None else min(units, to_value)
        within = EXACT.subtract(end, before)
        rate = percent(each) if name == "rate" else each
        total = EXACT.multiply(within, rate)
        found.append(
            {
                "from_value": _text(before),
                "to_value": None if to_value is None else _text(to_value),
                "units": _text(within),
                "flat_unit_amount": _text(flat),
                name: _text(each),
                "per_unit_total_amount": _text(total),
                "total_with_flat_amount": _text(EXACT.add(total, flat)),
            }
        )
        before = to_value if to_value is not None else units
    return found


def _text(number: Decimal) -> str:
    return format(number, "f")
