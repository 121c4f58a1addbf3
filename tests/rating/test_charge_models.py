"""What every charge model promises, whatever its settings: properties, model by model."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import reduce
from typing import TypeAlias
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from rating import (
    ZERO_TOTAL,
    ChargeModel,
    Dynamic,
    Graduated,
    Package,
    Percentage,
    Standard,
    Total,
    Volume,
)
from rating.charge_models import CHARGE_MODELS, RunningModel, name_of, read_model
from rating.charge_models.ranges import RateRange, UnitRange
from rating.exact import EXACT
from tests.rating import strategies as some
from tests.rating.catalogue import properties_of
from tests.rating.playing import price_events

ByUnits: TypeAlias = Standard | Package | Graduated | Volume
a_quantity = some.decimals_between(0, 300, places=3)


def after(model: RunningModel, quantities: list[Decimal]) -> Total:
    return reduce(model.add, quantities, ZERO_TOTAL)


def total_of(quantities: list[Decimal]) -> Decimal:
    return reduce(EXACT.add, quantities, Decimal(0))


# -- more units, more money


@given(some.running, some.usage_with_corrections)
def test_less_than_no_units_cost_nothing_not_even_a_flat_amount(
    model: RunningModel, quantities: list[Decimal]
) -> None:
    # lago.md 3.3, fee amount: negative units → 0. Transactions with bounds are priced one by one.
    assume(not (isinstance(model, Percentage) and model.has_bounds))
    taken = [*quantities, Decimal("-0.001") - max(total_of(quantities), Decimal(0))]
    assert after(model, taken).units < 0
    assert after(model, taken).amount == price_events(model, taken) == 0


@given(some.running, some.usage, a_quantity, a_quantity)
def test_the_highest_price_covers_whatever_is_used_of_it(
    model: RunningModel, before: list[Decimal], used: Decimal, unused: Decimal
) -> None:
    total = after(model, before)
    assert model.highest(total, used + unused) >= model.add(total, used).amount


@given(some.volumes, st.integers(0, 90), st.integers(0, 90))
def test_the_highest_volume_price_is_one_that_is_reached(
    model: Volume, before: int, units: int
) -> None:
    total = after(model, [Decimal(before)])
    on_the_way = [model.price(Decimal(before + used)) for used in range(units + 1)]
    highest = model.highest(total, Decimal(units))
    assert highest == max(on_the_way[1:] or on_the_way)


# -- unit by unit: the definition once more, as plainly as it can be written


def tier_at(ranges: tuple[UnitRange, ...] | tuple[RateRange, ...], unit: int) -> int:
    """The range that the n-th unit falls in."""
    for position, tier in enumerate(ranges):
        if tier.to_value is None or unit <= tier.to_value:
            assert tier.from_value <= unit
            return position
    raise AssertionError(unit)


@given(some.classic_graduated, st.integers(0, 150))
def test_graduated_units_pay_one_by_one_in_the_range_they_fall_in(
    model: Graduated, units: int
) -> None:
    ranges = model.graduated_ranges
    reached = {0, *(tier_at(ranges, unit) for unit in range(1, units + 1))}
    flats = total_of([ranges[position].flat_amount for position in reached])
    singles = [ranges[tier_at(ranges, unit)].per_unit_amount for unit in range(1, units + 1)]
    assert model.price(Decimal(units)) == flats + total_of(singles)


@given(some.volumes, st.integers(1, 150))
def test_all_units_pay_what_the_last_one_pays(model: Volume, units: int) -> None:
    tier = model.volume_ranges[tier_at(model.volume_ranges, units)]
    assert model.price(Decimal(units)) == units * tier.per_unit_amount + tier.flat_amount


# -- real time and the period's end


@given(some.running, some.usage_with_corrections)
def test_a_running_total_is_the_price_of_its_events(
    model: RunningModel, quantities: list[Decimal]
) -> None:
    total = ZERO_TOTAL
    for count, units in enumerate(quantities, start=1):
        total = model.add(total, units)
        assert total.amount == price_events(model, quantities[:count]) >= 0
        assert (total.units, total.events) == (total_of(quantities[:count]), count)


@given(some.running)
def test_a_period_without_events_costs_nothing(model: RunningModel) -> None:
    assert price_events(model, []) == ZERO_TOTAL.amount == 0
    assert model.rebase(ZERO_TOTAL).amount == 0


@given(
    some.summable,
    some.usage_with_corrections.flatmap(
        lambda events: st.tuples(st.just(events), st.permutations(events))
    ),
)
def test_the_order_of_events_does_not_matter_to_sums(
    model: RunningModel, orders: tuple[list[Decimal], list[Decimal]]
) -> None:
    assert after(model, orders[0]) == after(model, orders[1])
    assert price_events(model, orders[0]) == price_events(model, orders[1])


@given(some.plain_percentages, some.usage_with_corrections)
def test_sums_are_enough_for_a_percentage_without_a_free_tier(
    model: Percentage, quantities: list[Decimal]
) -> None:
    assert model.is_summable
    assert model.price_total(units=total_of(quantities), events=len(quantities)) == price_events(
        model, quantities
    )


@given(
    st.lists(
        st.tuples(
            some.decimals_between(-9, 9, places=1), some.decimals_between(-900, 900, places=4)
        )
    )
)
def test_dynamic_prices_are_summed_and_are_none_where_nothing_was_used(
    events: list[tuple[Decimal, Decimal]],
) -> None:
    units, cents = [event[0] for event in events], [event[1] for event in events]
    price = Dynamic().price_total(
        units=total_of(units), events=len(events), precise_amount_cents=total_of(cents)
    )
    assert price == (max(total_of(cents) / 100, Decimal(0)) if total_of(units) > 0 else 0)


@pytest.mark.parametrize(
    "model",
    [
        Percentage(rate=Decimal(1), free_units_per_events=1),
        Percentage(rate=Decimal(1), free_units_per_total_aggregation=Decimal(1)),
        Percentage(rate=Decimal(1), per_transaction_min_amount=Decimal(0)),
        Percentage(rate=Decimal(1), per_transaction_max_amount=Decimal(1)),
    ],
    ids=["free events", "free units", "minimum", "maximum"],
)
def test_a_free_tier_or_a_bound_needs_every_event(model: Percentage) -> None:
    assert not model.is_summable
    with pytest.raises(AssertionError):
        model.price_total(units=Decimal(5), events=1)


# -- prices that change within a period


@given(some.running, some.usage)
def test_usage_that_a_model_has_priced_stays_as_it_is_under_the_same(
    model: RunningModel, quantities: list[Decimal]
) -> None:
    total = after(model, quantities)
    assert model.rebase(total) == total


@given(some.running, some.by_units | some.plain_percentages, some.usage)
def test_usage_under_new_prices_costs_what_it_would_have_cost(
    old: RunningModel, new: RunningModel, quantities: list[Decimal]
) -> None:
    assert new.rebase(after(old, quantities)).amount == price_events(new, quantities)


@given(some.running, some.rising, some.usage, a_quantity)
def test_going_on_under_new_prices_never_costs_less_than_nothing(
    old: RunningModel, new: RunningModel, quantities: list[Decimal], units: Decimal
) -> None:
    total = new.rebase(after(old, quantities))
    assert new.add(total, units).amount >= total.amount


@given(some.bounded_percentages(), some.running, some.usage)
def test_transactions_that_were_bounded_one_by_one_keep_their_price(
    new: Percentage, old: RunningModel, quantities: list[Decimal]
) -> None:
    total = after(old, quantities)
    is_bounded = (new.per_transaction_min_amount, new.per_transaction_max_amount) != (None, None)
    assume(is_bounded)
    assert new.rebase(total).amount == total.amount


def test_a_longer_free_tier_takes_in_what_was_used_under_a_shorter_one() -> None:
    short = Percentage(rate=Decimal(10), free_units_per_total_aggregation=Decimal(100))
    long = Percentage(rate=Decimal(10), free_units_per_total_aggregation=Decimal(250))
    used = after(short, [Decimal(120), Decimal(80)])
    assert used.amount == 10
    assert long.rebase(used).amount == 0
    assert long.add(long.rebase(used), Decimal(60)).amount == 1
    assert long.rebase(after(short, [Decimal(120), Decimal(180)])).amount == 5


def test_more_free_events_take_in_what_was_paid_under_fewer() -> None:
    few = Percentage(rate=Decimal(10), fixed_amount=Decimal(1), free_units_per_events=1)
    more = Percentage(rate=Decimal(10), fixed_amount=Decimal(1), free_units_per_events=3)
    used = after(few, [Decimal(10), Decimal(10)])
    assert used.amount == 2
    assert more.rebase(used).amount == 0
    assert after(more, [Decimal(10)] * 4) == more.add(
        more.add(more.rebase(used), Decimal(10)), Decimal(10)
    )


@given(some.running, some.usage)
def test_what_a_total_carries_besides_is_kept(
    model: RunningModel, quantities: list[Decimal]
) -> None:
    carried = replace(after(model, quantities), charged=Decimal(7), plan_version_id=UUID(int=5))
    for total in (model.add(carried, Decimal(1)), model.rebase(carried)):
        assert (total.charged, total.plan_version_id) == (7, UUID(int=5))


# -- settings


@given(some.running | st.just(Dynamic()))
def test_settings_read_back_what_they_show(model: ChargeModel) -> None:
    shown = properties_of(model)
    assert read_model(name_of(model), shown) == model
    assert read_model(name_of(model), json.loads(json.dumps(shown))) == model


def test_every_model_is_in_the_catalogue_under_its_name() -> None:
    assert set(CHARGE_MODELS) == {
        "standard",
        "graduated",
        "graduated_percentage",
        "package",
        "percentage",
        "volume",
        "dynamic",
    }
    for name, model in CHARGE_MODELS.items():
        assert model.__struct_config__.tag == name
