"""Ranges: what follows each other without a gap makes a price, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rating import InvalidModel
from rating.charge_models import read_model
from tests.rating.ranges import graduated, ranges

GRADUATED = ("graduated", "graduated_ranges", "per_unit_amount", "invalid_graduated_ranges")
PERCENTAGE = (
    "graduated_percentage",
    "graduated_percentage_ranges",
    "rate",
    "invalid_graduated_ranges",
)
VOLUME = ("volume", "volume_ranges", "per_unit_amount", "invalid_volume_ranges")
MODELS = pytest.mark.parametrize(
    ("name", "field", "price", "reason"), [GRADUATED, PERCENTAGE, VOLUME]
)


def tier(begin: object, end: object) -> dict[str, object]:
    return {
        "from_value": begin,
        "to_value": end,
        "per_unit_amount": "1",
        "rate": "1",
        "flat_amount": "0",
    }


def refusal(name: str, properties: dict[str, object]) -> tuple[str, str]:
    with pytest.raises(InvalidModel) as refused:
        read_model(name, properties)
    return refused.value.field, refused.value.reason


BROKEN: dict[str, Any] = {
    "absent": None,
    "no list": {"from_value": 0},
    "text": "0-10",
    "empty": [],
    "no objects": [1, 2],
    "null": [None],
    "not from 0": [tier(1, None)],
    "below 0": [tier(-1, 5), tier(6, None)],
    "a gap": [tier(0, 10), tier(12, None)],
    "an overlap": [tier(0, 10), tier(9, None)],
    "a gap of a half": [tier(0, 10), tier("10.5", None)],
    "no open end": [tier(0, 10)],
    "two open ends": [tier(0, None), tier(1, None)],
    "an open middle": [tier(0, 10), tier(11, None), tier(12, 20)],
    "descending": [tier(0, 10), tier(11, 5), tier(6, None)],
    "empty range": [tier(0, 0), tier(1, None)],
    "empty later range": [tier(0, 10), tier(11, 10), tier(11, None)],
    "in another order": [tier(11, None), tier(0, 10)],
    "no bound": [tier(None, 10), tier(11, None)],
    "a word": [tier("zero", 10), tier(11, None)],
    "an empty word": [tier(0, ""), tier(1, None)],
    "not a number": [tier(0, "NaN"), tier(1, None)],
    "decimal nan": [tier(0, Decimal("NaN")), tier(1, None)],
    "infinite": [tier(0, Decimal("Infinity")), tier(1, None)],
    "a float": [tier(0, 10.0), tier(11, None)],
    "a bool": [tier(False, True), tier(2, None)],
    "a list": [tier(0, [10]), tier(11, None)],
    "huge": [tier(0, 10**30), tier(10**30 + 1, None)],
    "huge decimal": [tier(0, Decimal("1E+999999")), tier(1, None)],
    "tiny": [tier(0, Decimal("1E-19")), tier(Decimal("1E-19"), None)],
    "too many": [
        *(tier(begin and begin + 1, begin + 5) for begin in range(0, 500, 5)),
        tier(501, None),
    ],
    "the bound in two ranges": [tier(0, 10), tier(10, 20), tier(21, None)],
    "one apart, in fractions": [tier(0, "0.5"), tier("1.5", None)],
}


@MODELS
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_ranges_that_make_no_price_are_refused(
    name: str, field: str, price: str, reason: str, broken: Any
) -> None:
    assert price in tier(0, 1)
    assert refusal(name, {field: broken}) == (field, reason)


@pytest.mark.parametrize(("name", "field", "price", "reason"), [PERCENTAGE, VOLUME])
def test_only_graduated_ranges_may_touch(name: str, field: str, price: str, reason: str) -> None:
    touching = [tier(0, 10), tier(10, None)]
    read_model("graduated", {"graduated_ranges": touching})
    assert price in touching[0]
    assert refusal(name, {field: touching}) == (field, reason)


@MODELS
@pytest.mark.parametrize("wrong", [None, "", "-1", "NaN", 0.5, True, [], "1e9", 10**18])
def test_a_price_that_is_none_is_refused_by_its_name(
    name: str, field: str, price: str, reason: str, wrong: object
) -> None:
    assert reason
    expected = "invalid_rate" if price == "rate" else "invalid_amount"
    assert refusal(name, {field: [tier(0, None) | {price: wrong}]}) == (price, expected)
    assert refusal(name, {field: [tier(0, None) | {"flat_amount": wrong}]}) == (
        "flat_amount",
        "invalid_amount",
    )


@MODELS
def test_a_hundred_ranges_are_taken(name: str, field: str, price: str, reason: str) -> None:
    assert price
    assert reason
    hundred = [tier(n and n + 1, n + 5) for n in range(0, 495, 5)]
    read_model(name, {field: [*hundred, tier(496, None)]})


def test_bounds_are_the_same_as_numbers_and_as_text() -> None:
    as_text = [tier("0", "10"), tier("11", None)]
    as_decimals = [tier(Decimal(0), Decimal("1E+1")), tier(Decimal("11.0"), None)]
    numbers = read_model("volume", {"volume_ranges": [tier(0, 10), tier(11, None)]})
    assert read_model("volume", {"volume_ranges": as_text}) == numbers
    assert read_model("volume", {"volume_ranges": as_decimals}) == numbers


def test_models_with_the_same_settings_are_equal_priced_or_not() -> None:
    priced, fresh = graduated("0-10@10+2, 11+@5"), graduated("0-10@10+2, 11+@5")
    assert priced.price(Decimal(12)) == 112
    assert priced == fresh
    assert hash(priced) == hash(fresh)
    assert ranges("0-10@10+2, 11+@5")[0]["to_value"] == 10
