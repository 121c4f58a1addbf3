"""Summaries: what many events come to, where their order does not matter.

A summary is all that most prices need of a period, and summaries of parts (hours, days, shards)
merge into that of the whole in any order. So a period of millions of events is priced from a few
stored rows; `rating.period_rating.rate_summaries` says which prices can be.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Final

from msgspec import Struct

from rating.exact import EXACT, ZERO

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Summary(Struct, frozen=True, kw_only=True):
    """The order-free part of many events of one bucket and one price version."""

    events: int = 0
    units: Decimal = ZERO
    """The sum of their units."""
    max_units: Decimal | None = None
    """The greatest units of one event; None if there is none."""
    last_units: Decimal | None = None
    """The units of the last event, by time and then by order; None if there is none."""
    last_at: datetime | None = None
    last_order: int = 0
    moment: Decimal = ZERO
    """The sum of units x microseconds since 1970: when the units came (weighted sum)."""
    precise_amount_cents: Decimal = ZERO
    """The sum of the prices that events themselves name (dynamic model)."""
    corrections: int = 0
    """Events that take away: of negative units, or that remove a member."""


NOTHING: Final = Summary()


def microseconds(at: datetime) -> Decimal:
    """Microseconds from 1970 until this time.

    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    Decimal('86400000000')
    """
    return Decimal((at - _EPOCH) // _MICROSECOND)


def merge_all(summaries: Iterable[Summary]) -> Summary:
    """The summary of all that these stand for."""
    return reduce(merge, summaries, NOTHING)


def merge(one: Summary, other: Summary) -> Summary:
    """The summary of all that two stand for.

    Associative and commutative; NOTHING is its neutral element.

    >>> from decimal import Decimal
    >>> a, b = Summary(events=2, units=Decimal(30)), Summary(events=1, units=Decimal(5))
    >>> merge(a, b).events, merge(a, b).units
    (3, Decimal('35'))
    """
    if one is NOTHING or other is NOTHING:
        return other if one is NOTHING else one
    last = max(one, other, key=_lateness)
    known = [units for units in (one.max_units, other.max_units) if units is not None]
    return Summary(
        events=one.events + other.events,
        units=EXACT.add(one.units, other.units),
        max_units=max(known, default=None),
        last_units=last.last_units,
        last_at=last.last_at,
        last_order=last.last_order,
        moment=EXACT.add(one.moment, other.moment),
        precise_amount_cents=EXACT.add(one.precise_amount_cents, other.precise_amount_cents),
        corrections=one.corrections + other.corrections,
    )


_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def _lateness(summary: Summary) -> tuple[datetime, int, Decimal]:
    """What the last event is found by; of two that came in as one, the greater is the last."""
    return (summary.last_at or _LONG_AGO, summary.last_order, summary.last_units or ZERO)
