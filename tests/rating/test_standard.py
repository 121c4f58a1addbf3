"""Standard prices: units times amount. Goldens: reference of Lago, charge models, item 1."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating import InvalidModel, Standard
from rating.charge_models import read_model
from tests.rating.playing import price_events


@pytest.mark.parametrize(
    ("units", "amount", "expected"),
    [
        ("10", "5.12345", "51.2345"),  # standard_service_spec
        ("4", "12.5", "50.00"),  # standard_service_spec
        ("1000", "0.05", "50"),  # scenarios
        ("0", "5.12345", "0"),
    ],
)
def test_standard_multiplies_units_by_the_amount(units: str, amount: str, expected: str) -> None:
    assert Standard(amount=Decimal(amount)).price(Decimal(units)) == Decimal(expected)


def test_a_free_price_is_a_price() -> None:
    assert price_events(Standard(amount=Decimal(0)), [Decimal(1_000)]) == 0


def test_a_period_with_more_corrections_than_usage_costs_nothing() -> None:
    assert price_events(Standard(amount=Decimal(2)), [Decimal(3), Decimal(-5)]) == 0


@pytest.mark.parametrize("amount", [None, "", "-1", "NaN", "1e-7", 0.1, True, "٣", "0.1\n"])
def test_an_amount_that_is_no_price_is_refused(amount: object) -> None:
    with pytest.raises(InvalidModel) as refused:
        read_model("standard", {"amount": amount})
    assert (refused.value.field, refused.value.reason) == ("amount", "invalid_amount")


def test_an_unknown_charge_model_is_refused() -> None:
    with pytest.raises(InvalidModel) as refused:
        read_model("barter", {"amount": "1"})
    assert (refused.value.field, refused.value.reason) == (
        "charge_model",
        "value_is_invalid",
    )
