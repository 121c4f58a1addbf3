"""Pay in advance: the fee of each event, given those before it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ledger.money import Rounding, to_minor
from rating import ZERO_TOTAL, ChargeModel, Event, Line, Total, linear, marginal
from rating.advance import fees_in_advance
from rating.charge_models import read_model
from rating.quotes import carried
from tests.rating.metering import (
    added,
    graduated,
    period,
    ranges,
    removed,
    standard,
    terms,
    used,
    volume,
)
from tests.rating.playing import line, price_events

JUNE = period("2024-06-01", "2024-07-01")


def fees(name: str, properties: dict[str, Any], quantities: list[Decimal | str | int]) -> list[int]:
    """The fees in cents of events at the same second, in the order in which they came in."""
    billed = fees_in_advance(
        terms("sum_agg", read_model(name, properties), pay_in_advance=True),
        [],
        [used("2024-06-03", units, order=order) for order, units in enumerate(quantities)],
        JUNE,
    )
    return [to_minor(fee, 2, Rounding.HALF_AWAY) for fee in billed.events]


@pytest.mark.parametrize(
    ("name", "properties", "quantities", "expected"),
    [
        (
            "package",
            {"amount": "100", "package_size": 2, "free_units": 3},
            [3, 1, 2],
            [0, 100_00, 100_00],
        ),
        (
            "graduated",
            {"graduated_ranges": ranges((0, 5, "0.02", "0.01"), (6, None, "0.01", "0.01"))},
            [3, 1, 2],
            [7, 2, 4],
        ),
        (
            "graduated_percentage",
            {
                "graduated_percentage_ranges": [
                    {"from_value": 0, "to_value": 100, "rate": "20", "flat_amount": "10"},
                    {"from_value": 101, "to_value": 200, "rate": "30", "flat_amount": "7"},
                    {"from_value": 201, "to_value": None, "rate": "40", "flat_amount": "5"},
                ]
            },
            [50, 100, 300],
            [2000, 3200, 12000],
        ),
        (
            "percentage",
            {"rate": "5", "fixed_amount": "1", "free_units_per_total_aggregation": "120"},
            [100, 10, 20, 20],
            [0, 0, 150, 200],
        ),
        (
            "percentage",
            {
                "rate": "1",
                "fixed_amount": "0.5",
                "per_transaction_min_amount": "1.75",
                "per_transaction_max_amount": "2",
            },
            [100, 1000, 10_000],
            [175, 200, 200],
        ),
        (
            "graduated",
            {"graduated_ranges": ranges((0, 2, 0, 0), (3, None, 2, 0))},
            [1, 1, 1],
            [0, 0, 200],
        ),
    ],
)
def test_an_event_is_billed_for_what_it_adds(
    name: str, properties: dict[str, Any], quantities: list[int], expected: list[int]
) -> None:
    # spec/scenarios/pay_in_advance_charges_spec.rb
    assert fees(name, properties, quantities) == expected


def test_dynamic_fees_are_what_the_events_say_each_rounded_on_its_own() -> None:
    # lago.md 3.2 (7): 1234.56 c → 1235 c, 2.1 c → 2 c
    billed = fees_in_advance(
        terms("sum_agg", read_model("dynamic", {}), pay_in_advance=True),
        [],
        [
            used("2024-06-03", 4, precise_amount_cents=Decimal("1234.56")),
            used("2024-06-04", 1, precise_amount_cents=Decimal("2.1")),
        ],
        JUNE,
    )
    assert [to_minor(fee, 2, Rounding.HALF_AWAY) for fee in billed.events] == [1235, 2]


def test_dynamic_fees_do_not_make_up_for_each_other() -> None:
    # lago.md 3.2 (7): each event on its own; as in real time (docs/reference/charge-models.md)
    brought = [(1, "500"), (1, "-200"), (0, "100"), (-1, "50"), (1, "300")]
    events = [
        used("2024-06-03", units, order=order, precise_amount_cents=Decimal(cents))
        for order, (units, cents) in enumerate(brought)
    ]
    agreed = terms("sum_agg", read_model("dynamic", {}), pay_in_advance=True)
    assert fees_in_advance(agreed, [], events, JUNE).events == (5, 0, 0, 0, 3)
    dynamic = line(read_model("dynamic", {}), 1)
    charged = [
        linear(structs.replace(dynamic, units=one.units, precise_amount_cents=cents))
        for one in events
        if (cents := one.precise_amount_cents)
    ]
    assert charged == [5, 0, 0, 0, 3]
    # So sums do not tell what was billed, but the events' own prices do.
    assert not agreed.is_summable(corrections=0)
    assert agreed.is_billed_by_event


def test_a_first_correction_costs_nothing_even_where_a_flat_amount_is_due() -> None:
    # lago.md 3.3: negative events give 0
    graded = {"graduated_ranges": ranges((0, 5, "0.02", "0.01"), (6, None, "0.01", "0.01"))}
    assert fees("graduated", graded, [-3, 1, 2, 1]) == [0, 0, 1, 2]


def test_corrections_cost_nothing_and_what_was_paid_before_is_free() -> None:
    assert fees("standard", {"amount": "1"}, [10, -4, 3, 5, -100, 95]) == [1000, 0, 0, 400, 0, 0]


def test_a_seat_is_billed_above_the_most_seats_of_the_period() -> None:
    events = [
        added("2024-06-03", "ada"),
        added("2024-06-04", "bob"),
        removed("2024-06-05", "ada"),
        added("2024-06-06", "cyd"),  # two again
        added("2024-06-07", "ada"),  # three
        added("2024-06-07", "ada"),  # who is there already
    ]
    seats = terms("unique_count_agg", standard(5), pay_in_advance=True)
    assert fees_in_advance(seats, [], events, JUNE).events == (5, 5, 0, 0, 5, 0)


def test_seats_that_were_there_are_billed_when_the_period_begins() -> None:
    seats = terms("unique_count_agg", standard(30), recurring=True, pay_in_advance=True)
    before = [added("2024-05-03", "ada"), added("2024-05-04", "bob")]
    within = [removed("2024-06-05", "ada"), added("2024-06-06", "cyd"), added("2024-06-16", "dan")]
    billed = fees_in_advance(seats, before, within, JUNE)
    assert (billed.carried, billed.events, billed.total) == (60, (0, 0, 30), 90)
    prorated = terms(
        "unique_count_agg", standard(30), recurring=True, pay_in_advance=True, prorated=True
    )
    billed = fees_in_advance(prorated, before, within, JUNE)
    assert (billed.carried, billed.events, billed.total) == (60, (0, 0, 15), 75)


def test_what_is_carried_into_a_part_of_a_period_pays_its_days_if_prorated() -> None:
    seats = terms("sum_agg", standard(30), recurring=True, pay_in_advance=True, prorated=True)
    part = period("2024-06-01", "2024-06-16", full_days=30)
    assert fees_in_advance(seats, [used("2024-05-03", 2)], [], part).carried == 30


def test_new_prices_are_for_what_comes() -> None:
    dear = read_model("graduated", {"graduated_ranges": ranges((0, 5, 4, 0), (6, None, 2, 0))})
    billed = fees_in_advance(
        terms("sum_agg", standard(1), dear, pay_in_advance=True),
        [],
        [
            used("2024-06-03", 4, plan_version_id=UUID(int=1)),
            used("2024-06-04", -1, plan_version_id=UUID(int=1)),
            used("2024-06-05", 3, plan_version_id=UUID(int=2)),
        ],
        JUNE,
    )
    # Three units go on: two at 4 and one at 2, less the one unit that was paid and not used.
    assert billed.events == (4, 0, 2 * 4 + 2 - 1)


def test_a_cheaper_range_gives_nothing_back() -> None:
    rates = volume((0, 10, 2, 0), (11, None, 1, 0))
    billed = fees_in_advance(
        terms("sum_agg", rates, pay_in_advance=True),
        [],
        [used("2024-06-03", units) for units in (10, 5, 10)],
        JUNE,
    )
    assert billed.events == (20, 0, 5)  # 15 units cost 15; at 25 the price is above 20 again


QUANTITIES = st.lists(st.decimals(-20, 20, places=2, allow_nan=False), max_size=12)
MODELS = [
    standard("1.25"),
    graduated((0, 5, "0.7", 1), (6, 20, "0.5", 2), (21, None, "0.1", 0)),
    read_model("package", {"amount": "3", "package_size": 4, "free_units": 2}),
    read_model(
        "graduated_percentage",
        {
            "graduated_percentage_ranges": [
                {"from_value": 0, "to_value": 5, "rate": "20", "flat_amount": "1"},
                {"from_value": 6, "to_value": None, "rate": "3", "flat_amount": "2"},
            ]
        },
    ),
    read_model("percentage", {"rate": "2.5", "fixed_amount": "0.1"}),
    read_model("percentage", {"rate": "2.5", "fixed_amount": "0.1", "free_units_per_events": 2}),
    read_model(
        "percentage", {"rate": "2.5", "free_units_per_total_aggregation": "30", "fixed_amount": "1"}
    ),
    read_model("percentage", {"rate": "2.5", "per_transaction_min_amount": "0.2"}),
    volume((0, 10, 2, 0), (11, None, 1, 3)),
]


@given(model=st.sampled_from(MODELS), quantities=QUANTITIES)
def test_fees_add_up_to_the_highest_price_of_any_beginning_of_the_sequence(
    model: ChargeModel, quantities: list[Decimal]
) -> None:
    billed = fees_in_advance(
        terms("sum_agg", model, pay_in_advance=True),
        [],
        [used("2024-06-03", units, order=order) for order, units in enumerate(quantities)],
        JUNE,
    )
    highest = Decimal(0)
    for number, (fee, units) in enumerate(zip(billed.events, quantities, strict=True), 1):
        price = price_events(model, quantities[:number]) if units >= 0 else Decimal(0)
        assert fee == max(price - highest, 0)
        highest = max(highest, price)
    assert billed.total == highest


MEMBERS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12)


@given(
    model=st.sampled_from(MODELS),
    quantities=QUANTITIES,
    changes=st.lists(st.booleans(), min_size=12, max_size=12),
    prorated=st.booleans(),
    before=st.none() | st.decimals(-5, 20, places=2, allow_nan=False),
)
def test_real_time_charges_the_fees_in_advance(
    model: ChargeModel,
    quantities: list[Decimal],
    changes: list[bool],
    prorated: bool,
    before: Decimal | None,
) -> None:
    prices = (standard("0.7") if prorated else model, standard("0.5"))
    versions, charged, total = [1 + change for change in sorted(changes)], [], ZERO_TOTAL
    if before is not None:  # what real time goes on from, once the first event of a period comes
        earlier_total = Total(units=before, events=7)
        total = carried(line(prices[versions[0] - 1], 1), earlier_total)
    events: list[Event] = []
    for day, (units, version) in enumerate(zip(quantities, versions, strict=False), 3):
        plan_version_id = UUID(int=version)
        event = used(f"2024-06-{day:02}", units, plan_version_id=plan_version_id)
        one = line(prices[version - 1], units)
        one = structs.replace(one, bucket=structs.replace(one.bucket, prorated=prorated))
        share = JUNE.share(event.timestamp)
        amount, total = marginal(one, total, plan_version_id=plan_version_id, share=share)
        charged.append(amount)
        events.append(event)
    both = terms("sum_agg", *prices, pay_in_advance=True, recurring=True, prorated=prorated)
    earlier = [] if before is None else [used("2024-05-01", before)]
    assert list(fees_in_advance(both, earlier, events, JUNE).events) == charged


@given(members=MEMBERS)
def test_real_time_charges_the_seats_in_advance(members: list[tuple[str, bool]]) -> None:
    model = MODELS[1]
    bucket = structs.replace(line(model, 1).bucket, aggregation="unique_count_agg")
    here: set[str] = set()
    charged, total = [], ZERO_TOTAL
    events: list[Event] = []
    for order, (member, removes) in enumerate(members):
        one = Line(bucket, Decimal(1), member=member, removes=removes)
        amount, total = marginal(one, total, is_member=member in here)
        charged.append(amount)
        (here.discard if removes else here.add)(member)
        events.append(used("2024-06-03", order=order, member=member, removes=removes))
    seats = terms("unique_count_agg", model, pay_in_advance=True)
    assert list(fees_in_advance(seats, [], events, JUNE).events) == charged
