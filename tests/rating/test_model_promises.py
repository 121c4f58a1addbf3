"""What is promised of every charge model, one by one: no model may be left out.

Monotone; split or whole; in whatever order events of one instant come in; zero and negative units
as specified. Exactness is in `test_exactness`, what only some models promise in
`test_charge_models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from rating import (
    ChargeModel,
    Dynamic,
    Event,
    Package,
    Percentage,
    Period,
    Price,
    Standard,
    Terms,
    Volume,
    rate_events,
)
from rating.charge_models import CHARGE_MODELS, name_of
from rating.exact import EXACT
from tests.rating import ranges
from tests.rating import strategies as some
from tests.rating.playing import Used, charged, price, units_of
from tests.rating.test_exactness import LONG

DRAWN: Final[Mapping[str, st.SearchStrategy[ChargeModel]]] = {
    "standard": some.standards,
    "graduated": some.classic_graduated,
    "graduated, adjacent": some.adjacent_graduated,
    "graduated_percentage": some.graduated_percentages,
    "package": some.packages,
    "percentage": some.plain_percentages,
    "percentage, free tier": some.percentages,
    "percentage, bounded": some.bounded_percentages(),
    "volume": some.volumes,
    "dynamic": st.just(Dynamic()),
}
each_model = pytest.mark.parametrize("kind", DRAWN)

some_units = some.decimals_between(0, 200, places=3)
some_cents = some.decimals_between(0, 900, places=4)
usage = st.lists(st.tuples(some_units, some_cents), max_size=6)
usage_with_corrections = st.lists(
    st.tuples(some.decimals_between(-200, 200, places=3), some_cents), max_size=6
)


def total(amounts: Sequence[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))


def test_no_model_is_left_out() -> None:
    assert {kind.split(",")[0] for kind in DRAWN} == set(CHARGE_MODELS)
    assert {name_of(model) for model, _ in SPECIFIED} == set(CHARGE_MODELS)
    assert {kind.split(",")[0] for kind in LONG} == set(CHARGE_MODELS)


# -- monotone


@each_model
@given(data=st.data())
def test_more_usage_never_costs_less(kind: str, data: st.DataObject) -> None:
    model, events = data.draw(DRAWN[kind]), data.draw(usage)
    more = data.draw(st.tuples(some_units, some_cents))
    *before, last = charged(model, [*events, more])
    assert before == charged(model, events)
    assert last >= 0
    if isinstance(model, Volume):  # the only price that may fall, where a range ends
        reached = [holding(model, total(units_of(used))) for used in (events, [*events, more])]
        assume(reached[0] == reached[1])
    assert price(model, [*events, more]) >= price(model, events)


def holding(model: Volume, units: Decimal) -> int:
    """Which range holds so many units."""
    ends = [tier.to_value for tier in model.volume_ranges if tier.to_value is not None]
    return sum(units > end for end in ends)


# -- split or whole


@each_model
@given(data=st.data())
def test_what_events_cost_one_by_one_is_the_price_of_the_period(
    kind: str, data: st.DataObject
) -> None:
    model, events = data.draw(DRAWN[kind]), data.draw(usage)
    if isinstance(model, Dynamic):
        events = [(units + 1, cents) for units, cents in events]  # no units, no price
    paid = total(charged(model, events))
    if isinstance(model, Volume):  # what got cheaper is given back when the period has ended
        assert paid == max(price(model, events[:n]) for n in range(len(events) + 1))
        assert paid >= price(model, events)
    else:
        assert paid == price(model, events)


# Percentages have fees, bounds and free tiers by the event.
@pytest.mark.parametrize("kind", [kind for kind in DRAWN if not kind.startswith("percentage")])
@given(data=st.data())
def test_usage_in_parts_costs_what_it_costs_as_a_whole(kind: str, data: st.DataObject) -> None:
    model, events = data.draw(DRAWN[kind]), data.draw(usage)
    assume(events)
    parts = [
        (part, half_cents)
        for units, cents in events
        for part, half_cents in zip(some.parted([units]), some.parted([cents]), strict=True)
    ]
    whole = (total(units_of(events)), total([cents for _, cents in events]))
    assert price(model, parts) == price(model, events) == price(model, [whole])


@given(data=st.data())
def test_a_percentage_without_a_fee_costs_the_same_in_parts(data: st.DataObject) -> None:
    model, events = data.draw(some.percentages), data.draw(usage)
    model = replace(model, fixed_amount=Decimal(0), free_units_per_events=0)
    parts = [(part, Decimal(0)) for part in some.parted(units_of(events))]
    assert price(model, parts) == price(model, events)


# -- events of one instant

NOON: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
MARCH: Final = Period(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC))


def at_noon(events: Sequence[Used]) -> list[Event]:
    """Events of one instant, as they came in."""
    return [
        Event(timestamp=NOON, order=order, units=units, precise_amount_cents=cents)
        for order, (units, cents) in enumerate(events)
    ]


@each_model
@given(data=st.data())
def test_the_order_of_events_of_one_instant_changes_no_total(
    kind: str, data: st.DataObject
) -> None:
    model, events = data.draw(DRAWN[kind]), data.draw(usage_with_corrections)
    terms = Terms(aggregation="sum_agg", prices=(Price(None, model),))
    amount = rate_events(terms, at_noon(events), MARCH).amount
    # However they are read, what counts is how they came in …
    read = data.draw(st.permutations(at_noon(events)))
    assert rate_events(terms, read, MARCH).amount == amount
    # … and that does not count either, except where the first events are free.
    if not (isinstance(model, Percentage) and model.has_free_tier):
        shuffled = data.draw(st.permutations(events))
        assert rate_events(terms, at_noon(shuffled), MARCH).amount == amount


# -- zero and negative units

GRADES = ranges.graduated("0-10@10+2, 11-20@5+3, 21+@5+3")
SHARES = ranges.graduated_percentage("0-10@1+200, 11+@2+300")
VOLUMES = ranges.volume("0-100@2+10, 101+@1")
PACKAGES = Package(amount=Decimal(100), package_size=10)
FEES = Percentage(rate=Decimal(1), fixed_amount=Decimal(5))
BOUNDED = Percentage(rate=Decimal(1), per_transaction_min_amount=Decimal(3))
FREE = Percentage(rate=Decimal(10), free_units_per_total_aggregation=Decimal(4))

# Source: lago.md §3.2: no units reach the first range of graduated and volume prices, and pay no
# fixed fees of percentages; §3.3: negative units cost nothing.
SPECIFIED: Final[list[tuple[ChargeModel, dict[tuple[int, ...], str]]]] = [
    (
        Standard(amount=Decimal(2)),
        {(): "0", (0,): "0", (-5,): "0", (5, -5): "0", (5, -7): "0", (5, -2): "6"},
    ),
    (GRADES, {(): "0", (0,): "2", (-5,): "0", (5, -5): "2", (5, -7): "0", (5, -2): "32"}),
    (SHARES, {(): "0", (0,): "200", (-5,): "0", (5, -5): "200", (5, -7): "0", (5, -2): "200.03"}),
    (PACKAGES, {(): "0", (0,): "0", (-5,): "0", (5, -5): "0", (5, -7): "0", (15, -7): "100"}),
    (FEES, {(): "0", (0,): "0", (-5,): "0", (5, -5): "0", (5, -7): "0", (5, -2): "10.03"}),
    (BOUNDED, {(): "0", (0,): "0", (-5,): "0", (5, -5): "3", (5, -7): "0", (5, -2): "3"}),
    (FREE, {(): "0", (0,): "0", (-5,): "0", (5, -5): "0", (5, -7): "0", (9, -2): "0.3"}),
    (VOLUMES, {(): "0", (0,): "10", (-5,): "0", (5, -5): "10", (5, -7): "0", (5, -2): "16"}),
    (Dynamic(), {(): "0", (0,): "0", (-5,): "0", (5, -5): "0", (5, -7): "0", (5, -2): "2"}),
]


@pytest.mark.parametrize(("model", "prices"), SPECIFIED, ids=lambda value: type(value).__name__)
def test_zero_and_negative_units_cost_what_is_specified(
    model: ChargeModel, prices: dict[tuple[int, ...], str]
) -> None:
    terms = Terms(aggregation="sum_agg", prices=(Price(None, model),))
    for quantities, expected in prices.items():
        events = at_noon([(Decimal(units), Decimal(100)) for units in quantities])
        assert rate_events(terms, events, MARCH).amount == Decimal(expected), quantities


@each_model
@given(data=st.data())
def test_a_correction_is_charged_nothing_and_nothing_is_given_back_for_it(
    kind: str, data: st.DataObject
) -> None:
    model, events = data.draw(DRAWN[kind]), data.draw(usage_with_corrections)
    for (units, _), amount in zip(events, charged(model, events), strict=True):
        assert amount == 0 if units < 0 else amount >= 0
    assert price(model, events) >= 0
