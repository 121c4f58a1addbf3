"""Charge models of every kind, with settings drawn at random, and usage to price."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate

from hypothesis import strategies as st
from msgspec.structs import replace

from rating import Graduated, GraduatedPercentage, Package, Percentage, Standard, Volume
from rating.charge_models.ranges import RateRange, UnitRange


def decimals_between(low: int, high: int, *, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=low, max_value=high, places=places)


amounts = decimals_between(0, 100, places=6)
rates = decimals_between(0, 100, places=3)
usage = st.lists(decimals_between(0, 200, places=3), max_size=8)
usage_with_corrections = st.lists(decimals_between(-200, 200, places=3), max_size=8)

standards = st.builds(Standard, amount=amounts)
packages = st.builds(
    Package, amount=amounts, package_size=st.integers(1, 50), free_units=st.integers(0, 50)
)
plain_percentages = st.builds(Percentage, rate=rates, fixed_amount=amounts)
percentages = st.builds(
    Percentage,
    rate=rates,
    fixed_amount=decimals_between(0, 5, places=2),
    free_units_per_events=st.integers(0, 4),
    free_units_per_total_aggregation=st.just(Decimal(0)) | decimals_between(0, 300, places=1),
)


@st.composite
def bounded_percentages(draw: st.DrawFn) -> Percentage:
    minimum = draw(st.none() | decimals_between(0, 3, places=2))
    maximum = draw(st.none() | decimals_between(3, 9, places=2))
    return replace(
        draw(percentages),
        per_transaction_min_amount=minimum,
        per_transaction_max_amount=maximum,
    )


@st.composite
def bounds(draw: st.DrawFn, *, adjacent: bool) -> list[tuple[Decimal, Decimal | None]]:
    """Where ranges begin and end, in one of the two forms."""
    widths = decimals_between(1, 40, places=1) if adjacent else st.integers(1, 40).map(Decimal)
    ends = list(accumulate(draw(st.lists(widths, max_size=5))))
    step = Decimal(0) if adjacent else Decimal(1)
    begins = [Decimal(0), *(end + step for end in ends)]
    return list(zip(begins, [*ends, None], strict=True))


@st.composite
def unit_ranges(draw: st.DrawFn, *, adjacent: bool = False) -> tuple[UnitRange, ...]:
    return tuple(
        UnitRange(
            from_value=begin,
            to_value=end,
            per_unit_amount=draw(amounts),
            flat_amount=draw(amounts),
        )
        for begin, end in draw(bounds(adjacent=adjacent))
    )


@st.composite
def rate_ranges(draw: st.DrawFn) -> tuple[RateRange, ...]:
    return tuple(
        RateRange(from_value=begin, to_value=end, rate=draw(rates), flat_amount=draw(amounts))
        for begin, end in draw(bounds(adjacent=False))
    )


classic_graduated = st.builds(Graduated, graduated_ranges=unit_ranges())
adjacent_graduated = st.builds(Graduated, graduated_ranges=unit_ranges(adjacent=True))
graduated = classic_graduated | adjacent_graduated
graduated_percentages = st.builds(GraduatedPercentage, graduated_percentage_ranges=rate_ranges())
volumes = st.builds(Volume, volume_ranges=unit_ranges())

rising_by_units = standards | packages | graduated | graduated_percentages
"""Models that look at units alone, and cost more, or the same, for more."""
by_units = rising_by_units | volumes
rising = rising_by_units | percentages | bounded_percentages()
running = by_units | percentages | bounded_percentages()
"""Models that go on from a total."""
summable = by_units | plain_percentages


def parted(quantities: list[Decimal]) -> list[Decimal]:
    """Every quantity as two, their sum the same."""
    halves = [(units / 2).quantize(Decimal("0.001")) for units in quantities]
    return [
        part
        for units, half in zip(quantities, halves, strict=True)
        for part in (half, units - half)
    ]
