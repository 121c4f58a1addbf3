"""Billing periods: half-open stretches that tile time, cut by the calendar or from an anchor. Pure.

A period is always computed from the anchor, never from the period before it, so that the 31st comes
back after February. Days begin at midnight where the customer lives, or, where the clock leaps over
midnight, when it does; bounds are UTC.
"""

from calendar import monthrange
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

__all__ = [
    "Bounds",
    "day_of",
    "period_at",
    "period_before",
    "period_start",
    "start_of_day",
    "zone_named",
]

_MONTHS = {"monthly": 1, "quarterly": 3, "semiannual": 6, "yearly": 12}
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Bounds(Struct, frozen=True):
    """One period: from `start` until just before `end`, in UTC."""

    start: datetime
    end: datetime


def zone_named(name: str) -> tzinfo:
    """The clock with this name of the IANA database; UTC, which is most, costs nothing."""
    return UTC if name == "UTC" else ZoneInfo(name)


def period_start(
    at: datetime, *, interval: str, billing_time: str, anchor: datetime, zone: tzinfo = UTC
) -> datetime:
    """When the period began that ``at`` falls in.

    ``interval`` is weekly, monthly, quarterly, semiannual or yearly; ``billing_time`` is
    ``calendar`` (weeks start on Monday) or ``anniversary`` (from the day of ``anchor``, clamped to
    the end of shorter months).

    >>> from datetime import UTC, datetime
    >>> anchor = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    >>> at = datetime(2026, 3, 15, tzinfo=UTC)
    >>> start = period_start(at, interval="monthly", billing_time="calendar", anchor=anchor)
    >>> start.date().isoformat()
    '2026-03-01'
    >>> start = period_start(at, interval="monthly", billing_time="anniversary", anchor=anchor)
    >>> start.date().isoformat()
    '2026-02-28'
    """
    day, anchor_day = day_of(at, zone), day_of(anchor, zone)
    if interval == "weekly":
        return start_of_day(_first_of_week(day, billing_time, anchor_day), zone)
    months = _MONTHS[interval]
    first = _first_month(day, months, billing_time, anchor_day)
    return start_of_day(_day_of(first, billing_time, anchor_day), zone)


def period_at(
    at: datetime, *, interval: str, billing_time: str, anchor: datetime, zone: tzinfo = UTC
) -> Bounds:
    """The period that ``at`` falls in; see `period_start`.

    >>> from datetime import UTC, datetime
    >>> anchor = datetime(2026, 1, 31, tzinfo=UTC)
    >>> at = datetime(2026, 3, 15, tzinfo=UTC)
    >>> bounds = period_at(at, interval="monthly", billing_time="anniversary", anchor=anchor)
    >>> bounds.start.date().isoformat(), bounds.end.date().isoformat()
    ('2026-02-28', '2026-03-31')
    """
    day, anchor_day = day_of(at, zone), day_of(anchor, zone)
    if interval == "weekly":
        first_day = _first_of_week(day, billing_time, anchor_day)
        next_day = first_day + _WEEK if first_day <= date.max - _WEEK else date.max
        return Bounds(start_of_day(first_day, zone), start_of_day(next_day, zone))
    months = _MONTHS[interval]
    first = _first_month(day, months, billing_time, anchor_day)
    return Bounds(
        start_of_day(_day_of(first, billing_time, anchor_day), zone),
        start_of_day(_day_of(first + months, billing_time, anchor_day), zone),
    )


def period_before(
    bounds: Bounds, *, interval: str, billing_time: str, anchor: datetime, zone: tzinfo = UTC
) -> Bounds:
    """The period that ended when this one began."""
    return period_at(
        bounds.start - timedelta(microseconds=1),
        interval=interval,
        billing_time=billing_time,
        anchor=anchor,
        zone=zone,
    )


def day_of(at: datetime, zone: tzinfo = UTC) -> date:
    """The day that a time belongs to: the last one that has begun by then.

    Where a clock is set back over midnight, what it shows a second time belongs to the new day.
    """
    if zone is UTC:
        return at.astimezone(UTC).date()
    try:
        day = at.astimezone(zone).date()
    except OverflowError:  # the first or last hours that there are
        return at.astimezone(UTC).date()
    if day < date.max and start_of_day(day + _DAY, zone) <= at:
        return day + _DAY
    return day


def start_of_day(day: date, zone: tzinfo = UTC) -> datetime:
    """The first moment of a day, in UTC; of one that a zone has skipped, that of the next one."""
    if zone is UTC:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return _start_of_day(day, zone)


@lru_cache(maxsize=8192)
def _start_of_day(day: date, zone: tzinfo) -> datetime:
    midnight = datetime.combine(day, time())
    try:
        start = midnight.replace(tzinfo=zone).astimezone(UTC)
        if start.astimezone(zone).replace(tzinfo=None) == midnight:
            return start
    except OverflowError:
        return midnight.replace(tzinfo=UTC)
    return _leap(midnight, zone, not_after=start)


def _leap(midnight: datetime, zone: tzinfo, *, not_after: datetime) -> datetime:
    """When the clock leaps over a midnight that it never shows."""
    after = midnight.replace(tzinfo=zone, fold=1)  # counted with what the clock shows afterwards
    offset, low, high = after.utcoffset(), after.astimezone(UTC), not_after
    while high - low > _SECOND:
        middle = low + ((high - low) // 2 // _SECOND or 1) * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def _first_of_week(day: date, billing_time: str, anchor_day: date) -> date:
    first_weekday = anchor_day.weekday() if billing_time == "anniversary" else 0
    return day - timedelta(days=(day.weekday() - first_weekday) % 7)


def _first_month(day: date, months: int, billing_time: str, anchor_day: date) -> int:
    """The month in which the period of this day begins, counted from the year 0."""
    month = day.year * 12 + day.month - 1
    if billing_time == "calendar":
        return month // months * months
    anchor_month = anchor_day.year * 12 + anchor_day.month - 1
    first = anchor_month + (month - anchor_month) // months * months
    return first if _day_of(first, billing_time, anchor_day) <= day else first - months


def _day_of(month: int, billing_time: str, anchor_day: date) -> date:
    """On which day of a month a period begins; what would begin after the year 9999 never does."""
    year, month = divmod(month, 12)
    if year > MAXYEAR:
        return date.max
    if billing_time == "calendar":
        return date(year, month + 1, 1)
    return date(year, month + 1, min(anchor_day.day, monthrange(year, month + 1)[1]))
