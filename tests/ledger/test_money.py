"""Amounts: read strictly, kept whole, rounded by name."""

import doctest
import time
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ledger.money
from ledger import InvalidAmount
from ledger.money import (
    MAX_MINOR,
    Asset,
    Rounding,
    format_minor,
    parse_amount,
    rescale,
    to_decimal,
    to_minor,
    to_shown_minor,
)

USD = Asset("USD", 9)
CENTS = Asset("USD", 2)
PIECES = Asset("PIECE", 0)


def test_the_examples_in_the_text_are_true():
    assert doctest.testmod(ledger.money).failed == 0


@pytest.mark.parametrize(
    ("text", "asset", "minor"),
    [
        ("0", USD, 0),
        ("75", USD, 75_000_000_000),
        ("0.005935", USD, 5_935_000),
        ("0.000000001", USD, 1),
        ("12.50", CENTS, 1_250),
        ("9223372036.854775807", USD, MAX_MINOR),
        ("92233720368547758.07", CENTS, MAX_MINOR),
        ("7", PIECES, 7),
    ],
)
def test_an_amount_is_read_exactly(text, asset, minor):
    assert parse_amount(text, asset) == minor


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("NaN", "not_a_decimal"),
        ("sNaN", "not_a_decimal"),
        ("Infinity", "not_a_decimal"),
        ("1e3", "not_a_decimal"),
        ("1E+1000000", "not_a_decimal"),
        ("1_000", "not_a_decimal"),
        ("1,5", "not_a_decimal"),
        (" 1", "not_a_decimal"),
        ("1 ", "not_a_decimal"),
        ("1\n", "not_a_decimal"),
        ("+1", "not_a_decimal"),
        ("0x10", "not_a_decimal"),
        (".5", "not_a_decimal"),
        ("5.", "not_a_decimal"),
        ("1.2.3", "not_a_decimal"),
        ("٣", "not_a_decimal"),
        ("1.٣", "not_a_decimal"),
        ("１", "not_a_decimal"),
        ("²", "not_a_decimal"),
        ("-1", "negative"),
        ("-0", "negative"),
        ("00", "leading_zeros"),
        ("01.5", "leading_zeros"),
        ("0.0000000001", "too_many_decimals"),
        ("1." + "0" * 20, "too_many_decimals"),
        ("9223372036.854775808", "too_large"),
        ("9" * 18, "too_large"),
        ("9" * 19, "too_large"),
        ("9" * 40, "too_large"),
        ("9" * 41, "too_long"),
        ("9" * 4_000, "too_long"),
        ("0." + "0" * 4_000, "too_long"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidAmount) as refused:
        parse_amount(text, USD)
    assert refused.value.reason == reason
    assert len(str(refused.value)) < 100


def test_long_nonsense_is_refused_at_once():
    started = time.process_time()  # whatever else the machine does
    for _ in range(1_000):
        with pytest.raises(InvalidAmount):
            parse_amount("9" * 4_000, USD)
    assert time.process_time() - started < 5


@given(st.integers(0, MAX_MINOR), st.integers(0, 18))
def test_an_amount_survives_being_written_and_read(minor, scale):
    text = format_minor(minor, scale)
    if minor < 10 ** (scale + 18):
        assert parse_amount(text, Asset("X", scale)) == minor
    assert Fraction(text) == Fraction(minor, 10**scale)
    assert to_decimal(minor, scale) == Decimal(text)
    assert "." not in text or not text.endswith("0"), "the shortest text"


@given(st.integers(1, MAX_MINOR), st.integers(0, 18))
def test_what_is_owed_is_written_as_what_there_is_with_a_sign(minor, scale):
    assert format_minor(-minor, scale) == f"-{format_minor(minor, scale)}"


@given(st.text(max_size=50))
def test_whatever_text_comes_is_read_exactly_or_refused(text):
    try:
        minor = parse_amount(text, USD)
    except InvalidAmount:
        pass
    else:
        assert text.isascii()
        assert Fraction(text) == Fraction(minor, 10**9)


@pytest.mark.parametrize(
    ("amount", "half_away", "up", "down"),
    [
        ("0.5", 1, 1, 0),
        ("1.5", 2, 2, 1),
        ("2.5", 3, 3, 2),
        ("2.4", 2, 3, 2),
        ("2.000000000000000000000000000001", 2, 3, 2),
        ("-2.5", -3, -3, -2),
        ("-2.4", -2, -3, -2),
        ("0", 0, 0, 0),
        ("7", 7, 7, 7),
    ],
)
def test_each_rounding_does_what_its_name_says(amount, half_away, up, down):
    exact = Decimal(amount)
    assert to_minor(exact, 0, Rounding.HALF_AWAY) == half_away
    assert to_minor(exact, 0, Rounding.UP) == up
    assert to_minor(exact, 0, Rounding.DOWN) == down


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**8), max_value=10**8),
    st.integers(0, 9),
)
def test_rounding_is_off_by_less_than_one_unit_and_half_away_by_half(amount, scale):
    exact = Fraction(amount) * 10**scale
    assert abs(to_minor(amount, scale, Rounding.HALF_AWAY) - exact) <= Fraction(1, 2)
    assert 0 <= abs(to_minor(amount, scale, Rounding.UP)) - abs(exact) < 1
    assert 0 <= abs(exact) - abs(to_minor(amount, scale, Rounding.DOWN)) < 1


def test_rounding_looks_at_every_digit_whatever_the_context_keeps():
    long = Decimal("123456789012345678901234567890.124999999999999999999999999999")
    with localcontext(Context(prec=3)):
        assert to_shown_minor(long, 2) == 12345678901234567890123456789012
        assert to_minor(Decimal("123456789.0000000001"), 9, Rounding.UP) == 123456789_000000001


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_cannot_be_rounded(text):
    with pytest.raises(InvalidAmount) as refused:
        to_minor(Decimal(text), 9, Rounding.UP)
    assert refused.value.reason == "not_finite"


@pytest.mark.parametrize("text", ["1E+100000000", "9223372036.854775808", "-1E+20"])
def test_what_leaves_the_range_cannot_be_rounded(text):
    started = time.process_time()  # whatever else the machine does
    with pytest.raises(InvalidAmount) as refused:
        to_minor(Decimal(text), 9, Rounding.HALF_AWAY)
    assert refused.value.reason == "too_large"
    assert time.process_time() - started < 5


def test_a_tiny_exponent_rounds_quickly():
    assert to_minor(Decimal("1E-1000000"), 9, Rounding.HALF_AWAY) == 0
    assert to_minor(Decimal("1E-1000000"), 9, Rounding.UP) == 1
    assert to_minor(Decimal("1E-1000000"), 9, Rounding.DOWN) == 0


@given(st.integers(-(10**18), 10**18), st.integers(0, 9), st.integers(0, 9))
def test_rescaling_rounds_like_the_exact_amount(minor, scale, to_scale):
    for rounding in Rounding:
        expected = to_minor(to_decimal(minor, scale) / 10**9, to_scale, rounding)
        rescaled = rescale(minor, scale=scale + 9, to_scale=to_scale, rounding=rounding)
        assert rescaled == expected
    assert rescale(minor, scale=scale, to_scale=scale + 3, rounding=Rounding.DOWN) == minor * 1_000
