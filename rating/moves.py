"""Prorated usage: units that move up and down, each move for the days that are left.

Units that stay (seats, storage) count for the days of the period that they were there. So a period
is a list of moves: what it began with, for all its days, and each event's step, for those left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import reduce

from msgspec import Struct

from rating.charge_models import ChargeModel, Graduated, Percentage, Volume
from rating.charge_models.ranges import Tiers, UnitRange
from rating.events import Event
from rating.exact import EXACT, ONE, ZERO, divided
from rating.period import Period
from rating.proration import unit_days


class Move(Struct, frozen=True):
    """So many units more, or fewer, for so many days of the period."""

    units: Decimal
    days: int


def moves_of_sum(carried: Sequence[Event], events: Sequence[Event], period: Period) -> list[Move]:
    """What is added or taken away counts from its day on, that day included.

    Source: Lago, prorated sum: days left, inclusive, in the customer's zone.
    """
    before = reduce(EXACT.add, (event.units for event in carried), ZERO)
    return [
        *([Move(before, period.days)] if carried else []),
        *(Move(event.units, period.days_left(event.timestamp)) for event in events),
    ]


def moves_of_members(
    carried: Sequence[Event], events: Sequence[Event], period: Period
) -> list[Move]:
    """A member counts from the day it is added to the day it is removed, both included.

    Removed and added again on one day, it was there all the time. Source: Lago, prorated unique
    count.
    """
    members: set[str] = set()
    for event in carried:
        (members.discard if event.removes else members.add)(event.member or "")
    moves: list[Move | None] = [Move(Decimal(len(members)), period.days)] if members else []
    removed: dict[str, tuple[date, int]] = {}  # when, and where its move stands
    for event in events:
        member, day = event.member or "", period.day(event.timestamp)
        if event.removes is (member not in members):
            continue  # added twice, or removed without having been there
        left = period.days_left(event.timestamp)
        if event.removes:
            members.remove(member)
            removed[member] = (day, len(moves))
            moves.append(Move(-ONE, max(left - 1, 0)))  # its last day may be another's
            continue
        members.add(member)
        was_removed, position = removed.pop(member, (None, 0))
        if was_removed == day:
            moves[position] = None
        else:
            moves.append(Move(ONE, left))
    return [move for move in moves if move is not None]


def full_units(moves: Sequence[Move]) -> Decimal:
    """What is there at the end, days apart."""
    return reduce(EXACT.add, (move.units for move in moves), ZERO)


def prorated_units(moves: Sequence[Move], period: Period) -> Decimal:
    """What the moves come to over the billing period, rounded up to five decimals."""
    total = reduce(
        EXACT.add, (EXACT.multiply(move.units, Decimal(move.days)) for move in moves), ZERO
    )
    return unit_days(total, period.whole_days)


def price_moves(
    model: ChargeModel, moves: Sequence[Move], *, units: Decimal, events: int, period: Period
) -> Decimal:
    """What the moves cost; `units` are the prorated ones, rounded as the metric says.

    The range of a volume price is that of the full units. Graduated prices walk: each move fills
    or leaves ranges as if it were for the whole period, and pays them for its days; flat amounts
    are paid in full, up to the highest range that was reached. Source: Lago, prorated charges.
    """
    if not moves:
        return ZERO
    if isinstance(model, Graduated):
        return _walk(model.graduated_ranges, moves, days=period.whole_days)
    if isinstance(model, Volume):
        return model.price_prorated(units, full_units=full_units(moves))
    if isinstance(model, Percentage):
        return model.price_events([units])
    return model.price_total(units=units, events=events)


def _walk(ranges: Sequence[UnitRange], moves: Sequence[Move], *, days: int) -> Decimal:
    without_flats = Tiers.of_grades((tier.to_value, tier.per_unit_amount, ZERO) for tier in ranges)
    level = highest = total = ZERO
    for move in moves:
        before, level = level, EXACT.add(level, move.units)
        highest = max(highest, level)
        step = EXACT.subtract(without_flats.price(level), without_flats.price(before))
        total = EXACT.fma(step, Decimal(move.days), total)
    return EXACT.add(divided(total, Decimal(days)), _flats(ranges, highest))


def _flats(ranges: Sequence[UnitRange], units: Decimal) -> Decimal:
    amount = ZERO
    for tier in ranges:
        amount = EXACT.add(amount, tier.flat_amount)
        if tier.to_value is None or units <= tier.to_value:
            break
    return amount
