"""How far each event moves the units of its period, in the order in which events count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Final, TypeAlias

from rating.aggregations import Aggregation
from rating.events import Event
from rating.exact import EXACT, ONE, ZERO

Steps: TypeAlias = tuple[Decimal, list[Decimal]]
"""The units that were there before, and how far each event moves them."""

_Stepper: TypeAlias = Callable[[Sequence[Event], Sequence[Event]], Steps]


def steps_of(aggregation: Aggregation, carried: Sequence[Event], events: Sequence[Event]) -> Steps:
    """The units carried into the period, and the step of each of its events; both in order.

    Steps and what was carried add up to the units of the period, except of a weighted sum, where
    they add up to what is there at its end.
    """
    return _STEPPERS[aggregation](carried, events)


def _sum(carried: Sequence[Event], events: Sequence[Event]) -> Steps:
    before = reduce(EXACT.add, (event.units for event in carried), ZERO)
    return before, [event.units for event in events]


def _max(_carried: Sequence[Event], events: Sequence[Event]) -> Steps:
    """The greatest units so far; nothing if there is none above zero."""
    steps: list[Decimal] = []
    greatest = ZERO
    for event in events:
        steps.append(max(EXACT.subtract(event.units, greatest), ZERO))
        greatest = max(greatest, event.units)
    return ZERO, steps


def _latest(_carried: Sequence[Event], events: Sequence[Event]) -> Steps:
    """The last event's units, known when the period has ended; nothing if they are below zero."""
    return ZERO, [*(ZERO for _ in events[:-1]), *(max(event.units, ZERO) for event in events[-1:])]


def _unique_count(carried: Sequence[Event], events: Sequence[Event]) -> Steps:
    """A member is one unit from when it is added until it is removed.

    Adding it twice, or removing what is not there, moves nothing. Source: Lago, unique count.
    """
    members: set[str] = set()
    before = reduce(EXACT.add, [_moved(members, event) for event in carried], ZERO)
    return before, [_moved(members, event) for event in events]


def _moved(members: set[str], event: Event) -> Decimal:
    member = event.member or ""
    if event.removes:
        if member not in members:
            return ZERO
        members.remove(member)
        return -ONE
    if member in members:
        return ZERO
    members.add(member)
    return ONE


_STEPPERS: Final[Mapping[Aggregation, _Stepper]] = {
    "count_agg": _sum,
    "sum_agg": _sum,
    "max_agg": _max,
    "latest_agg": _latest,
    "unique_count_agg": _unique_count,
    "weighted_sum_agg": _sum,
}
