"""Numbers at the door: what is a quantity, and what only looks like one."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating import InvalidQuantity
from rating.quantities import price, quantity

WIDEST = "9" * 30 + "." + "9" * 18


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-3, "-3"),
        (10**30 - 1, "9" * 30),
        ("0.5", "0.5"),
        ("-0", "0"),
        ("-12.50", "-12.50"),
        (WIDEST, WIDEST),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0"), "0"),
        (Decimal("1.5E+3"), "1500"),
        (Decimal(WIDEST), WIDEST),
    ],
)
def test_numbers_within_the_limits_are_read_exactly(value: object, expected: str) -> None:
    number = quantity(value, field="tokens")
    assert format(number, "f") == expected


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        0.5,
        [],
        {},
        b"5",
        "",
        " 5",
        "5\n",
        "+5",
        "05",
        "5.",
        ".5",
        "1_000",
        "1,000",
        "1e3",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "1E+1000000",
        "٣٤٥",  # Arabic digits
        "５",  # full-width digit
        "9" * 4_000,
        "0." + "0" * 4_000 + "1",
        "1" + "0" * 30,
        "0." + "0" * 18 + "1",
        10**30,
        -(10**4_000),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1E+1000000"),
        Decimal("1E-1000000"),
        Decimal("1E+30"),
        Decimal("1E-19"),
        Decimal("9" * 4_000),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{str(value)[:16]}"
        if not isinstance(value, int) or isinstance(value, bool)
        else "int"
    ),
)
def test_anything_else_is_refused_by_the_name_of_its_field(value: object) -> None:
    with pytest.raises(InvalidQuantity) as refused:
        quantity(value, field="tokens")
    assert refused.value.field == "tokens"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20)))
def test_text_json_and_decimals_mean_the_same_number(number: Decimal) -> None:
    if number.adjusted() >= 30:
        return
    text = format(number, "f")
    from_json = msgspec.json.Decoder(float_hook=Decimal).decode(text.encode())
    assert quantity(text, field="x") == quantity(from_json, field="x") == number


@given(st.text(max_size=60))
def test_no_text_is_read_as_anything_but_what_it_says(text: str) -> None:
    try:
        number = quantity(text, field="x")
    except InvalidQuantity:
        return
    assert text.isascii()
    assert format(number, "f") == text or number == 0


def test_the_finest_list_prices_are_prices() -> None:
    assert price("0.000000199999999999999990", field="amount") == Decimal("1.9999999999999999E-7")
