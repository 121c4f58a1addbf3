"""What holds for every period, whatever its events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Inexact
from fractions import Fraction
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rating import (
    ChargeModel,
    Event,
    Period,
    Summary,
    rate_begun,
    rate_events,
    rate_summaries,
    summarize,
)
from rating.charge_models import Percentage, read_model
from rating.events import in_order
from rating.exact import EXACT
from tests.rating.metering import graduated, period, standard, terms, volume

FEWER = settings(max_examples=40)
"""For what runs once per aggregation."""

PARIS = ZoneInfo("Europe/Paris")
JUNE = period("2024-06-01", "2024-07-01")
MARCH = period("2024-02-29T23:00", "2024-03-31T22:00", zone=PARIS)  # clocks go forward on the 31st
AGGREGATIONS = (
    "count_agg",
    "sum_agg",
    "max_agg",
    "latest_agg",
    "unique_count_agg",
    "weighted_sum_agg",
)
BY_UNITS = [
    standard("1.25"),
    graduated((0, 5, "0.7", 1), (6, 20, "0.5", 2), (21, None, "0.1", 0)),
    volume((0, 10, 2, 0), (11, None, 1, 3)),
    read_model("package", {"amount": "3", "package_size": 4, "free_units": 2}),
    read_model("percentage", {"rate": "2.5", "fixed_amount": "0.1"}),
    read_model(
        "graduated_percentage",
        {
            "graduated_percentage_ranges": [
                {"from_value": 0, "to_value": 5, "rate": "20", "flat_amount": "1"},
                {"from_value": 6, "to_value": None, "rate": "3", "flat_amount": "2"},
            ]
        },
    ),
]
BY_EVENTS = [
    read_model("percentage", {"rate": "2.5", "fixed_amount": "0.1", "free_units_per_events": 2}),
    read_model(
        "percentage", {"rate": "2.5", "free_units_per_total_aggregation": "30", "fixed_amount": "1"}
    ),
    read_model("percentage", {"rate": "2.5", "per_transaction_min_amount": "0.2"}),
]
DYNAMIC = read_model("dynamic", {})
MODELS = [*BY_UNITS, *BY_EVENTS]


@st.composite
def events_of(
    draw: st.DrawFn, *, aggregation: str = "sum_agg", versions: int = 1, within: Period = JUNE
) -> list[Event]:
    """Events around a period, some at the same instant; newer versions come later."""
    hours = draw(st.lists(st.integers(-100, 24 * 33), max_size=10).map(sorted))
    numbers = sorted(draw(st.integers(1, versions)) for _ in hours)
    counts = aggregation in {"count_agg", "unique_count_agg"}
    units = st.just(Decimal(1)) if counts else st.decimals(-20, 40, places=2, allow_nan=False)
    return [
        Event(
            timestamp=within.start + timedelta(hours=hour),
            order=order,
            units=draw(units),
            member=draw(st.sampled_from("abc")),
            removes=aggregation == "unique_count_agg" and draw(st.booleans()),
            precise_amount_cents=draw(st.none() | st.decimals(-9, 99, places=1, allow_nan=False)),
            plan_version_id=UUID(int=number),
        )
        for order, (hour, number) in enumerate(zip(hours, numbers, strict=True))
    ]


OPTIONS = st.fixed_dictionaries(
    {
        "recurring": st.booleans(),
        "pay_in_advance": st.booleans(),
        "rounding_function": st.sampled_from([None, "round", "ceil", "floor"]),
        "rounding_precision": st.sampled_from([0, 1, -1]),
    }
)


def summaries_of(
    events: Iterable[Event], period: Period
) -> tuple[dict[UUID | None, Summary], Summary]:
    """What a store of summaries keeps: those of the period by version, and what came before."""
    by_version: dict[UUID | None, list[Event]] = {}
    for event in events:
        if period.holds(event.timestamp):
            by_version.setdefault(event.plan_version_id, []).append(event)
    before = [event for event in events if event.timestamp < period.start]
    return {version: summarize(them) for version, them in by_version.items()}, summarize(before)


def members_of(events: Iterable[Event], period: Period, *, recurring: bool) -> int:
    """How many members are there at the end, by the last thing that was said of each."""
    here: dict[str | None, bool] = {}
    for event in in_order(events):
        if event.timestamp < period.end and (recurring or event.timestamp >= period.start):
            here[event.member] = not event.removes
    return sum(here.values())


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@FEWER
@given(data=st.data(), options=OPTIONS)
def test_summaries_say_the_same_as_events(
    aggregation: Any, data: st.DataObject, options: dict[str, Any]
) -> None:
    models = BY_UNITS + [DYNAMIC] * (aggregation == "sum_agg")
    priced = data.draw(st.lists(st.sampled_from(models), min_size=2, max_size=2))
    agreed = terms(aggregation, *priced, **options)
    events = data.draw(events_of(aggregation=aggregation, versions=2))
    by_version, before = summaries_of(events, JUNE)
    corrections = sum(summary.corrections for summary in by_version.values())
    corrections += before.corrections * agreed.recurring
    if not agreed.is_summable(corrections=corrections, versions=len(by_version)):
        return
    members = members_of(events, JUNE, recurring=agreed.recurring)
    summed = rate_summaries(agreed, by_version, JUNE, carried=before, members=members)
    assert summed == rate_events(agreed, events, JUNE)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@FEWER
@given(model=st.sampled_from(MODELS), data=st.data(), options=OPTIONS, prorated=st.booleans())
def test_the_order_in_which_events_are_given_does_not_matter_and_nothing_is_below_zero(
    aggregation: Any,
    model: ChargeModel,
    data: st.DataObject,
    options: dict[str, Any],
    prorated: bool,
) -> None:
    agreed = terms(aggregation, model, prorated=prorated, **options)
    events = data.draw(events_of(aggregation=aggregation))
    usage = rate_events(agreed, events, JUNE)
    assert usage == rate_events(agreed, data.draw(st.permutations(events)), JUNE)
    assert usage.amount >= 0
    assert usage.units >= 0
    assert usage.events == sum(JUNE.holds(event.timestamp) for event in events)


@pytest.mark.parametrize("aggregation", ["count_agg", "sum_agg", "max_agg", "weighted_sum_agg"])
@FEWER
@given(model=st.sampled_from(BY_UNITS), data=st.data(), recurring=st.booleans())
def test_events_of_one_instant_may_come_in_in_any_order(
    aggregation: Any, model: ChargeModel, data: st.DataObject, recurring: bool
) -> None:
    agreed = terms(aggregation, model, recurring=recurring)
    events = data.draw(events_of(aggregation=aggregation))
    assert rate_events(agreed, events, JUNE) == rate_events(agreed, reordered(events, data), JUNE)


@given(data=st.data())
def test_prorated_events_of_one_instant_may_come_in_in_any_order(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from([standard("1.25"), volume((0, 10, 2, 0), (11, None, 1, 3))]))
    agreed = terms("sum_agg", model, recurring=True, prorated=True)
    events = data.draw(events_of())
    assert rate_events(agreed, events, JUNE) == rate_events(agreed, reordered(events, data), JUNE)


def reordered(events: list[Event], data: st.DataObject) -> list[Event]:
    """The same events, but those of one instant came in in another order."""
    again: list[Event] = []
    for _, group in groupby(events, key=lambda event: event.timestamp):
        together = list(group)
        for order, event in enumerate(data.draw(st.permutations(together))):
            again.append(structs.replace(event, order=order))
    return again


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@FEWER
@given(model=st.sampled_from(MODELS), data=st.data(), options=OPTIONS)
def test_a_new_version_with_the_same_price_changes_nothing(
    aggregation: Any, model: ChargeModel, data: st.DataObject, options: dict[str, Any]
) -> None:
    events = data.draw(events_of(aggregation=aggregation, versions=3))
    once = rate_events(terms(aggregation, model, **options), events, JUNE)
    assert rate_events(terms(aggregation, model, model, model, **options), events, JUNE) == once


# -- against the definitions, done the slow way


@given(data=st.data(), recurring=st.booleans())
def test_a_weighted_sum_is_the_area_under_the_level(data: st.DataObject, recurring: bool) -> None:
    events = data.draw(events_of())
    usage = rate_events(terms("weighted_sum_agg", standard(), recurring=recurring), events, JUNE)
    counted = [event for event in in_order(events) if event.timestamp < JUNE.end]
    if not recurring:
        counted = [event for event in counted if event.timestamp >= JUNE.start]
    area, level, since = Fraction(0), Fraction(0), JUNE.start
    for event in counted:
        until = max(event.timestamp, JUNE.start)
        area += level * Fraction((until - since).total_seconds())
        level, since = level + Fraction(event.units), until
    area += level * Fraction((JUNE.end - since).total_seconds())
    exact = max(area / (30 * 86_400), 0)
    assert 0 <= Fraction(usage.units) - exact < Fraction(1, 10**20)
    assert Fraction(usage.total_units) == level


def days_of(within: Period) -> list[datetime]:
    """Each day of the period as the customer counts them, by its last instant."""
    first = datetime.combine(within.first_day, datetime.min.time(), within.zone)
    return [
        (first + timedelta(days=number + 1)).astimezone(UTC) - timedelta(microseconds=1)
        for number in range(within.days)
    ]


@pytest.mark.parametrize("within", [JUNE, MARCH], ids=["June", "March in Paris"])
@given(data=st.data())
def test_a_prorated_sum_is_the_level_at_the_end_of_each_day(
    within: Period, data: st.DataObject
) -> None:
    events = data.draw(events_of(within=within))
    agreed = terms("sum_agg", standard(), recurring=True, prorated=True)
    usage = rate_events(agreed, events, within)
    levels = [
        sum(
            Fraction(event.units)
            for event in events
            if event.timestamp <= day and event.timestamp < within.end
        )
        for day in days_of(within)
    ]
    exact = max(sum(levels, Fraction(0)) / within.days, 0)
    assert 0 <= Fraction(usage.units) - exact < Fraction(1, 10**5)


@pytest.mark.parametrize("within", [JUNE, MARCH], ids=["June", "March in Paris"])
@given(data=st.data())
def test_a_prorated_unique_count_is_the_members_of_each_day(
    within: Period, data: st.DataObject
) -> None:
    events = data.draw(events_of(aggregation="unique_count_agg", within=within))
    agreed = terms("unique_count_agg", standard(), recurring=True, prorated=True)
    usage = rate_events(agreed, events, within)
    present: set[tuple[str | None, object]] = set()  # who was there on which day
    here: set[str | None] = set()
    counted = [event for event in in_order(events) if event.timestamp < within.end]
    for end in days_of(within):
        day = within.day(end)
        while counted and within.day(counted[0].timestamp) <= day:
            event = counted.pop(0)
            if event.removes:
                if event.member in here and within.day(event.timestamp) == day:
                    present.add((event.member, day))
                here.discard(event.member)
            else:
                here.add(event.member)
        present |= {(member, day) for member in here}
    exact = Fraction(len(present), within.days)
    assert 0 <= Fraction(usage.units) - exact < Fraction(1, 10**5)


@given(data=st.data())
def test_prorated_graduated_prices_are_those_of_each_day(data: st.DataObject) -> None:
    model = graduated((0, 5, 10, 100), (6, 15, 5, 50), (16, None, 2, 0))
    events = [
        structs.replace(event, units=abs(event.units))
        for event in data.draw(events_of())
        if event.timestamp < JUNE.end
    ]
    usage = rate_events(terms("sum_agg", model, recurring=True, prorated=True), events, JUNE)
    if not events:
        assert usage.amount == 0
        return
    without_flats = graduated((0, 5, 10, 0), (6, 15, 5, 0), (16, None, 2, 0))
    levels = [sum(e.units for e in events if e.timestamp <= day) for day in days_of(JUNE)]
    amounts = sum(Fraction(price_of(without_flats, Decimal(level))) for level in levels)
    most = Decimal(levels[-1])
    flats = price_of(model, most) - price_of(without_flats, most)
    assert abs(Fraction(usage.amount) - amounts / 30 - Fraction(flats)) < Fraction(1, 10**39)


def price_of(model: ChargeModel, units: Decimal) -> Decimal:
    return model.price_total(units=units, events=1)  # type: ignore[union-attr]


# -- exactness

THIRTY_DIGITS = st.decimals(-(10**30), 10**30, places=18, allow_nan=False)
THIRTY_DIGIT_PRICE = "0.123456789012345678901234567891"


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@FEWER
@given(
    quantities=st.lists(THIRTY_DIGITS, max_size=5), prorated=st.booleans(), in_advance=st.booleans()
)
def test_thirty_digits_are_kept_whole(
    aggregation: Any, prorated: bool, quantities: list[Decimal], in_advance: bool
) -> None:
    events = [
        Event(timestamp=JUNE.start + timedelta(hours=7 * order), order=order, units=units)
        for order, units in enumerate(quantities)
    ]
    for model in (
        standard(THIRTY_DIGIT_PRICE),
        graduated((0, 10**29, THIRTY_DIGIT_PRICE, 1), (10**29 + 1, None, THIRTY_DIGIT_PRICE, 0)),
        volume((0, 10**29, THIRTY_DIGIT_PRICE, 1), (10**29 + 1, None, THIRTY_DIGIT_PRICE, 0)),
        read_model("percentage", {"rate": THIRTY_DIGIT_PRICE, "free_units_per_events": 1}),
    ):
        agreed = terms(
            aggregation, model, recurring=True, prorated=prorated, pay_in_advance=in_advance
        )
        try:
            usage = rate_events(agreed, events, JUNE)
        except Inexact:  # pragma: no cover (it would be a bug)
            pytest.fail("rounded in silence, were it not forbidden")
        assert usage.amount >= 0


def test_amounts_of_ordinary_terms_are_exact_to_the_last_digit() -> None:
    units = Decimal("123456789012345678901234567890.123456789012345678")
    usage = rate_events(
        terms("sum_agg", standard(THIRTY_DIGIT_PRICE)),
        [Event(timestamp=JUNE.start, units=units)],
        JUNE,
    )
    assert usage.amount == EXACT.multiply(units, Decimal(THIRTY_DIGIT_PRICE))


# -- days

ZONES = st.sampled_from(
    ["UTC", "Europe/Paris", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo"]
).map(ZoneInfo)


@given(
    zone=ZONES,
    start=st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    hours=st.integers(1, 24 * 400),
    share=st.floats(0, 1, exclude_max=True),
)
def test_days_that_are_left_run_from_all_to_one(
    zone: ZoneInfo, start: datetime, hours: int, share: float
) -> None:
    within = Period(start=start, end=start + timedelta(hours=hours), zone=zone)
    inside = start + timedelta(hours=hours) * share
    assert within.days_left(within.start) == within.days == within.whole_days
    assert 1 <= within.days_left(inside) <= within.days
    assert within.days_left(within.end - timedelta(microseconds=1)) == 1
    assert within.days_left(start - timedelta(days=3)) == within.days
    assert within.days_left(within.end + timedelta(days=2)) == 0
    assert within.share(inside) == Fraction(within.days_left(inside), within.days)
    later = inside + (within.end - inside) / 2
    assert within.days_left(later) <= within.days_left(inside)


def test_a_period_without_length_is_a_day() -> None:
    at = datetime(9999, 12, 31, tzinfo=UTC)  # where time ends, so does the last period
    nothing = Period(start=at, end=at)
    assert (nothing.days, nothing.share(at), nothing.holds(at)) == (1, 1, False)


def test_shares_of_a_part_are_shares_of_the_whole_period() -> None:
    part = period("2024-02-05", "2024-03-01", full_days=29)
    assert (part.days, part.whole_days) == (25, 29)
    assert part.share(part.start) == Fraction(25, 29)
    assert part.share(datetime(2024, 2, 29, 23, tzinfo=UTC)) == Fraction(1, 29)


@given(
    events=events_of(),
    model=st.sampled_from(BY_EVENTS[:2]),
    function=st.sampled_from([None, "ceil"]),
)
def test_a_free_tier_needs_the_sums_and_the_events_that_it_looks_at(
    events: list[Event], model: ChargeModel, function: Any
) -> None:
    assert isinstance(model, Percentage)
    these = terms("sum_agg", model, rounding_function=function)
    assert these.needs_beginning
    within = [event for event in in_order(events) if JUNE.holds(event.timestamp)]
    first: list[Decimal] = []
    for event in within:
        if model.is_past_free_tier(events=len(first), units=sum(first, Decimal(0))):
            break
        first.append(event.units)
    begun = rate_begun(these, summarize(within), first)
    assert begun == rate_events(these, events, JUNE)
