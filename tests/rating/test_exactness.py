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

MANTISSA = 123456789012345678901234567891
ONE_BILLIONTH = Decimal("1E-9")


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
    ],
    ids=["standard", "package", "percentage"],
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
