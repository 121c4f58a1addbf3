"""Graduated percentages. Goldens: reference of Lago, charge models, item 3."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating.charge_models import read_model
from tests.rating.catalogue import properties_of
from tests.rating.playing import marginal_amounts, price_events
from tests.rating.ranges import graduated_percentage, ranges

MODEL = graduated_percentage("0-10@1+200, 11-20@2+300, 21+@3+400")


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("0", "200"),  # graduated_percentage_service_spec
        ("1", "200.01"),
        ("10", "200.1"),
        ("11", "500.12"),
        ("12", "500.14"),
        ("21", "900.33"),
        ("-1", "0"),  # lago.md 3.3, fee amount: negative units → 0
    ],
)
def test_each_range_reached_takes_its_share(units: str, expected: str) -> None:
    assert MODEL.price(Decimal(units)) == Decimal(expected)
    assert price_events(MODEL, [Decimal(units)]) == Decimal(expected)


def test_paid_in_advance_each_event_pays_its_shares_and_the_flats_it_reaches() -> None:
    # pay_in_advance_charges_spec: 20 % + 10, 30 % + 7, 40 % + 5 with 50, 100, 300 units.
    model = graduated_percentage("0-100@20+10, 101-200@30+7, 201+@40+5")
    assert marginal_amounts(model, 50, 100, 300) == [20, 32, 120]


def test_settings_read_back_what_they_show() -> None:
    properties: dict[str, object] = {
        "graduated_percentage_ranges": ranges("0-10@1.25+200, 11+@0.0000000001", price="rate")
    }
    assert properties_of(read_model("graduated_percentage", properties)) == properties
