"""Billing periods tile time, whatever they are cut by and wherever the customer lives."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.periods import Bounds, period_at, period_before, period_start

INTERVALS = ("weekly", "monthly", "quarterly", "semiannual", "yearly")
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"]
).map(ZoneInfo)
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
    start = period_at(at, **cycle).start.astimezone(cycle["zone"])
    assert (start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0)


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
