"""Days: how much of a period was lived, and so what share of its price is paid. Pure."""

from datetime import UTC, timedelta, tzinfo
from fractions import Fraction
from typing import Final

from msgspec import Struct

from invoicing.periods import Bounds, day_of

__all__ = ["Days", "days_of"]

_MOMENT: Final = timedelta(microseconds=1)


class Days(Struct, frozen=True):
    """A part of a period, and how many of the whole period's days it has."""

    part: Bounds
    whole: Bounds
    days: int
    whole_days: int

    @property
    def share(self) -> Fraction:
        """The part of the period's price that its days cost."""
        return Fraction(self.days, self.whole_days)


def days_of(part: Bounds, whole: Bounds, zone: tzinfo = UTC) -> Days | None:
    """A part of a period, counted in days: the first and the last are whole. None if it is empty.

    >>> from datetime import UTC, datetime
    >>> month = Bounds(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    >>> part = Bounds(datetime(2026, 2, 8, 15, tzinfo=UTC), month.end)
    >>> days_of(part, month).share
    Fraction(3, 4)
    """
    if part.start >= part.end:
        return None
    whole_days = _count(whole, zone)
    return Days(part, whole, min(_count(part, zone), whole_days), whole_days)


def _count(bounds: Bounds, zone: tzinfo) -> int:
    first, last = day_of(bounds.start, zone), day_of(bounds.end - _MOMENT, zone)
    return (last - first).days + 1
