"""Windows of budgets: from when to when what was spent counts. Pure; the time comes in.

    none       for ever: nothing that was spent is forgotten
    calendar   the hour, day, week, month or year that it is in a time zone
    rolling    the last so many seconds, at any moment

What is spent is added up by where it *starts*: a calendar window, or a slot of a rolling one, of
which it has sixty. A slot counts whole until all of it has left the window, so the window never
holds more than the limit, wherever its end is put; the price is that what was spent may count for
up to a sixtieth of the window longer.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

__all__ = [
    "EPOCH",
    "SLOTS",
    "Calendar",
    "Rolling",
    "Window",
    "counts",
    "counts_from",
    "ends_at",
    "kept_s",
    "leaves_at",
    "starts_at",
]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Where everything starts that has no window."""

SLOTS: Final = 60

_DAY_S: Final = 86_400
_YEAR_S: Final = 366 * _DAY_S
_MICROSECOND: Final = timedelta(microseconds=1)
_MONTHS: Final = 12
# Nothing of a calendar window counts for longer after its start, however clocks are put back.
_KEPT_S: Final = {
    "hour": 3 * 3600,
    "day": _DAY_S + 7200,
    "week": 7 * _DAY_S + 7200,
    "month": 31 * _DAY_S + 7200,
    "year": _YEAR_S + 7200,
}


class Calendar(
    Struct, frozen=True, tag_field="type", tag="calendar", forbid_unknown_fields=True, kw_only=True
):
    """The hour, day, week (from Monday), month or year that it is in a time zone."""

    interval: Literal["hour", "day", "week", "month", "year"]
    timezone: Annotated[str, Meta(max_length=64)] = "UTC"


class Rolling(
    Struct, frozen=True, tag_field="type", tag="rolling", forbid_unknown_fields=True, kw_only=True
):
    """The last so many seconds: a minute at least, 366 days at most."""

    seconds: Annotated[int, Meta(ge=60, le=_YEAR_S)]


Window: TypeAlias = Calendar | Rolling | None


def starts_at(window: Window, at: datetime) -> datetime:
    """Where something that is spent at this time is counted: its window, or its slot.

    >>> at = datetime(2026, 3, 11, 2, 30, tzinfo=UTC)
    >>> starts_at(Calendar(interval="month", timezone="America/New_York"), at).isoformat()
    '2026-03-01T05:00:00+00:00'
    >>> starts_at(Rolling(seconds=3600), at + timedelta(seconds=90)).isoformat()
    '2026-03-11T02:31:00+00:00'
    """
    if window is None:
        return EPOCH
    if isinstance(window, Rolling):
        passed = (at - EPOCH) // _MICROSECOND
        return EPOCH + timedelta(microseconds=passed - passed % _slot_us(window))
    local = at.astimezone(ZoneInfo(window.timezone))
    if window.interval == "hour":
        # Of an hour that is there twice each is one, so which of them it is (fold) is kept.
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return _day_start(_first_day(window, local))


def ends_at(window: Window, at: datetime) -> datetime | None:
    """When the calendar window of this time is over and the next begins; None for other windows.

    >>> at = datetime(2026, 12, 30, tzinfo=UTC)
    >>> ends_at(Calendar(interval="week"), at).isoformat()
    '2027-01-04T00:00:00+00:00'
    """
    if not isinstance(window, Calendar):
        return None
    if window.interval == "hour":
        begin = starts_at(window, at)
        end = begin + timedelta(hours=1)
        while starts_at(window, end) == begin:  # clocks were put back by half an hour
            end += timedelta(minutes=30)
        return end
    first = _first_day(window, at.astimezone(ZoneInfo(window.timezone)))
    return _day_start(_next_first_day(window.interval, first))


def counts(window: Window, start: datetime, at: datetime) -> bool:
    """Whether what was counted there still counts at this time.

    What is counted after this time counts too: clocks of two batches may be a moment apart.
    """
    if isinstance(window, Rolling):
        return leaves_at(window, start) > at
    return start >= starts_at(window, at)


def counts_from(window: Window, at: datetime) -> datetime:
    """The earliest start of which anything can still count.

    >>> counts_from(Rolling(seconds=60), datetime(2026, 3, 10, 12, tzinfo=UTC)).isoformat()
    '2026-03-10T11:58:59.000001+00:00'
    """
    if isinstance(window, Rolling):
        return at - (leaves_at(window, at) - at) + _MICROSECOND
    return starts_at(window, at)


def leaves_at(window: Rolling, start: datetime) -> datetime:
    """When a slot has left a rolling window entirely."""
    return start + timedelta(microseconds=_slot_us(window)) + timedelta(seconds=window.seconds)


def kept_s(window: Window) -> int | None:
    """For how many seconds after its start anything may count, at most; None: for ever."""
    if window is None:
        return None
    if isinstance(window, Rolling):
        return window.seconds + -(-window.seconds // SLOTS) + 1
    return _KEPT_S[window.interval]


# -- parts -----------------------------------------------------------------------------------------


def _slot_us(window: Rolling) -> int:
    return -(-window.seconds * 1_000_000 // SLOTS)


def _first_day(window: Calendar, local: datetime) -> datetime:
    """Midnight of the first day of a window, by the clock on the wall."""
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match window.interval:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def _next_first_day(interval: str, first: datetime) -> datetime:
    match interval:
        case "day":
            return first + timedelta(days=1)
        case "week":
            return first + timedelta(days=7)
        case "month":
            is_last = first.month == _MONTHS
            return first.replace(year=first.year + is_last, month=1 if is_last else first.month + 1)
        case _:
            return first.replace(year=first.year + 1)


def _day_start(midnight: datetime) -> datetime:
    """A wall clock's midnight as a moment; where there is none, that at which it was skipped."""
    return midnight.astimezone(UTC)
