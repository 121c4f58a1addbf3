"""Summaries of events merge in any order into that of them all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rating import NOTHING, Event, merge, merge_all, summarize
from tests.rating.metering import added, removed, used

EVENTS = st.lists(
    st.builds(
        Event,
        timestamp=st.datetimes(
            datetime(1969, 12, 31), datetime(2100, 1, 1), timezones=st.just(UTC)
        ),
        order=st.integers(0, 3),
        units=st.decimals(-(10**30), 10**30, places=18, allow_nan=False, allow_infinity=False),
        removes=st.booleans(),
        precise_amount_cents=st.none() | st.decimals(0, 10**18, places=18, allow_nan=False),
    ),
    max_size=8,
)


@given(EVENTS, st.data())
def test_parts_merge_into_the_whole_however_they_are_cut_and_ordered(
    events: list[Event], data: st.DataObject
) -> None:
    whole = summarize(events)
    shuffled = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    one, other = summarize(shuffled[:cut]), summarize(shuffled[cut:])
    assert merge(one, other) == merge(other, one) == summarize(shuffled) == whole


@given(EVENTS, EVENTS, EVENTS)
def test_it_does_not_matter_which_parts_are_merged_first(
    one: list[Event], two: list[Event], three: list[Event]
) -> None:
    a, b, c = summarize(one), summarize(two), summarize(three)
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == merge_all([c, a, b])
    assert merge(a, NOTHING) == merge(NOTHING, a) == a


def test_a_summary_tells_what_the_events_come_to() -> None:
    summary = summarize(
        [
            used("1970-01-01T00:00:01", "2.5", order=1),
            used("1970-01-02", -4, order=1, precise_amount_cents=Decimal("10.1")),
            used("1970-01-02", 3, order=2, precise_amount_cents=Decimal("0.9")),
            used("1970-01-01T12:00", 1),
        ]
    )
    assert (summary.events, summary.units, summary.max_units) == (4, Decimal("2.5"), 3)
    assert (summary.last_units, summary.last_order) == (3, 2)
    assert summary.last_at == datetime(1970, 1, 2, tzinfo=UTC)
    assert summary.moment == 2_500_000 + (3 - 4) * 86_400_000_000 + 43_200_000_000
    assert (summary.precise_amount_cents, summary.corrections) == (11, 1)


def test_members_that_are_removed_are_corrections() -> None:
    assert summarize([added("2024-06-01", "ada"), removed("2024-06-02", "ada")]).corrections == 1
