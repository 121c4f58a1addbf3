"""Fixed charges: units of an add-on that a subscription has, whatever it uses.

Its units stay until they are changed, so a fixed charge is priced as a recurring sum whose events
are the changes. Paid in arrears it costs what is there at the period's end or, prorated, what was
there day by day. Paid in advance it costs what was there when the period began, and a change costs
what it adds to the highest price of the period; fewer units give nothing back.
Source: Lago, fixed charges.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from rating.advance import Fees, fees_in_advance
from rating.charge_models import Graduated, Standard, Volume
from rating.events import Event
from rating.exact import EXACT, ZERO
from rating.period import Period
from rating.period_rating import Usage, rate_events
from rating.terms import Price, Terms


class UnitsChange(Struct, frozen=True):
    """The units of a fixed charge from some time on.

    A change that is not applied at once has the time at which the next period begins.
    """

    at: datetime
    units: Decimal


class FixedTerms(Struct, frozen=True, kw_only=True):
    """How a fixed charge is priced."""

    model: Standard | Graduated | Volume
    pay_in_advance: bool = False
    """Not with a volume price; a graduated one is then not prorated."""
    prorated: bool = False

    def as_usage(self) -> Terms:
        """The same terms for the changes as events."""
        return Terms(
            aggregation="sum_agg",
            prices=(Price(None, self.model),),
            recurring=True,
            prorated=self.prorated,
            pay_in_advance=self.pay_in_advance,
        )


def rate_fixed_charge(terms: FixedTerms, changes: Iterable[UnitsChange], period: Period) -> Usage:
    """What a fixed charge costs in a period, given all its changes up to then."""
    return rate_events(terms.as_usage(), _as_events(changes), period)


def fixed_fees_in_advance(
    terms: FixedTerms, changes: Iterable[UnitsChange], period: Period
) -> Fees:
    """What is billed when the period begins, and for each change within it."""
    usage_terms = terms.as_usage()
    assert usage_terms.is_in_advance, "billed when the period has ended"
    events = [event for event in _as_events(changes) if event.timestamp < period.end]
    carried = [event for event in events if event.timestamp < period.start]
    return fees_in_advance(usage_terms, carried, events[len(carried) :], period)


def _as_events(changes: Iterable[UnitsChange]) -> list[Event]:
    """Each change by how much it adds or takes away; of two at one time, the later given wins."""
    events: list[Event] = []
    before = ZERO
    for order, change in enumerate(sorted(changes, key=lambda change: change.at)):
        step = EXACT.subtract(change.units, before)
        if step:
            events.append(Event(timestamp=change.at, order=order, units=step))
        before = change.units
    return events
