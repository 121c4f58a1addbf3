"""Billing periods: half-open stretches that tile time, cut by the calendar or from an anchor. Pure.

A period is always computed from the anchor, never from the period before it, so that the 31st comes
back after February. Times are UTC.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

__all__ = ["period_start"]

_MONTHS = {"monthly": 1, "quarterly": 3, "semiannual": 6, "yearly": 12}


def period_start(at: datetime, *, interval: str, billing_time: str, anchor: datetime) -> datetime:
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
    at = at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    anchor_day = anchor.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "weekly":
        first_weekday = anchor_day.weekday() if billing_time == "anniversary" else 0
        return midnight - timedelta(days=(midnight.weekday() - first_weekday) % 7)
    months = _MONTHS[interval]
    if billing_time == "calendar":
        month = (at.month - 1) // months * months + 1
        return midnight.replace(month=month, day=1)
    passed = (at.year - anchor_day.year) * 12 + at.month - anchor_day.month
    periods = passed // months
    start = _months_later(anchor_day, periods * months)
    return start if start <= at else _months_later(anchor_day, (periods - 1) * months)


def _months_later(anchor: datetime, months: int) -> datetime:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    day = min(anchor.day, monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)
