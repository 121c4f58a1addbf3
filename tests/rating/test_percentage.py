"""Percentage prices. Goldens: reference of Lago, charge models, item 5, and percentage_spec."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating import InvalidModel, Percentage
from rating.charge_models import read_model
from tests.rating.catalogue import properties_of
from tests.rating.playing import marginal_amounts, price_events


def decimals(*values: str | int) -> list[Decimal]:
    return [Decimal(value) for value in values]


@pytest.mark.parametrize(
    ("free_events", "free_units", "expected"),
    [(3, "250", "11.15"), (3, "0", "7.2"), (0, "0", "18.4")],
)
def test_the_free_tier_ends_at_whichever_limit_comes_first(
    free_events: int, free_units: str, expected: str
) -> None:
    # percentage_service_spec: 800 units in 4 events, running totals 50, 150, 400.
    model = Percentage(
        rate=Decimal("1.3"),
        fixed_amount=Decimal(2),
        free_units_per_events=free_events,
        free_units_per_total_aggregation=Decimal(free_units),
    )
    assert price_events(model, decimals(50, 100, 250, 400)) == Decimal(expected)


@pytest.mark.parametrize(
    ("fixed", "free_events", "free_units", "expected"),
    [
        ("0", 0, "0", "16.142"),  # 1.75 + 2.392 + 12
        ("2", 0, "0", "18.691"),
        ("0", 2, "0", "12"),
        ("0", 0, "30", "13.794"),
        ("0", 3, "10000", "2.691"),
    ],
)
def test_a_minimum_and_a_maximum_price_each_transaction_by_itself(
    fixed: str, free_events: int, free_units: str, expected: str
) -> None:
    # percentage_service_spec: rate 2.99, minimum 1.75, maximum 12.
    model = Percentage(
        rate=Decimal("2.99"),
        fixed_amount=Decimal(fixed),
        free_units_per_events=free_events,
        free_units_per_total_aggregation=Decimal(free_units),
        per_transaction_min_amount=Decimal("1.75"),
        per_transaction_max_amount=Decimal(12),
    )
    assert price_events(model, decimals(10, 80, 10_000)) == Decimal(expected)


def test_a_low_fee_is_raised_a_high_one_lowered_and_one_between_stays() -> None:
    # percentage_service_spec: 16.142 is 1.75 + 2.392 + 12.
    model = Percentage(
        rate=Decimal("2.99"),
        per_transaction_min_amount=Decimal("1.75"),
        per_transaction_max_amount=Decimal(12),
    )
    assert marginal_amounts(model, 10, 80, 10_000) == decimals("1.75", "2.392", "12")


def test_without_a_minimum_and_a_maximum_the_same_transactions_are_not_clamped() -> None:
    assert price_events(Percentage(rate=Decimal("2.99")), decimals(10, 80, 10_000)) == Decimal(
        "301.691"
    )


def test_the_free_units_are_used_up_event_by_event() -> None:
    # percentage_spec, the current usage after each event: 0, 0, 0, 501 c, 1011 c.
    model = Percentage(
        rate=Decimal(1),
        fixed_amount=Decimal(5),
        free_units_per_total_aggregation=Decimal(15),
    )
    events = decimals(4, 4, 4, 4, 10)
    usage = [price_events(model, events[:count]) for count in range(1, len(events) + 1)]
    assert usage == decimals(0, 0, 0, "5.01", "10.11")


@pytest.mark.parametrize(
    ("paid", "expected"), [([10], [510]), ([1, 10], [501, 1011]), ([5, 10], [505, 1015])]
)
@pytest.mark.parametrize("free", [[4], [4, 4, 4], [0, 15]])
def test_after_the_free_events_each_pays_its_share_and_its_fee(
    free: list[int], paid: list[int], expected: list[int]
) -> None:
    # lago.md §8 (11), current usage of percentage_spec: 510; 501 → 1011; 505 → 1015. Which events
    # were free before is not told, and does not matter: at 1 % + 5 it is 10, 1 + 10 and 5 + 10.
    model = Percentage(rate=Decimal(1), fixed_amount=Decimal(5), free_units_per_events=len(free))
    events = decimals(*free, *paid)
    usage = [price_events(model, events[: len(free) + count + 1]) for count in range(len(paid))]
    assert [int(price * 100) for price in usage] == expected
    assert price_events(model, events[: len(free)]) == 0


def test_the_usage_of_bounded_transactions_adds_up() -> None:
    # lago.md §8 (11), percentage_spec: 200 → 1300 → 2500 c. The amounts of each are 2, 11 and 12;
    # the transactions are those of pay_in_advance_charges_spec, at 1 % + 1 and 12 at most.
    model = Percentage(
        rate=Decimal(1),
        fixed_amount=Decimal(1),
        per_transaction_min_amount=Decimal("1.75"),
        per_transaction_max_amount=Decimal(12),
    )
    events = decimals(100, 1_000, 10_000)
    usage = [price_events(model, events[:count]) for count in (1, 2, 3)]
    assert usage == decimals(2, 13, 25)


def test_paid_in_advance_the_first_event_above_the_free_units_pays_the_rest() -> None:
    # pay_in_advance_charges_spec: 5 % + 1, 120 units free, with 100, 10, 20, 20.
    model = Percentage(
        rate=Decimal(5),
        fixed_amount=Decimal(1),
        free_units_per_total_aggregation=Decimal(120),
    )
    assert marginal_amounts(model, 100, 10, 20, 20) == decimals(0, 0, "1.5", "2")


def test_paid_in_advance_each_transaction_stays_between_its_bounds() -> None:
    # pay_in_advance_charges_spec: 1 % + 0.5, between 1.75 and 2, with 100, 1000, 10000.
    model = Percentage(
        rate=Decimal(1),
        fixed_amount=Decimal("0.5"),
        per_transaction_min_amount=Decimal("1.75"),
        per_transaction_max_amount=Decimal(2),
    )
    assert marginal_amounts(model, 100, 1_000, 10_000) == decimals("1.75", "2", "2")


def test_nothing_used_pays_no_fixed_fees() -> None:
    model = Percentage(rate=Decimal(1), fixed_amount=Decimal(5))
    assert marginal_amounts(model, 0, 0, 100) == decimals(0, 0, 16)


def test_fewer_events_than_free_ones_never_pay_a_negative_fee() -> None:
    model = Percentage(rate=Decimal(1), fixed_amount=Decimal(5), free_units_per_events=3)
    assert marginal_amounts(model, 10, 20, 30, 40) == decimals(0, 0, 0, "5.4")


def test_a_first_event_above_the_free_units_leaves_the_free_events_their_fees() -> None:
    # Lago compares only limits that let an event pass ("the smallest non-zero one"); so do we.
    model = Percentage(
        rate=Decimal(1),
        fixed_amount=Decimal(5),
        free_units_per_events=2,
        free_units_per_total_aggregation=Decimal(100),
    )
    assert marginal_amounts(model, 300, 100, 100) == decimals(2, 1, 6)


def test_an_event_that_uses_up_the_free_units_exactly_pays_its_fixed_fee() -> None:
    # Free events are those whose running total stays *below* the free units.
    model = Percentage(
        rate=Decimal(10), fixed_amount=Decimal(5), free_units_per_total_aggregation=Decimal(10)
    )
    assert marginal_amounts(model, 4, 6, 10) == decimals(0, 5, 6)


def test_a_free_correction_does_not_raise_the_price_of_the_rest() -> None:
    model = Percentage(rate=Decimal(10), free_units_per_events=1)
    assert marginal_amounts(model, -5, 10) == decimals(0, "0.5")


def test_a_correction_never_makes_a_period_cost_less_than_nothing() -> None:
    model = Percentage(rate=Decimal(10), free_units_per_events=1)
    assert marginal_amounts(model, 10, 20, -50) == decimals(0, 2, 0)


def test_the_fixed_fee_of_a_correction_is_paid_by_what_is_used_next() -> None:
    # It counts as an event when the period has ended, and is charged 0 (lago.md 3.3) when it comes.
    model = Percentage(rate=Decimal(1), fixed_amount=Decimal(5))
    assert marginal_amounts(model, 100, -10, 10) == decimals(6, 0, 10)
    assert price_events(model, decimals(100, -10, 10)) == 16


def test_a_correction_of_a_bounded_transaction_is_free() -> None:
    model = Percentage(rate=Decimal(10), per_transaction_min_amount=Decimal(1))
    assert marginal_amounts(model, 5, -5, 5) == decimals(1, 0, 1)


@pytest.mark.parametrize(
    ("properties", "field", "reason"),
    [
        ({}, "rate", "invalid_rate"),
        ({"rate": "-1"}, "rate", "invalid_rate"),
        ({"rate": "1", "fixed_amount": "x"}, "fixed_amount", "invalid_fixed_amount"),
        (
            {"rate": "1", "free_units_per_events": "3"},
            "free_units_per_events",
            "invalid_free_units_per_events",
        ),
        (
            {"rate": "1", "free_units_per_total_aggregation": "-3"},
            "free_units_per_total_aggregation",
            "invalid_free_units_per_total_aggregation",
        ),
        (
            {
                "rate": "1",
                "per_transaction_min_amount": "2",
                "per_transaction_max_amount": "1",
            },
            "per_transaction_max_amount",
            "per_transaction_max_lower_than_per_transaction_min",
        ),
    ],
)
def test_settings_that_make_no_percentage_are_refused(
    properties: dict[str, object], field: str, reason: str
) -> None:
    with pytest.raises(InvalidModel) as refused:
        read_model("percentage", properties)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_settings_read_back_what_they_show() -> None:
    properties = {
        "rate": "1.3",
        "fixed_amount": "0.0000000005",
        "free_units_per_events": 3,
        "free_units_per_total_aggregation": "250",
        "per_transaction_min_amount": None,
        "per_transaction_max_amount": "12",
    }
    assert properties_of(read_model("percentage", properties)) == properties


@given(
    quantities=st.lists(st.decimals(0, 100, places=1), max_size=6),
    free_events=st.integers(0, 3),
    free_units=st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(60), Decimal(500)]),
)
def test_bounded_transactions_take_the_free_tier_first_and_are_then_clamped(
    quantities: list[Decimal], free_events: int, free_units: Decimal
) -> None:
    """The definition once more, as plainly as it can be written."""
    expected = Decimal(0)
    for position, units in enumerate(quantities):
        used_before = sum(quantities[:position], Decimal(0))
        is_in_tier = bool(free_events or free_units) and (not free_events or position < free_events)
        left = max(free_units - used_before, Decimal(0)) if free_units else units
        paid = max(units - left, Decimal(0)) if is_in_tier else units
        if paid:
            expected += min(max(paid * 3 / 100 + 1, Decimal(2)), Decimal(3))
    model = Percentage(
        rate=Decimal(3),
        fixed_amount=Decimal(1),
        free_units_per_events=free_events,
        free_units_per_total_aggregation=free_units,
        per_transaction_min_amount=Decimal(2),
        per_transaction_max_amount=Decimal(3),
    )
    assert price_events(model, quantities) == expected
