"""Credits and the money behind them."""

import doctest
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_service import credit_amounts, texts, wallet_terms
from wallet_service.credit_amounts import cents_of, credits_of, read_funding, read_void
from wallet_service.decision import Asset
from wallet_service.errors import Invalid
from wallet_service.texts import read_decimal, read_time

DOLLARS = Asset("USD", 9, 1)
YEN = Asset("JPY", 9, 2)
DINARS = Asset("KWD", 9, 3)
HOURS = Asset("HOUR", 4, 4, is_unit=True)

decimals = st.decimals(min_value=Decimal("0.00001"), max_value=10**6, places=8).map(
    lambda number: f"{number:f}"
)
rates = st.decimals(min_value=Decimal("0.0001"), max_value=1000, places=4)


def test_the_examples_in_the_documentation_are_true():
    for module in (credit_amounts, texts, wallet_terms):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "rate", "asset", "credit_amount", "amount"),
    [
        ("17.96999999", "1", DOLLARS, "17.97", "17.97"),
        ("10", "0.5", DOLLARS, "10", "5"),
        ("10.55555", "1.5", DOLLARS, "10.55333", "15.83"),
        ("0.005", "1", DOLLARS, "0.01", "0.01"),
        ("1.5", "1", YEN, "2", "2"),
        ("1.2345", "1", DINARS, "1.235", "1.235"),
        ("0.0001", "1", HOURS, "0.0001", "0.0001"),
        ("3", "0.5", HOURS, "3", "1.5"),
    ],
)
def test_credits_that_come_are_worth_whole_cents(text, rate, asset, credit_amount, amount):
    worth = read_funding(text, rate=Decimal(rate), asset=asset, field="paid_credits")
    assert worth is not None
    assert worth.credits == Decimal(credit_amount)
    assert asset.format(worth.amount_minor) == amount


def test_nothing_is_nothing():
    for text in ("0", "0.0", "0.000000000000000000"):
        for asset in (DOLLARS, HOURS):
            assert read_funding(text, rate=Decimal(1), asset=asset, field="x") is None
            assert read_void(text, rate=Decimal(1), asset=asset, field="x") is None


@pytest.mark.parametrize(
    ("text", "rate", "asset", "code"),
    [
        ("0.004", "1", DOLLARS, "amount_rounds_to_zero"),
        ("0.000001", "1", DOLLARS, "amount_rounds_to_zero"),
        ("0.4", "1", YEN, "amount_rounds_to_zero"),
        ("0.00001", "1", HOURS, "invalid_amount"),
        ("1", "0.00001", HOURS, "invalid_amount"),
        ("9223372036.86", "1", DOLLARS, "value_is_out_of_range"),
        ("999999999999999999", "999999999999999999", DOLLARS, "value_is_out_of_range"),
        ("999999999999999999", "1", HOURS, "value_is_out_of_range"),
    ],
)
def test_too_little_and_too_much_are_refused(text, rate, asset, code):
    with pytest.raises(Invalid) as refusal:
        read_funding(text, rate=Decimal(rate), asset=asset, field="paid_credits")
    assert (refusal.value.field, refusal.value.code) == ("paid_credits", code)


@given(decimals, rates)
def test_what_comes_is_within_half_a_cent_of_what_was_asked(text, rate):
    try:
        worth = read_funding(text, rate=rate, asset=DOLLARS, field="paid_credits")
    except Invalid:
        return  # it rounds to nothing
    assert worth is not None
    assert worth.amount_minor % 10**7 == 0
    asked = Decimal(text) * rate
    assert abs(Decimal(worth.amount_minor) / 10**9 - asked) <= Decimal("0.005") + rate / 10**5
    assert worth.credits * rate <= Decimal(worth.amount_minor) / 10**9


@given(decimals, rates)
def test_a_void_never_takes_more_than_was_asked(text, rate):
    try:
        worth = read_void(text, rate=rate, asset=DOLLARS, field="voided_credits")
    except Invalid:
        return  # it rounds to nothing
    assert worth is not None
    assert Decimal(worth.amount_minor) / 10**9 <= Decimal(text) * rate


@given(st.integers(-(2**63) + 1, 2**63 - 1), rates)
def test_what_is_shown_is_never_more_than_there_is(amount_minor, rate):
    assert cents_of(amount_minor, DOLLARS) * 10**7 <= amount_minor
    assert amount_minor - cents_of(amount_minor, DOLLARS) * 10**7 < 10**7
    shown = credits_of(amount_minor, rate=rate, asset=DOLLARS)
    assert shown * rate <= Decimal(amount_minor).scaleb(-9)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "NaN", "1e3", "1E+1000000", "9" * 4000, "٣", "1_0", "01", "1.", ".1"]
)
def test_a_decimal_is_plain(text):
    with pytest.raises(Invalid):
        read_decimal(text, field="amount")


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "0001-01-01", "9999-12-31", "２０２６-01-01"]
)
def test_a_time_is_one_of_our_times(text):
    with pytest.raises(Invalid):
        read_time(text, field="expires_at")
