"""Real-time prices: event by event they add up to the period, however the events come."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

import msgspec
import pytest
from hypothesis import given

from rating import (
    ZERO_TOTAL,
    ChargeModel,
    Package,
    Percentage,
    Standard,
    Total,
    linear,
    marginal,
    upper_bound,
)
from rating.exact import EXACT
from tests.rating.playing import line, play, price_events
from tests.rating.strategies import (
    decimals_between,
    rising,
    running,
    standards,
    usage,
    usage_with_corrections,
)


@given(rising, usage)
def test_marginal_prices_add_up_to_the_price_of_the_period(
    model: ChargeModel, quantities: list[Decimal]
) -> None:
    prices, total = play(model, quantities)
    assert reduce(EXACT.add, prices, Decimal(0)) == price_events(model, quantities)
    assert total.amount == total.charged == price_events(model, quantities)
    assert (total.units, total.events) == (sum(quantities), len(quantities))


@given(running, usage_with_corrections)
def test_with_corrections_they_add_up_to_the_highest_price_that_usage_has_reached(
    model: ChargeModel, quantities: list[Decimal]
) -> None:
    prices, total = play(model, quantities)
    assert total.amount == price_events(model, quantities)
    assert all(price >= 0 for price in prices)
    assert not any(price for price, units in zip(prices, quantities, strict=True) if units < 0)
    ends = [n for n, units in enumerate(quantities, 1) if units >= 0]
    reached = [price_events(model, quantities[:n]) for n in ends]
    assert reduce(EXACT.add, prices, Decimal(0)) == total.charged == max(reached, default=0)


@given(
    rising,
    usage,
    decimals_between(0, 200, places=3),
    decimals_between(0, 200, places=3),
)
def test_more_usage_never_costs_less(
    model: ChargeModel, before: list[Decimal], some: Decimal, more: Decimal
) -> None:
    total = play(model, before)[1]
    price_of_some = marginal(line(model, some), total)[0]
    price_of_all = marginal(line(model, some + more), total)[0]
    assert 0 <= price_of_some <= price_of_all


@given(
    running,
    usage,
    decimals_between(0, 200, places=3),
    decimals_between(0, 200, places=3),
)
def test_a_hold_for_the_most_covers_whatever_is_used(
    model: ChargeModel, before: list[Decimal], used: Decimal, unused: Decimal
) -> None:
    total = play(model, before)[1]
    held, _ = upper_bound(line(model, used + unused), total)
    assert held >= marginal(line(model, used), total)[0]


def test_a_free_tier_counts_events_in_the_order_in_which_they_came_in() -> None:
    first_free = Percentage(rate=Decimal(10), free_units_per_events=1)
    assert price_events(first_free, [Decimal(10), Decimal(90)]) == 9
    assert price_events(first_free, [Decimal(90), Decimal(10)]) == 1


@given(running, usage_with_corrections, usage_with_corrections)
def test_a_total_stored_and_read_back_goes_on_as_if_it_had_stayed(
    model: ChargeModel, before: list[Decimal], after: list[Decimal]
) -> None:
    total = play(model, before)[1]
    stored = msgspec.json.decode(msgspec.json.encode(total), type=Total)
    assert stored == total
    for units in after:
        total = marginal(line(model, units), total)[1]
        stored = marginal(line(model, units), stored)[1]
    assert stored == total


@given(standards, usage)
def test_linear_prices_need_no_total(model: Standard, quantities: list[Decimal]) -> None:
    prices = play(model, quantities)[0]
    assert prices == [linear(line(model, units)) for units in quantities]


def test_what_is_used_again_after_a_correction_is_free_up_to_the_former_total() -> None:
    dollar_each = Standard(amount=Decimal(1))
    assert play(dollar_each, [5, -3, -9, 4, 8, 1])[0] == [5, 0, 0, 0, 0, 1]
    assert linear(line(dollar_each, -3)) == 0
    assert upper_bound(line(dollar_each, -3), ZERO_TOTAL)[0] == 0


def test_only_linear_prices_can_be_asked_for_without_a_total() -> None:
    with pytest.raises(AssertionError):
        linear(line(Package(amount=Decimal(1), package_size=10), 1))
