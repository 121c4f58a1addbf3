"""Graduated prices. Goldens: reference of Lago, charge models, item 2."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating import ZERO_TOTAL
from rating.charge_models import read_model
from tests.rating.catalogue import properties_of
from tests.rating.playing import marginal_amounts, play, price_events
from tests.rating.ranges import graduated, ranges

CLASSIC = graduated("0-10@10+2, 11-20@5+3, 21+@5+3")
ADJACENT = graduated("0-0.1@10, 0.1-1@5, 1+@2")


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("0", "2"),  # graduated_service_spec
        ("1", "12"),
        ("10", "102"),
        ("11", "110"),
        ("12", "115"),
        ("21", "163"),
        ("10.5", "107.5"),  # what lies between two whole units is in the next range
        ("-5", "0"),  # lago.md 3.3, fee amount: negative units → 0
    ],
)
def test_each_range_reached_prices_the_units_in_it(units: str, expected: str) -> None:
    assert CLASSIC.price(Decimal(units)) == Decimal(expected)
    assert price_events(CLASSIC, [Decimal(units)]) == Decimal(expected)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("0.05", "0.5"),  # graduated_service_spec
        ("0.5", "3.0"),
        ("0.1", "1"),
        ("1", "5.5"),
        ("3", "9.5"),
    ],
)
def test_adjacent_ranges_split_units_at_their_bounds(units: str, expected: str) -> None:
    assert ADJACENT.price(Decimal(units)) == Decimal(expected)
    assert price_events(ADJACENT, [Decimal(units)]) == Decimal(expected)


def test_whole_units_cost_the_same_in_either_form() -> None:
    touching = graduated("0-10@10+2, 10-20@5+3, 20+@5+3")
    for units in range(30):
        assert touching.price(Decimal(units)) == CLASSIC.price(Decimal(units))


def test_paid_in_advance_each_event_pays_the_ranges_it_reaches() -> None:
    # pay_in_advance_charges_spec: 0-5 at 0.02 + 0.01, then 0.01 + 0.01, with 3, 1, 2 units.
    model = graduated("0-5@0.02+0.01, 6+@0.01+0.01")
    assert marginal_amounts(model, 3, 1, 2) == [Decimal("0.07"), Decimal("0.02"), Decimal("0.04")]


def test_of_three_events_of_the_same_second_only_the_third_is_above_the_free_range() -> None:
    # pay_in_advance_charges_spec: 0-2 free, then 2 per unit; one unit each.
    assert marginal_amounts(graduated("0-2@0, 3+@2"), 1, 1, 1) == [0, 0, 2]


def test_the_first_event_carries_the_first_flat_amount_even_without_units() -> None:
    assert ZERO_TOTAL.amount == price_events(CLASSIC, []) == 0
    assert marginal_amounts(CLASSIC, 0, 0, 1) == [2, 0, 10]


def test_a_correction_to_nothing_leaves_the_flat_amount_and_one_below_does_not() -> None:
    assert marginal_amounts(CLASSIC, 12, -15, 15, 1) == [115, 0, 0, 5]
    assert play(CLASSIC, [12, -12])[1].amount == 2
    assert play(CLASSIC, [12, -15])[1].amount == 0


def test_a_first_correction_reaches_no_range() -> None:
    # lago.md 3.3: negative events give 0, negative units cost 0; at 0 the first range is reached.
    assert marginal_amounts(CLASSIC, -5, 3, 2, 1) == [0, 0, 2, 10]


def test_settings_read_back_what_they_show() -> None:
    properties: dict[str, object] = {
        "graduated_ranges": ranges("0-0.1@0.00000015, 0.1-7@5+0.1, 7+@0+3")
    }
    assert properties_of(read_model("graduated", properties)) == properties
