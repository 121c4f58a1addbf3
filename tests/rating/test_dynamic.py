"""Dynamic prices. Goldens: reference of Lago, charge models, item 7."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating import Dynamic
from rating.charge_models import read_model
from tests.rating.catalogue import properties_of
from tests.rating.playing import price_events


def decimals(*values: str | int) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_a_period_costs_what_its_events_brought() -> None:
    # dynamic_spec: 10.1 c + 901.9 c → 912 c.
    assert price_events(Dynamic(), decimals(1, 1), decimals("10.1", "901.9")) == Decimal("9.12")


@pytest.mark.parametrize(("cents", "expected"), [("1234.56", "12.3456"), ("2.1", "0.021")])
def test_paid_in_advance_each_event_is_priced_by_itself(cents: str, expected: str) -> None:
    # pay_in_advance_charges_spec: rounded later, to 1235 c and 2 c.
    assert Dynamic().price_precise(Decimal(1), Decimal(cents)) == Decimal(expected)


@pytest.mark.parametrize(
    ("quantities", "cents"),
    [
        (decimals(), decimals()),
        (decimals(0), decimals(500)),
        (decimals(3, -3), decimals(500, 100)),
        (decimals(1, 1), decimals(500, "-500.1")),
    ],
    ids=["no events", "no units", "units taken back", "a negative amount"],
)
def test_what_comes_to_no_units_or_less_than_no_money_costs_nothing(
    quantities: list[Decimal], cents: list[Decimal]
) -> None:
    assert price_events(Dynamic(), quantities, cents) == 0


def test_it_has_no_settings() -> None:
    assert properties_of(read_model("dynamic", {"amount": "5"})) == {}
