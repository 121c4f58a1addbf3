"""Rounding of aggregated units."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.rounding import ROUNDING_FUNCTIONS, RoundingFunction, rounded

UNITS = st.decimals(
    min_value=-(10**30), max_value=10**30, places=18, allow_nan=False, allow_infinity=False
)
PRECISIONS = st.integers(-20, 20)


@pytest.mark.parametrize(
    ("units", "function", "precision", "expected"),
    [
        # Source: Lago documentation, `billable-metrics/rounding`.
        ("123.4567", "round", -1, "120"),
        ("123.4567", "round", 0, "123"),
        ("123.4567", "round", 2, "123.46"),
        ("123.4567", "ceil", 0, "124"),
        ("123.4567", "ceil", 2, "123.46"),
        ("123.4567", "ceil", -1, "130"),
        ("123.4567", "floor", 0, "123"),
        ("123.4567", "floor", 2, "123.45"),
        ("123.4567", "floor", -2, "100"),
        ("0.5", "round", 0, "1"),
        ("1.5", "round", 0, "2"),
        ("2.5", "round", 0, "3"),
        ("-2.5", "round", 0, "-3"),
        ("-2.5", "ceil", 0, "-2"),
        ("-2.5", "floor", 0, "-3"),
        ("-0.4", "round", 0, "0"),
        ("-0.4", "ceil", 0, "0"),
        ("4", "round", -1, "0"),
        ("5", "round", -1, "10"),
        ("7", "round", 3, "7.000"),
    ],
)
def test_units_are_rounded_as_the_metric_says(
    units: str, function: RoundingFunction, precision: int, expected: str
) -> None:
    number = rounded(Decimal(units), function=function, precision=precision)
    assert str(number) == expected


@given(units=UNITS, precision=PRECISIONS, function=st.sampled_from(ROUNDING_FUNCTIONS))
def test_a_rounded_quantity_is_a_multiple_of_its_step_and_near(
    units: Decimal, precision: int, function: RoundingFunction
) -> None:
    step = Fraction(10) ** -precision
    number = Fraction(rounded(units, function=function, precision=precision))
    difference = number - Fraction(units)
    assert (number / step).denominator == 1
    if function == "round":
        assert abs(difference) <= step / 2
        if abs(difference) == step / 2:
            assert abs(number) > abs(Fraction(units))
    elif function == "ceil":
        assert 0 <= difference < step
    else:
        assert -step < difference <= 0


@given(units=UNITS, precision=PRECISIONS, function=st.sampled_from(ROUNDING_FUNCTIONS))
def test_rounding_twice_is_rounding_once(
    units: Decimal, precision: int, function: RoundingFunction
) -> None:
    once = rounded(units, function=function, precision=precision)
    assert rounded(once, function=function, precision=precision) == once


@given(units=UNITS, precision=PRECISIONS)
def test_up_of_a_correction_is_down_of_the_usage(units: Decimal, precision: int) -> None:
    up = rounded(units.copy_negate(), function="ceil", precision=precision)
    down = rounded(units, function="floor", precision=precision)
    assert up == down.copy_negate()
