"""Billing periods tile time, whatever they are cut by and wherever the customer lives."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.periods import (
    Bounds,
    day_of,
    period_at,
    period_before,
    period_start,
    start_of_day,
)
from tests.invoicing.zones import ZONES as ALL_ZONES

INTERVALS = ("weekly", "monthly", "quarterly", "semiannual", "yearly")
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(ALL_ZONES).map(ZoneInfo)
CYCLES = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(INTERVALS),
        "billing_time": st.sampled_from(["calendar", "anniversary"]),
        "anchor": MOMENTS,
        "zone": ZONES,
    }
)


@given(at=MOMENTS, cycle=CYCLES)
def test_periods_have_no_gap_and_no_overlap(at: datetime, cycle) -> None:
    bounds = period_at(at, **cycle)
    assert bounds.start <= at < bounds.end
    assert period_start(at, **cycle) == bounds.start
    assert period_at(bounds.start, **cycle) == bounds
    assert period_at(bounds.end - timedelta(microseconds=1), **cycle) == bounds
    assert period_at(bounds.end, **cycle).start == bounds.end
    before = period_before(bounds, **cycle)
    assert before.end == bounds.start


@given(at=MOMENTS, cycle=CYCLES)
def test_periods_begin_at_midnight_where_the_customer_lives(at: datetime, cycle) -> None:
    zone = cycle["zone"]
    start = period_at(at, **cycle).start
    shown = start.astimezone(zone)
    before = (start - timedelta(microseconds=1)).astimezone(zone)
    leaps = shown.utcoffset() != before.utcoffset()
    assert leaps or (shown.hour, shown.minute, shown.second, shown.microsecond) == (0, 0, 0, 0)
    assert day_of(start, zone) > day_of(start - timedelta(microseconds=1), zone)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00+00:00"),  # 00:00 becomes 01:00
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00+00:00"),
        ("America/Havana", "2025-11-02", "2025-11-02T04:00:00+00:00"),  # 00:00 comes twice
        ("America/St_Johns", "2006-10-29", "2006-10-29T02:30:00+00:00"),  # 00:01 becomes 23:01
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00+00:00"),  # 23:30 becomes 00:30
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00+00:00"),  # a day that never was
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00+00:00"),
    ],
)
def test_a_day_begins_at_its_first_moment(zone: str, day: str, start: str) -> None:
    assert start_of_day(date.fromisoformat(day), ZoneInfo(zone)).isoformat() == start


def test_a_clock_that_is_set_back_over_midnight_does_not_bring_yesterday_back() -> None:
    zone = ZoneInfo("America/St_Johns")
    at = datetime(2006, 10, 29, 3, tzinfo=UTC)
    assert at.astimezone(zone).date() == date(2006, 10, 28)
    assert day_of(at, zone) == date(2006, 10, 29)


def test_in_every_zone_every_day_of_fifty_years_begins_where_the_one_before_it_ends() -> None:
    """With the next test: no period of any zone, anchor and interval overlaps or leaves a gap."""
    first = date(2000, 1, 1)
    for name in ALL_ZONES:
        zone = ZoneInfo(name)
        for day in _odd_days(zone, first=first, years=50):
            starts = [start_of_day(day + timedelta(days=more), zone) for more in range(-1, 3)]
            for one, (start, end) in zip(range(-1, 2), pairwise(starts), strict=True):
                assert start <= end
                if start < end:
                    inside = (start, end - timedelta(microseconds=1))
                    assert {day_of(at, zone) for at in inside} == {day + timedelta(days=one)}


def _odd_days(zone: ZoneInfo, *, first: date, years: int) -> list[date]:
    """Days on which a clock changes, found week by week and then day by day, and a few others."""
    noon = datetime(first.year, first.month, first.day, 12, tzinfo=UTC)
    weeks = [noon + timedelta(weeks=week) for week in range(years * 52)]
    offsets = [week.astimezone(zone).utcoffset() for week in weeks]
    found = [week.date() for week in weeks[:: 52 * 5]]
    for (week, before), (_, after) in pairwise(zip(weeks, offsets, strict=True)):
        if before != after:
            days = [week + timedelta(days=day) for day in range(8)]
            found += [
                one.date()
                for one, following in pairwise(days)
                if one.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset()
            ]
    return found


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("billing_time", ["calendar", "anniversary"])
def test_from_every_anchor_the_periods_of_fifty_years_follow_each_other(
    interval: str, billing_time: str
) -> None:
    last = datetime(2050, 1, 1, tzinfo=UTC)
    for number in range(31):
        anchor = datetime(2000, 1, 1, 9, tzinfo=UTC) + timedelta(days=number)
        cycle = {"interval": interval, "billing_time": billing_time, "anchor": anchor}
        bounds = period_at(anchor, **cycle)
        while bounds.end < last:
            assert bounds.start < bounds.end
            following = period_at(bounds.end, **cycle)
            assert following.start == bounds.end
            inside = bounds.end - timedelta(microseconds=1)
            assert period_at(inside, **cycle) == bounds
            bounds = following
        if billing_time == "anniversary" and interval != "weekly":
            longest = period_at(datetime(2049, 12, 31, 23, tzinfo=UTC), **cycle)
            assert longest.start.day in {anchor.day, 28, 29, 30}


@pytest.mark.parametrize(
    ("interval", "billing_time", "start", "end"),
    [
        ("weekly", "calendar", "2026-03-09", "2026-03-16"),
        ("weekly", "anniversary", "2026-03-07", "2026-03-14"),
        ("monthly", "calendar", "2026-03-01", "2026-04-01"),
        ("monthly", "anniversary", "2026-02-28", "2026-03-31"),
        ("quarterly", "calendar", "2026-01-01", "2026-04-01"),
        ("quarterly", "anniversary", "2026-01-31", "2026-04-30"),
        ("semiannual", "calendar", "2026-01-01", "2026-07-01"),
        ("semiannual", "anniversary", "2026-01-31", "2026-07-31"),
        ("yearly", "calendar", "2026-01-01", "2027-01-01"),
        ("yearly", "anniversary", "2026-01-31", "2027-01-31"),
    ],
)
def test_the_period_of_an_ordinary_day(
    interval: str, billing_time: str, start: str, end: str
) -> None:
    bounds = period_at(
        datetime(2026, 3, 10, 12, tzinfo=UTC),
        interval=interval,
        billing_time=billing_time,
        anchor=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    )
    assert [day.date().isoformat() for day in (bounds.start, bounds.end)] == [start, end]


def test_a_month_has_the_hours_of_the_customers_clock() -> None:
    bounds = period_at(
        datetime(2026, 3, 10, tzinfo=UTC),
        interval="monthly",
        billing_time="calendar",
        anchor=datetime(2026, 1, 1, tzinfo=UTC),
        zone=ZoneInfo("Europe/Berlin"),
    )
    assert bounds == Bounds(
        datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)
    )


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("billing_time", ["calendar", "anniversary"])
def test_the_last_day_there_is_has_a_period_too(interval: str, billing_time: str) -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    bounds = period_at(last, interval=interval, billing_time=billing_time, anchor=last)
    assert bounds.start <= last
    assert bounds.end.year == last.year
