"""Windows of budgets: calendar ones tile time in every zone, rolling ones never hold too much."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_service.decision.budget_windows import (
    EPOCH,
    SLOTS,
    Calendar,
    Rolling,
    counts,
    ends_at,
    kept_s,
    leaves_at,
    starts_at,
)

ZONES = sorted(zoneinfo.available_timezones())
INTERVALS = ("hour", "day", "week", "month", "year")

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
calendars = st.builds(
    Calendar, interval=st.sampled_from(INTERVALS), timezone=st.sampled_from(ZONES)
)
rollings = st.builds(Rolling, seconds=st.integers(60, 366 * 86_400))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def window(interval: str, zone: str, moment: str) -> tuple[datetime, datetime]:
    terms = Calendar(interval=interval, timezone=zone)
    end = ends_at(terms, at(moment))
    assert end is not None
    return starts_at(terms, at(moment)), end


@pytest.mark.parametrize(
    ("interval", "zone", "moment", "begin", "end"),
    [
        ("hour", "UTC", "2026-03-10T12:34:56Z", "2026-03-10T12:00Z", "2026-03-10T13:00Z"),
        ("hour", "Asia/Kolkata", "2026-03-10T12:34Z", "2026-03-10T12:30Z", "2026-03-10T13:30Z"),
        ("day", "Asia/Tokyo", "2026-03-10T14:59Z", "2026-03-09T15:00Z", "2026-03-10T15:00Z"),
        ("day", "Asia/Tokyo", "2026-03-10T15:00Z", "2026-03-10T15:00Z", "2026-03-11T15:00Z"),
        ("week", "UTC", "2026-03-15T23:59Z", "2026-03-09T00:00Z", "2026-03-16T00:00Z"),
        ("month", "UTC", "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        (
            "month",
            "America/New_York",
            "2026-03-01T04:59Z",
            "2026-02-01T05:00Z",
            "2026-03-01T05:00Z",
        ),
        ("year", "UTC", "2028-02-29T12:00Z", "2028-01-01T00:00Z", "2029-01-01T00:00Z"),
        # Clocks go forward: the day has 23 hours, and 2 o'clock does not exist.
        ("day", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("hour", "Europe/Berlin", "2026-03-29T00:59Z", "2026-03-29T00:00Z", "2026-03-29T01:00Z"),
        # Clocks go back: the day has 25 hours, and 2 o'clock is there twice.
        ("day", "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("hour", "Europe/Berlin", "2026-10-25T00:30Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"),
        # Midnight itself is skipped.
        ("day", "Africa/Cairo", "2026-04-24T12:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        # By half an hour only: one hour is an hour and a half long.
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-04-04T15:15Z",
            "2026-04-04T14:00Z",
            "2026-04-04T15:30Z",
        ),
    ],
)
def test_a_calendar_window_is_that_of_the_clock_on_the_wall(interval, zone, moment, begin, end):
    assert window(interval, zone, moment) == (at(begin), at(end))


@given(calendars, moments)
def test_calendar_windows_tile_time_in_every_zone(terms: Calendar, moment: datetime):
    begin, end = starts_at(terms, moment), ends_at(terms, moment)
    assert begin <= moment < end
    assert starts_at(terms, begin) == begin
    assert ends_at(terms, begin) == end
    assert starts_at(terms, end) == end
    last = end - timedelta(microseconds=1)
    assert starts_at(terms, last) == begin
    assert counts(terms, begin, last)
    assert not counts(terms, begin, end)
    assert end - begin <= timedelta(seconds=kept_s(terms))


@given(rollings, moments)
def test_slots_tile_time_and_leave_one_by_one(terms: Rolling, moment: datetime):
    begin = starts_at(terms, moment)
    left = leaves_at(terms, begin)
    slot = left - begin - timedelta(seconds=terms.seconds)
    assert begin <= moment < begin + slot
    assert starts_at(terms, begin + slot) == begin + slot
    assert (
        timedelta(0)
        <= slot * SLOTS - timedelta(seconds=terms.seconds)
        < timedelta(microseconds=SLOTS)
    )
    assert counts(terms, begin, left - timedelta(microseconds=1))
    assert not counts(terms, begin, left)
    assert left - begin <= timedelta(seconds=kept_s(terms))


@given(rollings, st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60)), max_size=40))
def test_no_rolling_window_ever_holds_more_than_what_was_allowed(
    terms: Rolling, spending: list[tuple[float, int]]
):
    """Whoever spends only what counts as free stays within the limit of every window there is."""
    limit = 100
    spent: list[tuple[datetime, int]] = []
    moment = at("2026-03-10T12:00Z")
    span = timedelta(seconds=terms.seconds)
    for pause, amount in spending:
        moment += timedelta(microseconds=int(pause * terms.seconds * 1_000_000 / 8))
        counted = sum(one for when, one in spent if counts(terms, starts_at(terms, when), moment))
        if counted + amount <= limit:
            spent.append((moment, amount))
    for end, _ in spent:
        assert sum(one for when, one in spent if end - span < when <= end) <= limit


def test_without_a_window_nothing_is_forgotten():
    moment = at("2026-03-10T12:00Z")
    assert starts_at(None, moment) == EPOCH
    assert counts(None, EPOCH, moment)
    assert ends_at(None, moment) is None
    assert kept_s(None) is None
