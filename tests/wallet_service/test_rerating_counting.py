"""Usage that is counted in any order, without keeping its events, costs what its events cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.usage_rollups import UsageKey
from rating.events import Event
from rating.period_rating import rate_events
from rating.terms import Price, Terms
from tests.rating import strategies
from tests.rating.metering import at
from wallet_service.rerating.counting import BEFORE, Bucket, CountedUsage, Periods, Stretch
from wallet_service.usage_reports import UsageSubscription

KEY = UsageKey(UUID(int=1), None, "", "USD")
CHARGE: Any = None  # counting passes it on
VERSIONS = UUID(int=2), UUID(int=3)


def subscription(**more: Any) -> UsageSubscription:
    fields = {
        "id": UUID(int=9),
        "external_id": "acme",
        "plan_id": UUID(int=8),
        "billing_time": "calendar",
        "subscription_at": at("2026-01-01"),
        "started_at": at("2026-01-01"),
        "terminated_at": None,
        "interval": "monthly",
        "currency": "USD",
    }
    return UsageSubscription(**fields | more)


def days(periods: Periods) -> list[tuple[str, str, int, int]]:
    """Start and end, the days that were lived of it, and those of the whole."""
    return [
        (
            f"{stretch.start:%m-%d}",
            f"{stretch.end:%m-%d}",
            stretch.period.days,
            stretch.period.whole_days,
        )
        for stretch in periods
    ]


def test_periods_are_cut_to_the_times_that_are_looked_at():
    cut = Periods(subscription(), start=at("2026-06-11"), end=at("2026-08-02"))
    assert days(cut) == [
        ("06-11", "07-01", 20, 30),
        ("07-01", "08-01", 31, 31),
        ("08-01", "08-02", 1, 31),
    ]


def test_only_what_the_subscription_lived_counts_days():
    short = subscription(started_at=at("2026-06-21"), terminated_at=at("2026-07-10T12:00"))
    cut = Periods(short, start=at("2026-01-01"), end=at("2027-01-01"))
    assert days(cut) == [("06-01", "07-01", 10, 30), ("07-01", "08-01", 10, 31)]


def test_usage_of_another_time_has_a_period_too():
    late = Periods(
        subscription(started_at=at("2026-06-21")), start=at("2026-03-05"), end=at("2026-07-01")
    )
    assert late.start_of(at("2026-03-09")) == at("2026-03-05")
    assert late.start_of(at("2026-06-30")) == at("2026-06-01")
    assert late.start_of(at("2026-03-04")) == BEFORE
    assert days(late) == [("03-05", "04-01", 27, 31), ("06-01", "07-01", 10, 30)]


@given(
    st.sampled_from(["weekly", "monthly", "quarterly", "yearly"]),
    st.sampled_from(["calendar", "anniversary"]),
    st.integers(0, 800),
    st.integers(1, 900),
)
def test_periods_tile_the_times(interval, billing_time, begins, length):
    agreed = subscription(interval=interval, billing_time=billing_time)
    start = at("2026-01-01") + timedelta(days=begins)
    end = start + timedelta(days=length, hours=5)
    stretches = list(Periods(agreed, start=start, end=end))
    assert (stretches[0].start, stretches[-1].end) == (start, end)
    assert all(one.end == next_one.start for one, next_one in pairwise(stretches))


events = st.lists(
    st.builds(
        Event,
        timestamp=st.integers(0, 24 * 120).map(
            lambda hours: datetime(2026, 4, 20, tzinfo=UTC) + timedelta(hours=hours)
        ),
        order=st.integers(0, 10**6),
        units=strategies.decimals_between(-20, 60, places=2),
        member=st.sampled_from("abc"),
        removes=st.booleans(),
        plan_version_id=st.sampled_from(VERSIONS),
    ),
    max_size=12,
    unique_by=lambda event: event.order,
)


@pytest.mark.parametrize(
    "aggregation",
    ["count_agg", "sum_agg", "max_agg", "latest_agg", "unique_count_agg", "weighted_sum_agg"],
)
@given(
    given_events=events,
    models=st.lists(strategies.running, min_size=2, max_size=2),
    recurring=st.booleans(),
)
def test_each_period_costs_what_its_events_cost(aggregation, given_events, models, recurring):
    terms = Terms(
        aggregation=aggregation,
        prices=tuple(Price(*pair) for pair in zip(VERSIONS, models, strict=True)),
        recurring=recurring,
    )

    def priced_by(key: UsageKey, _: set[UUID | None], stretch: Stretch) -> Bucket:
        return Bucket(key=key, charge=CHARGE, terms=terms, stretch=stretch)

    counted = CountedUsage(Periods(subscription(), start=at("2026-05-01"), end=at("2026-09-01")))
    for event in given_events:
        if recurring or event.timestamp >= at("2026-05-01"):
            counted.add("usage", [(KEY, event)])
    rated = {bucket.stretch.start: usage for bucket, usage in counted.rate(priced_by)}
    for stretch in counted.periods:
        since = datetime.min.replace(tzinfo=UTC) if recurring else stretch.start
        is_used = any(since <= event.timestamp < stretch.end for event in given_events)
        assert (stretch.start in rated) is is_used
        if not is_used:
            continue
        expected = rate_events(terms, given_events, stretch.period)
        usage = rated[stretch.start]
        if usage is None:
            assert not terms.is_summable(corrections=0, versions=1)
        else:
            assert usage.amount == expected.amount
            assert usage.units == expected.units


def test_nothing_used_is_nothing_to_price():
    counted = CountedUsage(Periods(subscription(), start=at("2026-05-01"), end=at("2026-09-01")))
    assert list(counted.rate(lambda *_: None)) == []
    assert counted.versions == set()
    counted.add("usage", [(KEY, Event(timestamp=at("2026-05-02"), units=Decimal(1)))])
    assert list(counted.rate(lambda *_: None)) == []
