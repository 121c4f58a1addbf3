"""Thirty digits survive every operation; the thread's own decimal context has no say."""

from __future__ import annotations

from decimal import Decimal, Inexact, localcontext
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating import ChargeModel, Package, Percentage, Standard, linear, price_events
from rating.exact import EXACT
from tests.rating.playing import line, play
from tests.rating.ranges import graduated, graduated_percentage, volume

MANTISSA = 123456789012345678901234567891
ONE_BILLIONTH = Decimal("1E-9")
PRICE = "0.123456789012345678901234567891"


@given(st.integers(min_value=1, max_value=10**30 - 1), st.integers(1, 10**30 - 1))
def test_thirty_digits_times_thirty_digits_is_exact(units: int, mantissa: int) -> None:
    model = Standard(amount=Decimal(mantissa).scaleb(-30, EXACT))
    assert linear(line(model, units)).scaleb(30, EXACT) == units * mantissa


@pytest.mark.parametrize(
    "model",
    [
        Standard(amount=Decimal("0.123456789012345678901234567891")),
        Package(amount=Decimal("0.123456789012345678901234567891"), package_size=3),
        Percentage(rate=Decimal("12.3456789012345678901234567891"), fixed_amount=ONE_BILLIONTH),
        graduated(f"0-{MANTISSA}@{PRICE}+{PRICE}, {MANTISSA + 1}+@0.1+{PRICE}"),
        graduated(f"0-0.{'0' * 17}1@{PRICE}, 0.{'0' * 17}1+@{PRICE}+{PRICE}"),
        graduated_percentage(f"0-{MANTISSA}@{PRICE}+{PRICE}, {MANTISSA + 1}+@99.{'9' * 30}"),
        volume(f"0-{MANTISSA}@0.1+{PRICE}, {MANTISSA + 1}+@{PRICE}+{PRICE}"),
    ],
    ids=[
        "standard",
        "package",
        "percentage",
        "graduated",
        "graduated adjacent",
        "graduated_percentage",
        "volume",
    ],
)
def test_a_careless_thread_context_rounds_nothing_away(model: ChargeModel) -> None:
    events = [Decimal(MANTISSA), Decimal("0.000000000000000001"), Decimal(MANTISSA)]
    expected = price_events(model, events)
    with localcontext() as careless:
        careless.prec = 3
        amounts, total = play(model, events)
        assert price_events(model, events) == expected
    assert total.amount == expected == reduce(EXACT.add, amounts)


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
