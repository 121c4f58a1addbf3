"""Pay in advance: each event is billed as it comes, for what it adds to all that came before.

A fee is `model(all so far) - model(all before)`, so ranges, packages and flat amounts are paid by
the event that reaches them. Nothing is given back: a correction costs nothing, and what is used
again up to the highest price of the period is free. Single events are not rounded to the metric's
precision. The fees of a sequence are what `quotes.marginal` charges for it in real time. Of a
dynamic price each event is billed what it brought, and needs no other.
Source: Lago, charges paid in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from msgspec import Struct
from msgspec.structs import replace

from rating.charge_models import ChargeModel, Dynamic, Standard
from rating.events import Event
from rating.exact import EXACT, ZERO, divided
from rating.period import Period
from rating.proration import prorated
from rating.quotes import begun
from rating.steps import steps_of
from rating.terms import Terms
from rating.usage import ZERO_TOTAL, Total


class Fees(Struct, frozen=True):
    """What a period's usage is billed in advance."""

    carried: Decimal
    """For what was there when the period began."""
    events: tuple[Decimal, ...]
    """For each event, in the order in which they count."""

    @property
    def total(self) -> Decimal:
        """All of it."""
        return reduce(EXACT.add, self.events, self.carried)


def fees_in_advance(
    terms: Terms, carried: Sequence[Event], events: Sequence[Event], period: Period
) -> Fees:
    """The exact fee of every event; `carried` are those before the period. Both in order."""
    before, steps = steps_of(terms.aggregation, carried, events)
    bill = _Bill(terms.prices[0].model)
    carried_fee = ZERO
    if carried:
        due = bill.begin_with(before, reduce(EXACT.add, map(_cents, carried), ZERO))
        carried_fee = _for_days(terms, bill.model, due, Fraction(period.days, period.whole_days))
    fees: list[Decimal] = []
    for event, step in zip(events, steps, strict=True):
        bill.change_to(terms.prices[terms.version(event.plan_version_id)].model)
        due = bill.add(step, _cents(event))
        fees.append(_for_days(terms, bill.model, due, period.share(event.timestamp)))
    return Fees(carried_fee, tuple(fees))


def _for_days(terms: Terms, model: ChargeModel, due: Decimal, share: Fraction) -> Decimal:
    """What is due for a share of the period: for its units, rounded up, at the price of one."""
    if not terms.is_prorated:
        return due
    assert isinstance(model, Standard), "other models are billed in arrears when they are prorated"
    if not model.amount:
        return ZERO
    return model.price(prorated(divided(due, model.amount), share))


class _Bill:
    """What was used so far, and the highest price that was reached with it."""

    def __init__(self, model: ChargeModel) -> None:
        self.model: ChargeModel = model
        self.total: Total = ZERO_TOTAL
        self.charged = ZERO

    def begin_with(self, units: Decimal, cents: Decimal) -> Decimal:
        """What it costs to have so many units already."""
        if isinstance(self.model, Dynamic):
            amount = self.model.price_precise(units, cents)
            self.total = Total(units=units, amount=amount)
        else:
            self.total = begun(self.model, units)
        self.charged = self.total.amount
        return self.charged

    def change_to(self, model: ChargeModel) -> None:
        """Go on at other prices: what is left to charge, or was charged in excess, stays."""
        if model == self.model:
            return
        self.model = model
        if not isinstance(model, Dynamic):
            excess = EXACT.subtract(self.charged, self.total.amount)
            self.total = model.rebase(self.total)
            self.charged = EXACT.add(self.total.amount, excess)

    def add(self, units: Decimal, cents: Decimal) -> Decimal:
        """What an event costs."""
        if isinstance(self.model, Dynamic):
            return self._add_alone(units, self.model.price_precise(units, cents))
        self.total = self.model.add(self.total, units)
        if units < 0:
            return ZERO
        fee = max(EXACT.subtract(self.total.amount, self.charged), ZERO)
        self.charged = EXACT.add(self.charged, fee)
        return fee

    def _add_alone(self, units: Decimal, fee: Decimal) -> Decimal:
        """Count an event that costs so much, whatever there was before."""
        total = self.total
        self.total = replace(
            total,
            units=EXACT.add(total.units, units),
            events=total.events + 1,
            amount=EXACT.add(total.amount, fee),
        )
        self.charged = EXACT.add(self.charged, fee)
        return fee


def _cents(event: Event) -> Decimal:
    return event.precise_amount_cents or ZERO
