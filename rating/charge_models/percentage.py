"""A share of the units (think of a payment's value), a fee per event, and a free tier.

Without a minimum or maximum per transaction the period is priced as a whole:

    (units - free units) x rate / 100  +  (events - free events) x fixed_amount

With one, every event is priced by itself, what the free tier leaves of it:

    clamp(paid units x rate / 100 + fixed_amount, minimum, maximum)

The free tier ends after `free_units_per_events` events or `free_units_per_total_aggregation`
units, whichever comes first. It follows the order of the events, so their order matters: events
of the same instant count in the order in which they came in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import accumulate
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from rating.errors import InvalidModel
from rating.exact import EXACT, ZERO, percent
from rating.quantities import price
from rating.totals import ZERO_TOTAL, Total

_EVENTS_MAX = 10**18


class Percentage(Struct, frozen=True, kw_only=True, tag_field="charge_model", tag="percentage"):
    """`rate` percent of the units plus `fixed_amount` per event, after a free tier."""

    is_linear: ClassVar[bool] = False

    rate: Decimal
    fixed_amount: Decimal = ZERO
    free_units_per_events: int = 0
    """Events in the free tier; 0: not limited by events."""
    free_units_per_total_aggregation: Decimal = ZERO
    """Units in the free tier; 0: not limited by units."""
    per_transaction_min_amount: Decimal | None = None
    per_transaction_max_amount: Decimal | None = None

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Percentage:
        """Read the settings, or raise InvalidModel; an absent or null one is not set."""
        free_events = properties.get("free_units_per_events")
        if free_events is None:
            free_events = 0
        if type(free_events) is not int or not 0 <= free_events <= _EVENTS_MAX:
            raise InvalidModel("free_units_per_events", "invalid_free_units_per_events")
        minimum = _optional_price(properties, "per_transaction_min_amount")
        maximum = _optional_price(properties, "per_transaction_max_amount")
        if minimum is not None and maximum is not None and maximum < minimum:
            raise InvalidModel(
                "per_transaction_max_amount",
                "per_transaction_max_lower_than_per_transaction_min",
            )
        free_units = _optional_price(
            properties,
            "free_units_per_total_aggregation",
            reason="invalid_free_units_per_total_aggregation",
        )
        return cls(
            rate=price(properties.get("rate"), field="rate", reason="invalid_rate"),
            fixed_amount=_optional_price(properties, "fixed_amount", reason="invalid_fixed_amount")
            or ZERO,
            free_units_per_events=free_events,
            free_units_per_total_aggregation=free_units or ZERO,
            per_transaction_min_amount=minimum,
            per_transaction_max_amount=maximum,
        )

    @property
    def has_bounds(self) -> bool:
        """Whether each transaction has a minimum or maximum, so that it is priced by itself."""
        return (
            self.per_transaction_min_amount is not None
            or self.per_transaction_max_amount is not None
        )

    @property
    def is_summable(self) -> bool:
        """Whether a period can be priced from sums: a free tier or a bound needs each event."""
        return not (self.has_bounds or self.has_free_tier)

    @property
    def has_free_tier(self) -> bool:
        """Whether something at the beginning of a period is free."""
        return bool(self.free_units_per_events or self.free_units_per_total_aggregation)

    def is_past_free_tier(self, *, events: int, units: Decimal) -> bool:
        """Whether the free tier looks at no event after the first so many, of so many units."""
        if self.free_units_per_events:
            return events >= self.free_units_per_events
        return units >= self.free_units_per_total_aggregation

    def add(self, total: Total, units: Decimal) -> Total:
        """The total after one more event."""
        if self.has_bounds:
            return self._add_transaction(total, units)
        return self._add_to_period(total, units)

    def highest(self, total: Total, units: Decimal) -> Decimal:
        """The highest price that the total can have with up to `units` more in one event."""
        return self.add(total, units).amount

    def rebase(self, total: Total) -> Total:
        """The total as it would stand if all of it had been priced by this model.

        As near as a total can tell. One that holds less than this free tier is wholly free; from
        then on what another free tier has let pass stays free, as far as this one has units.
        Bounded transactions are not known any more one by one: their amount stays as it is.
        """
        if self.has_bounds:
            return total
        free_units, free_events = total.free_units, total.free_events
        events, limit = self.free_units_per_events, self.free_units_per_total_aggregation
        if not events and not limit:
            free_units, free_events = ZERO, 0
        elif total.events <= events if events else total.units < limit:
            free_units = total.units
            free_events = total.events if not limit or total.units < limit else free_events
        elif not events:
            free_units = max(free_units, limit)
        return self._priced(
            total,
            units=total.units,
            events=total.events,
            free_units=free_units,
            free_events=free_events,
        )

    def price_total(
        self,
        *,
        units: Decimal,
        events: int,
        precise_amount_cents: Decimal = ZERO,  # noqa: ARG002 (only the dynamic model needs it)
    ) -> Decimal:
        """The price of a period from its sums."""
        assert self.is_summable, "a free tier or a bound is known event by event only"
        return self._price_period(units=units, events=events, free_units=ZERO, free_events=0)

    def price_events(
        self, quantities: Sequence[Decimal], *, units: Decimal | None = None
    ) -> Decimal:
        """The price of a period's events, in their order.

        `units` are the units of all of them if the metric rounds them: what is left of them after
        the free tier is billed. Bounded transactions are billed one by one, as they are.
        """
        if self.has_bounds:
            # Events are priced one by one by definition: the running total is the definition.
            total = ZERO_TOTAL
            for quantity in quantities:
                total = self._add_transaction(total, quantity)
            return total.amount
        if units is None:
            units = reduce(EXACT.add, quantities, ZERO)
        return self.price_begun(quantities, units=units, events=len(quantities))

    def price_begun(self, first: Sequence[Decimal], *, units: Decimal, events: int) -> Decimal:
        """The price of a period from its sums, and the events with which it began.

        As many of them as the free tier looks at (`is_past_free_tier`), or all.
        """
        assert not self.has_bounds, "transactions with bounds are priced one by one"
        free_totals = self._free_totals(list(accumulate(first, EXACT.add)))
        limit = self.free_units_per_total_aggregation
        return self._price_period(
            units=units,
            events=events,
            free_units=free_totals[-1] if free_totals else ZERO,
            free_events=sum(1 for free in free_totals if not limit or free < limit),
        )

    # -- the period as a whole

    def _free_totals(self, running_totals: Sequence[Decimal]) -> list[Decimal]:
        """The running totals at which the free tier was still looked at."""
        if self.free_units_per_events:
            return list(running_totals[: self.free_units_per_events])
        free_totals: list[Decimal] = []
        for running_total in running_totals if self.free_units_per_total_aggregation else ():
            free_totals.append(running_total)
            if running_total >= self.free_units_per_total_aggregation:
                break
        return free_totals

    def _add_to_period(self, total: Total, units: Decimal) -> Total:
        used = EXACT.add(total.units, units)
        events = total.events + 1
        free_units, free_events = total.free_units, total.free_events
        limit = self.free_units_per_total_aggregation
        in_free_tier = (
            total.events < self.free_units_per_events
            if self.free_units_per_events
            else total.free_units < limit
        )
        if in_free_tier:
            free_units = used
            free_events += not limit or used < limit
        return self._priced(
            total, units=used, events=events, free_units=free_units, free_events=free_events
        )

    def _priced(
        self, total: Total, *, units: Decimal, events: int, free_units: Decimal, free_events: int
    ) -> Total:
        """The total with these numbers, and their price."""
        return replace(
            total,
            units=units,
            events=events,
            amount=self._price_period(
                units=units, events=events, free_units=free_units, free_events=free_events
            ),
            free_events=free_events,
            free_units=free_units,
        )

    def _price_period(
        self, *, units: Decimal, events: int, free_units: Decimal, free_events: int
    ) -> Decimal:
        if units <= 0:
            return ZERO  # nothing used: no fixed fees either
        limit = self.free_units_per_total_aggregation
        if limit:
            free_units = min(free_units, limit)
            # As Lago has it: a limit that let no event pass is left out of the comparison, so a
            # first event above the free units still leaves the free events their fixed fees.
            limits = [self.free_units_per_events, free_events]
            free_events = min((count for count in limits if count), default=0)
        paid = EXACT.subtract(units, max(free_units, ZERO))
        share = EXACT.multiply(paid, percent(self.rate)) if paid > 0 else ZERO
        fees = EXACT.multiply(Decimal(max(events - free_events, 0)), self.fixed_amount)
        return EXACT.add(share, fees)

    # -- each event by itself

    def _add_transaction(self, total: Total, units: Decimal) -> Total:
        free = self._free_part(total, units)
        return replace(
            total,
            units=EXACT.add(total.units, units),
            events=total.events + 1,
            amount=EXACT.add(total.amount, self._price_transaction(EXACT.subtract(units, free))),
            free_events=total.free_events + (free > 0),
            free_units=EXACT.add(total.free_units, free),
        )

    def _free_part(self, total: Total, units: Decimal) -> Decimal:
        """How many of an event's units the free tier takes."""
        events, limit = (
            self.free_units_per_events,
            self.free_units_per_total_aggregation,
        )
        if units <= 0 or not (events or limit) or (events and total.events >= events):
            return ZERO
        return min(units, EXACT.subtract(limit, total.free_units)) if limit else units

    def _price_transaction(self, units: Decimal) -> Decimal:
        if units <= 0:
            return ZERO  # wholly free, or a correction: no minimum, no fixed fee
        amount = EXACT.add(EXACT.multiply(units, percent(self.rate)), self.fixed_amount)
        if self.per_transaction_min_amount is not None:
            amount = max(amount, self.per_transaction_min_amount)
        if self.per_transaction_max_amount is not None:
            amount = min(amount, self.per_transaction_max_amount)
        return amount


def _optional_price(
    properties: Mapping[str, object], field: str, *, reason: str = "invalid_amount"
) -> Decimal | None:
    value = properties.get(field)
    return None if value is None else price(value, field=field, reason=reason)
