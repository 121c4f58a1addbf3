"""Thirty digits survive every operation; the thread's own decimal context has no say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, Inexact, localcontext
from fractions import Fraction
from functools import reduce
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating import (
    ChargeModel,
    Dynamic,
    Graduated,
    GraduatedPercentage,
    Package,
    Percentage,
    Standard,
    Volume,
    linear,
)
from rating.charge_models.ranges import RateRange, UnitRange
from rating.exact import EXACT
from tests.rating.playing import charged, line, price, price_events
from tests.rating.ranges import graduated


@given(st.integers(min_value=1, max_value=10**30 - 1), st.integers(1, 10**30 - 1))
def test_thirty_digits_times_thirty_digits_is_exact(units: int, mantissa: int) -> None:
    model = Standard(amount=Decimal(mantissa).scaleb(-30, EXACT))
    assert linear(line(model, units)).scaleb(30, EXACT) == units * mantissa


def test_a_result_that_cannot_be_kept_whole_is_an_error() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


def test_ten_million_tokens_at_a_price_with_float_noise_are_exact() -> None:
    noisy = Standard(amount=Decimal("1.9999999999999999E-7"))
    assert linear(line(noisy, 10_000_000)) == Decimal("1.9999999999999999")


def test_a_hundred_ranges_of_the_longest_prices_are_exact() -> None:
    dearest = f"{10**18 - 1}.{'9' * 30}"
    ends = [10**28 + n for n in range(99)]
    begins = [0, *(end + 1 for end in ends)]
    text = [f"{begin}-{end}@{dearest}+{dearest}" for begin, end in zip(begins, ends, strict=False)]
    model = graduated(", ".join([*text, f"{begins[-1]}+@{dearest}+{dearest}"]))
    units = Decimal(f"{10**30 - 1}.{'9' * 18}")
    expected = EXACT.multiply(EXACT.add(units, Decimal(100)), Decimal(dearest))
    assert model.price(units) == price_events(model, [units]) == expected


# -- every model, against its definition in fractions

thirty_digits = st.integers(0, 10**48 - 1).map(lambda number: Decimal(number).scaleb(-18, EXACT))
long_prices = st.integers(0, 10**48 - 1).map(lambda number: Decimal(number).scaleb(-30, EXACT))
long_rates = st.integers(0, 10**32 - 1).map(lambda number: Decimal(number).scaleb(-30, EXACT))


@st.composite
def long_bounds(draw: st.DrawFn, *, adjacent: bool) -> list[tuple[Decimal, Decimal | None]]:
    """Where ranges begin and end: between whole units, or anywhere."""
    ends = sorted(draw(st.sets(st.integers(1, 10**29), max_size=3)))
    if adjacent:
        tops = [Decimal(end).scaleb(-18, EXACT) for end in ends]
        return list(zip([Decimal(0), *tops], [*tops, None], strict=True))
    begins = [Decimal(0), *(Decimal(end + 1) for end in ends)]
    return list(zip(begins, [*map(Decimal, ends), None], strict=True))


@st.composite
def long_ranges(draw: st.DrawFn, *, adjacent: bool = False) -> tuple[UnitRange, ...]:
    return tuple(
        UnitRange(
            from_value=begin,
            to_value=end,
            per_unit_amount=draw(long_prices),
            flat_amount=draw(long_prices),
        )
        for begin, end in draw(long_bounds(adjacent=adjacent))
    )


@st.composite
def long_rate_ranges(draw: st.DrawFn) -> tuple[RateRange, ...]:
    return tuple(
        RateRange(
            from_value=begin, to_value=end, rate=draw(long_rates), flat_amount=draw(long_prices)
        )
        for begin, end in draw(long_bounds(adjacent=False))
    )


LONG: Final[Mapping[str, st.SearchStrategy[ChargeModel]]] = {
    "standard": st.builds(Standard, amount=long_prices),
    "graduated": st.builds(Graduated, graduated_ranges=long_ranges()),
    "graduated, adjacent": st.builds(Graduated, graduated_ranges=long_ranges(adjacent=True)),
    "graduated_percentage": st.builds(
        GraduatedPercentage, graduated_percentage_ranges=long_rate_ranges()
    ),
    "package": st.builds(
        Package,
        amount=long_prices,
        package_size=st.integers(1, 10**18),
        free_units=st.integers(0, 10**18),
    ),
    "percentage": st.builds(
        Percentage,
        rate=long_rates,
        fixed_amount=long_prices,
        free_units_per_events=st.integers(0, 2),
    ),
    "percentage, bounded": st.builds(
        Percentage,
        rate=long_rates,
        fixed_amount=long_prices,
        per_transaction_max_amount=long_prices,
    ),
    "volume": st.builds(Volume, volume_ranges=long_ranges()),
    "dynamic": st.just(Dynamic()),
}


@pytest.mark.parametrize("kind", LONG)
@given(data=st.data())
def test_thirty_digits_are_exact_however_careless_the_thread(
    kind: str, data: st.DataObject
) -> None:
    """Against the definition in fractions; the thread's own decimal context has no say."""
    model = data.draw(LONG[kind])
    events = data.draw(st.lists(st.tuples(thirty_digits, long_prices), max_size=4))
    with localcontext() as careless:
        careless.prec = 3
        amount, paid = price(model, events), reduce(EXACT.add, charged(model, events), Decimal(0))
    in_fractions = [(Fraction(units), Fraction(cents)) for units, cents in events]
    assert Fraction(amount) == DEFINED[type(model)](model, in_fractions)
    if not isinstance(model, Volume) and all(units for units, _ in events):
        assert paid == amount


Exact: TypeAlias = Sequence[tuple[Fraction, Fraction]]


def fraction_of_ranges(model: Graduated | GraduatedPercentage, events: Exact) -> Fraction:
    units = sum((used for used, _ in events), Fraction(0))
    if isinstance(model, Graduated):
        tiers = [(one, Fraction(one.per_unit_amount)) for one in model.graduated_ranges]
    else:
        tiers = [(one, Fraction(one.rate) / 100) for one in model.graduated_percentage_ranges]
    bottoms = [Fraction(0), *(Fraction(one.to_value) for one, _ in tiers if one.to_value)]
    return sum(
        (
            (min(units, Fraction(one.to_value or units)) - bottom) * each
            + Fraction(one.flat_amount)
            for (one, each), bottom in zip(tiers, bottoms, strict=True)
            if events and (units > bottom or not bottom)
        ),
        Fraction(0),
    )


def fraction_of_a_percentage(model: Percentage, events: Exact) -> Fraction:
    rate, fee = Fraction(model.rate) / 100, Fraction(model.fixed_amount)
    paid = [units for units, _ in events[model.free_units_per_events :]]
    if model.per_transaction_max_amount is not None:
        most = Fraction(model.per_transaction_max_amount)
        return sum((min(units * rate + fee, most) for units in paid if units), Fraction(0))
    if not any(units for units, _ in events):
        return Fraction(0)
    return sum(paid, Fraction(0)) * rate + len(paid) * fee


def fraction_of_packages(model: Package, events: Exact) -> Fraction:
    paid = sum((units for units, _ in events), Fraction(0)) - model.free_units
    return max(-(-paid // model.package_size), 0) * Fraction(model.amount)


def fraction_of_a_volume(model: Volume, events: Exact) -> Fraction:
    units = sum((used for used, _ in events), Fraction(0))
    holds = next(
        one for one in model.volume_ranges if one.to_value is None or units <= one.to_value
    )
    return (units * Fraction(holds.per_unit_amount) + Fraction(holds.flat_amount)) * bool(events)


DEFINED: Final[Mapping[type, Callable[..., Fraction]]] = {
    Standard: lambda model, events: (
        sum((units for units, _ in events), Fraction(0)) * Fraction(model.amount)
    ),
    Graduated: fraction_of_ranges,
    GraduatedPercentage: fraction_of_ranges,
    Package: fraction_of_packages,
    Percentage: fraction_of_a_percentage,
    Volume: fraction_of_a_volume,
    Dynamic: lambda _, events: (
        sum((cents for _, cents in events), Fraction(0)) / 100 * any(units for units, _ in events)
    ),
}
