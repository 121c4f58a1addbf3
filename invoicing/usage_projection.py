"""What a running period will come to if it goes on as it began. Pure."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct

from invoicing.usage_pricing import Fee
from rating.charges import Conversion
from rating.exact import EXACT, ONE, divided
from rating.period import Period
from rating.pricing_units import converted_fee

__all__ = ["Projection", "project"]

_GROWING: Final = frozenset({"count_agg", "sum_agg", "unique_count_agg"})


class Projection(Struct, frozen=True):
    """The units of the whole period, and what they will cost."""

    units: Decimal
    unit_amount: Decimal
    """In the charge's pricing unit, if it has one."""
    amount: Decimal


def project(
    fee: Fee, period: Period, *, conversion: Conversion | None, now: datetime
) -> Projection:
    """Go on as in the days that have passed, today among them: units x days ÷ days passed.

    The units to come are priced by the model, on top of those there are; where a price depends on
    the order of events, or on days, it grows like the units. What does not add up (a maximum, a
    last value, an average over time) stays, and so do units that stay. Source: Lago projects by
    days.
    """
    passed = (period.day(now) - period.first_day).days + 1
    if fee.terms.aggregation not in _GROWING or fee.terms.recurring or passed >= period.days:
        return Projection(fee.usage.units, fee.usage.amount, fee.amount)
    grown = _Growth(Decimal(period.days), Decimal(max(passed, 1)))
    units = fee.terms.rounded(grown.of(fee.usage.units))
    model = fee.terms.prices[-1].model
    if fee.terms.is_prorated or not model.is_summable:
        unit_amount = grown.of(fee.usage.amount)
    else:
        summary = fee.summary
        now_costs = model.price_total(
            units=fee.usage.units,
            events=summary.events,
            precise_amount_cents=summary.precise_amount_cents,
        )
        will_cost = model.price_total(
            units=units,
            events=int(grown.of(Decimal(summary.events)).to_integral_value()),
            precise_amount_cents=grown.of(summary.precise_amount_cents),
        )
        unit_amount = EXACT.add(fee.usage.amount, EXACT.subtract(will_cost, now_costs))
    return Projection(units, unit_amount, converted_fee(unit_amount, conversion))


class _Growth(Struct, frozen=True):
    """By how much a period grows until its end."""

    days: Decimal
    passed: Decimal = ONE

    def of(self, number: Decimal) -> Decimal:
        """The number at the end of the period."""
        return divided(EXACT.multiply(number, self.days), self.passed)
