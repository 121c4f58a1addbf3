"""Ranges of units with prices of their own: what graduated and volume prices are made of.

Ranges begin at 0, follow each other without a gap, and end with an open one (`to_value` null).
They are written in one of two forms:

- classic, in whole units: 0-10, 11-20, 21 and more. Each begins one after the end of the one
  before. What lies between two (10.5 units) belongs to the later one.
- adjacent: 0-0.1, 0.1-1, 1 and more. Each begins where the one before ends. Only graduated prices
  take it: where one range prices all units, the bound would belong to two.

So in either form a range begins right above the end of the one before, and the units in it are
`min(units, to_value) - end of the one before`. Mixed forms are refused: they cannot be read
without counting the unit at the bound twice. Source: Lago, graduated and volume charge models.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, cast

from msgspec import Struct

from rating.errors import InvalidModel
from rating.exact import EXACT, ONE, ZERO
from rating.quantities import price, range_bound

RANGES_MAX: Final = 100


class UnitRange(Struct, frozen=True, kw_only=True):
    """A range with a price per unit, and a flat one for having reached it."""

    from_value: Decimal
    to_value: Decimal | None
    """None: open, the last range."""
    per_unit_amount: Decimal
    flat_amount: Decimal


class RateRange(Struct, frozen=True, kw_only=True):
    """A range with a rate in percent, and a flat amount for having reached it."""

    from_value: Decimal
    to_value: Decimal | None
    """None: open, the last range."""
    rate: Decimal
    flat_amount: Decimal


class Tiers:
    """Prices of ranges, compiled: within each, a price is `units x slope + intercept`.

    Finding the range of a quantity takes a binary search, pricing it one multiplication.
    """

    __slots__ = ("_intercepts", "_slopes", "tops")

    def __init__(
        self, tops: Iterable[Decimal | None], lines: Iterable[tuple[Decimal, Decimal]]
    ) -> None:
        """Per range where it ends, and its slope and intercept."""
        self.tops = [top for top in tops if top is not None]
        self._slopes, self._intercepts = zip(*lines, strict=True)

    @classmethod
    def of_volumes(cls, ranges: Sequence[UnitRange]) -> Tiers:
        """One range prices all units."""
        return cls(
            (tier.to_value for tier in ranges),
            ((tier.per_unit_amount, tier.flat_amount) for tier in ranges),
        )

    @classmethod
    def of_grades(cls, grades: Iterable[tuple[Decimal | None, Decimal, Decimal]]) -> Tiers:
        """Each range prices the units within it: (end, price per unit, flat amount) per range.

        The intercept is what all ranges before cost, less what their units would at this slope.
        """
        tops: list[Decimal | None] = []
        lines: list[tuple[Decimal, Decimal]] = []
        intercept = start = slope_before = ZERO
        for top, slope, flat in grades:
            less = EXACT.multiply(start, EXACT.subtract(slope_before, slope))
            intercept = EXACT.add(EXACT.add(intercept, less), flat)
            tops.append(top)
            lines.append((slope, intercept))
            slope_before, start = slope, top or ZERO
        return cls(tops, lines)

    def price(self, units: Decimal) -> Decimal:
        """The price of so many units, in the range that holds them; nothing below zero."""
        return self.price_as(units, units)

    def price_as(self, units: Decimal, full_units: Decimal) -> Decimal:
        """The price of so many units in the range that holds `full_units`."""
        if units < 0:
            return ZERO
        tier = bisect_left(self.tops, full_units)
        return EXACT.fma(units, self._slopes[tier], self._intercepts[tier])


def read_ranges(
    properties: Mapping[str, object], field: str, *, reason: str, may_touch: bool
) -> list[tuple[Decimal, Decimal | None, Mapping[str, object]]]:
    """Where each range begins and ends, and the rest of its settings.

    `may_touch` takes the adjacent form too. Raises InvalidModel with this field and reason.
    """
    given = properties.get(field)
    if not isinstance(given, list | tuple):
        raise InvalidModel(field, reason)
    entries = cast("Sequence[object]", given)
    if not 0 < len(entries) <= RANGES_MAX:
        raise InvalidModel(field, reason)
    ranges: list[tuple[Decimal, Decimal | None, Mapping[str, object]]] = []
    steps: list[Decimal] = []
    reached = ZERO
    for left, entry in zip(range(len(entries) - 1, -1, -1), entries, strict=True):
        if not isinstance(entry, Mapping):
            raise InvalidModel(field, reason)
        settings = cast("Mapping[str, object]", entry)
        begin = range_bound(settings.get("from_value"), field=field, reason=reason)
        steps.append(EXACT.subtract(begin, reached))
        end = settings.get("to_value")
        if (end is None) is not (left == 0):  # the last range is open, and no other
            raise InvalidModel(field, reason)
        if end is None:
            ranges.append((begin, None, settings))
            break
        before, reached = reached, range_bound(end, field=field, reason=reason)
        if reached <= before:
            raise InvalidModel(field, reason)
        ranges.append((begin, reached, settings))
    _check_steps(steps, [top for _, top, _ in ranges], field, reason, may_touch=may_touch)
    return ranges


def _check_steps(
    steps: Sequence[Decimal],
    tops: Sequence[Decimal | None],
    field: str,
    reason: str,
    *,
    may_touch: bool,
) -> None:
    """All ranges begin one after the one before, in whole units, or all where it ends."""
    first, *others = steps
    is_classic = all(step == ONE for step in others) and all(
        top is None or top == top.to_integral_value() for top in tops
    )
    is_adjacent = may_touch and not any(others)
    if first or not (is_classic or is_adjacent):
        raise InvalidModel(field, reason)


def read_unit_ranges(
    properties: Mapping[str, object], field: str, *, reason: str, may_touch: bool
) -> tuple[UnitRange, ...]:
    """Ranges with a price per unit, or InvalidModel."""
    return tuple(
        UnitRange(
            from_value=begin,
            to_value=end,
            per_unit_amount=price(settings.get("per_unit_amount"), field="per_unit_amount"),
            flat_amount=price(settings.get("flat_amount"), field="flat_amount"),
        )
        for begin, end, settings in read_ranges(
            properties, field, reason=reason, may_touch=may_touch
        )
    )
