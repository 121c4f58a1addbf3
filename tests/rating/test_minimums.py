"""Minimums of a charge, and prices in units that are not money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.money import Rounding, to_minor
from rating import Conversion
from rating.minimums import true_up
from rating.pricing_units import converted_fee
from tests.rating.metering import period

# A subscription that began on the 4th: 25 of the 28 days of February.
PART = period("2023-02-04", "2023-03-01", full_days=28)


@pytest.mark.parametrize(
    ("minimum", "used", "expected"),
    [
        ("10.00", "8.00", 93),
        ("100.00", "70.00", 1929),  # two filters, of 20.00 and 50.00
        ("10.00", "8.93", 0),
        ("10.00", "100.00", 0),
        ("10.00", "0", 893),
    ],
)
def test_what_is_missing_to_the_days_share_of_the_minimum_is_due(
    minimum: str, used: str, expected: int
) -> None:
    # spec/scenarios/spending_minimum_spec.rb
    assert PART.days == 25
    due = true_up(Decimal(minimum), used=Decimal(used), period=PART)
    assert to_minor(due, 2, Rounding.HALF_AWAY) == expected


@pytest.mark.parametrize(
    ("start", "end", "full_days", "expected"),
    [
        ("2023-02-01", "2023-02-06", 7, 642_857),  # from Wednesday, of a week
        ("2023-02-01", "2023-03-01", 28, 900_000),
        ("2023-02-04", "2023-03-01", 28, 803_571),
    ],
)
def test_a_commitment_is_missed_by_its_days_share_less_the_fee_for_them(
    start: str, end: str, full_days: int, expected: int
) -> None:
    # lago.md §4, spec/scenarios/commitments/minimum/in_arrears_spec.rb: 10,000.00 committed, and
    # nothing paid but the subscription of 1,000.00, for as many days.
    part = period(start, end, full_days=full_days)
    fee = to_minor(Decimal(1_000) * part.days / full_days, 2, Rounding.HALF_AWAY)
    due = true_up(Decimal(10_000), used=Decimal(fee) / 100, period=part)
    assert to_minor(due, 2, Rounding.HALF_AWAY) == expected


def test_a_whole_period_has_the_whole_minimum() -> None:
    february = period("2023-02-01", "2023-03-01")
    assert true_up(Decimal(10), used=Decimal("9.5"), period=february) == Decimal("0.5")


def test_a_fee_in_a_pricing_unit_is_rounded_in_it_before_it_is_money() -> None:
    # lago.md 3.3, applied pricing unit: rounded to the unit's exponent, then times the rate
    tokens = Conversion(code="tokens", scale=1, rate=Decimal("0.05"))
    assert converted_fee(Decimal("10.25"), tokens) == Decimal("0.515")
    assert converted_fee(Decimal("10.24"), tokens) == Decimal("0.51")
    whole = Conversion(code="points", scale=0, rate=Decimal("0.333333"))
    assert converted_fee(Decimal("2.5"), whole) == Decimal("0.999999")


def test_a_fee_in_money_is_what_it_is() -> None:
    assert converted_fee(Decimal("1.23456789"), None) == Decimal("1.23456789")
