"""Fixed charges: what a subscription has, whatever it uses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.money import Rounding, to_minor
from rating import Graduated, Standard, Volume
from rating.fixed_charges import (
    FixedTerms,
    UnitsChange,
    fixed_fees_in_advance,
    rate_fixed_charge,
)
from tests.rating.metering import at, period, ranges

JUNE = period("2024-06-01", "2024-07-01")
TEN_EACH = Standard(amount=Decimal(10))
GRADES = Graduated.from_properties({"graduated_ranges": ranges((0, 5, 10, 100), (6, None, 5, 50))})


def changes(*given: tuple[str, int]) -> list[UnitsChange]:
    return [UnitsChange(at(when), Decimal(units)) for when, units in given]


@pytest.mark.parametrize(
    ("units", "fees"),
    [
        ([10, 15], [5000]),
        ([10, 5], [0]),
        ([10, 5, 15], [0, 5000]),
        ([10, 5, 10], [0, 0]),
    ],
)
def test_more_units_at_once_are_billed_by_what_they_add(units: list[int], fees: list[int]) -> None:
    # lago.md 3.3, fixed charges: 10 → 15 at 10.00 is 50.00, a decrease 0, 10 → 5 → 15 is 50.00
    days = ["2024-05-01", "2024-06-11", "2024-06-12"]
    billed = fixed_fees_in_advance(
        FixedTerms(model=TEN_EACH, pay_in_advance=True),
        changes(*zip(days, units, strict=False)),
        JUNE,
    )
    assert billed.carried == 100
    assert [to_minor(fee, 2, Rounding.HALF_AWAY) for fee in billed.events] == fees


def test_what_is_billed_in_advance_is_what_the_period_costs() -> None:
    terms = FixedTerms(model=GRADES, pay_in_advance=True)
    history = changes(("2024-05-01", 3), ("2024-06-11", 7), ("2024-06-12", 2))
    billed = fixed_fees_in_advance(terms, history, JUNE)
    assert billed.carried == 3 * 10 + 100
    assert billed.events == (2 * 10 + 2 * 5 + 50, 0)
    assert rate_fixed_charge(terms, history, JUNE).amount == billed.total


def test_prorated_units_in_advance_pay_for_the_days_that_are_left() -> None:
    terms = FixedTerms(model=TEN_EACH, pay_in_advance=True, prorated=True)
    billed = fixed_fees_in_advance(terms, changes(("2024-05-01", 3), ("2024-06-16", 5)), JUNE)
    assert (billed.carried, billed.events) == (30, (10,))  # two more for half a month


def test_a_subscription_that_begins_within_the_period_pays_its_days_if_prorated() -> None:
    part = period("2024-06-16", "2024-07-01", full_days=30)
    begun = changes(("2024-06-16", 4))
    for in_advance in (True, False):
        prorated = FixedTerms(model=TEN_EACH, pay_in_advance=in_advance, prorated=True)
        assert rate_fixed_charge(prorated, begun, part).amount == 20
        assert rate_fixed_charge(FixedTerms(model=TEN_EACH), begun, part).amount == 40


def test_in_arrears_the_units_at_the_end_are_paid() -> None:
    terms = FixedTerms(model=TEN_EACH)
    history = changes(("2024-05-01", 10), ("2024-06-11", 15), ("2024-06-21", 4))
    assert rate_fixed_charge(terms, history, JUNE).amount == 40


def test_in_arrears_prorated_the_units_are_paid_day_by_day() -> None:
    terms = FixedTerms(model=TEN_EACH, prorated=True)
    history = changes(("2024-05-01", 10), ("2024-06-11", 15), ("2024-06-21", 4))
    # ten days of 10, ten of 15, ten of 4
    assert rate_fixed_charge(terms, history, JUNE).units == Decimal("9.66667")


def test_a_graduated_fixed_charge_walks_its_ranges_if_prorated() -> None:
    terms = FixedTerms(model=GRADES, prorated=True)
    history = changes(("2024-05-01", 5), ("2024-06-16", 7))
    assert rate_fixed_charge(terms, history, JUNE).amount == 5 * 10 + 100 + 2 * 5 / 2 + 50


def test_a_volume_fixed_charge_is_priced_by_the_range_of_its_units() -> None:
    rates = ranges((0, 10, 2, 0), (11, None, 1, 3))
    terms = FixedTerms(model=Volume.from_properties({"volume_ranges": rates}), prorated=True)
    history = changes(("2024-05-01", 8), ("2024-06-16", 12))
    assert rate_fixed_charge(terms, history, JUNE).amount == 8 + Decimal(4) / 2 + 3


def test_a_change_agreed_for_the_next_period_costs_nothing_in_this_one() -> None:
    terms = FixedTerms(model=TEN_EACH, pay_in_advance=True)
    history = changes(("2024-05-01", 10), ("2024-07-01", 15))
    assert rate_fixed_charge(terms, history, JUNE).amount == 100
    july = period("2024-07-01", "2024-08-01")
    assert rate_fixed_charge(terms, history, july).amount == 150


def test_of_two_changes_at_one_time_the_later_given_wins() -> None:
    terms = FixedTerms(model=TEN_EACH)
    history = changes(("2024-06-11", 10), ("2024-06-11", 3))
    assert rate_fixed_charge(terms, history, JUNE).amount == 30


def test_no_units_cost_nothing() -> None:
    for terms in (FixedTerms(model=GRADES), FixedTerms(model=GRADES, prorated=True)):
        assert rate_fixed_charge(terms, changes(("2024-06-11", 0)), JUNE).amount == 0
        assert rate_fixed_charge(terms, [], JUNE).amount == 0
