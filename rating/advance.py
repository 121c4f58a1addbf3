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

from rating.charge_models import ChargeModel, Dynamic
from rating.events import Event
from rating.exact import EXACT, ZERO
from rating.period import Period
from rating.quotes import added, begun, for_days, going_on
from rating.steps import steps_of
from rating.terms import Terms
from rating.totals import ZERO_TOTAL, Total


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
        bill.begin_with(before, reduce(EXACT.add, map(_cents, carried), ZERO))
        share = Fraction(period.days, period.whole_days)
        carried_fee = _for_days(terms, bill.model, bill.total.charged, share)
    fees: list[Decimal] = []
    for event, step in zip(events, steps, strict=True):
        bill.change_to(terms.prices[terms.version(event.plan_version_id)].model)
        due = bill.add(step, _cents(event))
        fees.append(_for_days(terms, bill.model, due, period.share(event.timestamp)))
    return Fees(carried_fee, tuple(fees))


def _for_days(terms: Terms, model: ChargeModel, due: Decimal, share: Fraction) -> Decimal:
    return for_days(model, due, share) if terms.is_prorated else due


class _Bill:
    """What was used so far, and what was charged for it."""

    def __init__(self, model: ChargeModel) -> None:
        self.model: ChargeModel = model
        self.total: Total = ZERO_TOTAL

    def begin_with(self, units: Decimal, cents: Decimal) -> None:
        """Have so many units already, and charge for them."""
        if isinstance(self.model, Dynamic):
            amount = self.model.price_precise(units, cents)
            self.total = Total(units=units, amount=amount, charged=amount)
        else:
            self.total = begun(self.model, units)

    def change_to(self, model: ChargeModel) -> None:
        """Go on at other prices."""
        if model == self.model:
            return
        self.model = model
        if not isinstance(model, Dynamic):
            self.total = going_on(model, self.total)

    def add(self, units: Decimal, cents: Decimal) -> Decimal:
        """What an event is charged."""
        if not isinstance(self.model, Dynamic):
            fee, self.total = added(self.model, self.total, units)
            return fee
        fee, total = self.model.price_precise(units, cents), self.total
        self.total = Total(
            units=EXACT.add(total.units, units),
            events=total.events + 1,
            amount=EXACT.add(total.amount, fee),
            charged=EXACT.add(total.charged, fee),
        )
        return fee


def _cents(event: Event) -> Decimal:
    return event.precise_amount_cents or ZERO
