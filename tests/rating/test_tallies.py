"""Usage counted event by event is the summary of all of it, in whatever order it comes."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rating import NOTHING, merge_all, summarize
from rating.events import Event
from rating.tallies import Members, Tally
from tests.rating.metering import added, at, removed
from tests.rating.strategies import decimals_between

events = st.lists(
    st.builds(
        Event,
        timestamp=st.integers(0, 100).map(lambda hours: at("2026-06-01") + timedelta(hours=hours)),
        order=st.integers(0, 10**6),
        units=decimals_between(-50, 50, places=3),
        precise_amount_cents=st.none() | decimals_between(0, 50, places=2),
        removes=st.booleans(),
        member=st.none() | st.sampled_from("abc"),
    ),
    max_size=20,
    unique_by=lambda event: event.order,
)


@given(events)
def test_a_tally_is_what_the_summaries_of_its_events_merge_into(given_events):
    tally = Tally()
    for event in given_events:
        tally.add(event)
    alone = [summarize([event]) for event in given_events]
    assert tally.summary() == summarize(given_events) == merge_all(alone)


def test_of_two_events_that_came_in_as_one_the_greater_is_the_last():
    three, five = (Event(timestamp=at("2026-06-01"), units=Decimal(units)) for units in (3, 5))
    for both in ((three, five), (five, three)):
        summary = summarize(both)
        assert summary.last_units == 5
        assert summary == merge_all(summarize([event]) for event in both)


def test_a_tally_of_nothing_is_nothing():
    assert Tally().summary() == NOTHING


@given(events, st.integers(0, 20), st.randoms())
def test_members_are_those_last_added_however_they_were_counted(given_events, cut, random):
    ordered = sorted(given_events, key=lambda event: (event.timestamp, event.order))
    there: set[str] = set()
    for event in ordered:
        if event.member is not None:
            (there.discard if event.removes else there.add)(event.member)
    random.shuffle(ordered)
    members, others = Members(), Members()
    for position, event in enumerate(ordered):
        (members if position < cut else others).add(event)
    members.merge(others)
    assert len(members) == len(there)


def test_a_member_that_was_removed_can_come_back():
    members = Members()
    for event in (
        added("2026-06-01", "ada"),
        removed("2026-06-03", "ada"),
        added("2026-06-02", "bob"),
    ):
        members.add(event)
    assert len(members) == 1
    members.add(added("2026-06-04", "ada"))
    assert len(members) == 2
