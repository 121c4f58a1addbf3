"""Volume prices. Goldens: reference of Lago, charge models, item 6."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating.charge_models import read_model
from tests.rating.catalogue import properties_of
from tests.rating.playing import marginal_amounts, play, price_events
from tests.rating.ranges import ranges, volume

MODEL = volume("0-100@2+10, 101-200@1, 201+@0.5+50")


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("0", "10"),  # volume_service_spec
        ("1", "12"),
        ("100", "210"),
        ("100.5", "100.5"),
        ("101", "101"),
        ("200", "200"),
        ("300", "200"),
        ("-1", "0"),  # lago.md 3.3, fee amount: negative units → 0
    ],
)
def test_the_range_that_holds_all_units_prices_them_all(units: str, expected: str) -> None:
    assert MODEL.price(Decimal(units)) == Decimal(expected)
    assert price_events(MODEL, [Decimal(units)]) == Decimal(expected)


def test_sixty_five_thousand_calls() -> None:
    # Lago's documentation of volume charges: 65,000 calls at 0.0006 + 10.
    model = volume("0-10000@0.001, 10001-50000@0.0008, 50001+@0.0006+10")
    assert model.price(Decimal(65_000)) == 49


def test_prorated_units_are_paid_at_the_price_of_the_full_ones() -> None:
    # volume_service_spec: 198.6 prorated units, 300 full ones.
    price = MODEL.price_prorated(Decimal("198.6"), full_units=Decimal(300))
    assert price == Decimal("149.3")


def test_a_cheaper_range_costs_nothing_until_the_total_is_dearer_than_ever() -> None:
    assert marginal_amounts(MODEL, 100, 1, 99, 100, 100) == [210, 0, 0, 0, 40]
    assert play(MODEL, [100, 1])[1].amount == 101


def test_a_correction_out_of_a_cheaper_range_is_paid_by_what_is_used_next() -> None:
    # 101 units cost 101, and 100 cost 210; a negative event is charged 0 (lago.md 3.3).
    assert marginal_amounts(MODEL, 101, -1, 0) == [101, 0, 109]
    assert marginal_amounts(MODEL, 101, -1, 1) == [101, 0, 0]
    assert play(MODEL, [101, -1])[1].amount == price_events(MODEL, [Decimal(101), Decimal(-1)])


def test_the_highest_price_on_the_way_is_at_the_end_of_a_range() -> None:
    total = play(MODEL, [90])[1]
    assert MODEL.highest(total, Decimal(5)) == 200
    assert MODEL.highest(total, Decimal(50)) == 210
    assert MODEL.highest(total, Decimal(1_000)) == 595


def test_settings_read_back_what_they_show() -> None:
    properties: dict[str, object] = {"volume_ranges": ranges("0-100@2+10, 101+@0.5")}
    assert properties_of(read_model("volume", properties)) == properties
