"""Expressions of billable metrics: read, written out, evaluated."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rating.errors import ExpressionFailed, InvalidExpression
from rating.expression_syntax import (
    DEPTH_MAX,
    LENGTH_MAX,
    Chain,
    Code,
    Joined,
    Negated,
    Node,
    Number,
    Property,
    Rounded,
    Text,
    Timestamp,
    parse,
    show,
)
from rating.expressions import Expression

TIMESTAMP = Decimal("1700000000.5")


def evaluate(text: str, **properties: object) -> str:
    return Expression(text).evaluate(code="gpu", timestamp=TIMESTAMP, properties=properties)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("1.50", "1.5"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("10 - (4 - 3)", "9"),
        ("100 / 10 / 5", "2"),
        ("100 / (10 / 5)", "50"),
        ("2 * -3", "-6"),
        ("--2", "2"),
        ("-2 * 3 + 1", "-5"),
        ("-(2 + 3)", "-5"),
        ("0 * -1", "0"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0.333333333333333333"),
        ("2 / 3", "0.666666666666666667"),
        ("1 / 3 * 3", "1"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(2.345, 2)", "2.35"),
        ("round(123.4567, -1)", "120"),
        ("ceil(2.1)", "3"),
        ("ceil(-2.1)", "-2"),
        ("ceil(123.4567, 2)", "123.46"),
        ("floor(2.9)", "2"),
        ("floor(-2.1)", "-3"),
        ("ROUND(2.5)", "3"),
        ("Concat('a', 'b')", "ab"),
        ("concat('a', 1.50, '-', 2 * 3)", "a1.5-6"),
        ("concat('it is', ' (so)')", "it is (so)"),
        ("'text'", "text"),
        ("''", ""),
        ("event.code", "gpu"),
        ("event.timestamp", "1700000000.5"),
        ("floor(event.timestamp / 3600)", "472222"),
        (" \t\n1\r+ 1 ", "2"),
    ],
)
def test_an_expression_has_a_value(text: str, expected: str) -> None:
    assert evaluate(text) == expected


# Source: Lago documentation, `billable-metrics/sql-expressions`, and the change that brought them.
@pytest.mark.parametrize(
    ("text", "properties", "expected"),
    [
        (
            "CONCAT(event.properties.user_id, '-', event.properties.app_id)",
            {"user_id": "u1", "app_id": 7},
            "u1-7",
        ),
        (
            (
                "(event.properties.cpu_number * 25 * event.properties.duration_msec)"
                " + (event.properties.memory_mb * 0.000001 * event.properties.duration_msec)"
            ),
            {"cpu_number": 2, "duration_msec": "100", "memory_mb": 512},
            "5000.0512",
        ),
        ("ROUND(event.properties.duration_msec * 1000)", {"duration_msec": "0.0125"}, "13"),
        (
            (
                "(event.properties.ended_at - event.properties.started_at)"
                " * event.properties.replicas / 3600"
            ),
            {"started_at": 1_700_000_000, "ended_at": 1_700_005_400, "replicas": 3},
            "4.5",
        ),
    ],
)
def test_an_expression_computes_with_properties(
    text: str, properties: dict[str, object], expected: str
) -> None:
    assert evaluate(text, **properties) == expected


def test_the_text_of_a_number_is_a_number_only_where_one_is_needed() -> None:
    assert evaluate("event.properties.a + 1", a="1.50") == "2.5"
    assert evaluate("concat(event.properties.a, '')", a="1.50") == "1.50"
    assert evaluate("concat(event.properties.a, '')", a=Decimal("1.50")) == "1.5"
    assert evaluate("'2' * 3") == "6"
    assert evaluate("concat('1', '2') + 1") == "13"


def test_names_may_have_digits_and_capitals() -> None:
    assert evaluate("event.properties.GPU_2 + event.properties.0", GPU_2=2, **{"0": 1}) == "3"


@pytest.mark.parametrize(
    ("text", "properties", "field", "reason"),
    [
        ("event.properties.a", {}, "a", "value_is_mandatory"),
        ("event.properties.a", {"a": None}, "a", "value_is_mandatory"),
        ("1 + event.properties.b", {"a": 1}, "b", "value_is_mandatory"),
        ("1 + event.properties.a", {"a": "many"}, "a", "value_is_invalid"),
        ("1 + event.properties.a", {"a": ""}, "a", "value_is_invalid"),
        ("1 + event.properties.a", {"a": True}, "a", "value_is_invalid"),
        ("1 + event.properties.a", {"a": "NaN"}, "a", "value_is_invalid"),
        ("1 + event.properties.a", {"a": "1e5"}, "a", "value_is_invalid"),
        ("event.properties.a", {"a": []}, "a", "value_is_invalid"),
        ("event.properties.a", {"a": {"b": 1}}, "a", "value_is_invalid"),
        ("event.properties.a", {"a": 10**30}, "a", "value_is_invalid"),
        ("event.properties.a", {"a": Decimal("1E+999999")}, "a", "value_is_invalid"),
        ("event.properties.a", {"a": Decimal("NaN")}, "a", "value_is_invalid"),
        ("concat('a', event.properties.a)", {"a": [1]}, "a", "value_is_invalid"),
        ("1 / event.properties.a", {"a": 0}, "a", "division_by_zero"),
        ("event.properties.a / 0", {"a": 1}, "", "division_by_zero"),
        ("'a' + 1", {}, "", "value_is_invalid"),
        ("-event.code", {}, "", "value_is_invalid"),
        ("round(event.properties.a, 1.5)", {"a": 1}, "", "invalid_digits"),
        ("round(1, event.properties.a)", {"a": 19}, "a", "invalid_digits"),
        ("round(1, event.properties.a)", {"a": -31}, "a", "invalid_digits"),
        ("event.properties.a * event.properties.a", {"a": 10**29}, "a", "value_is_out_of_range"),
        ("event.properties.a * 10", {"a": 10**29}, "a", "value_is_out_of_range"),
    ],
)
def test_an_event_without_a_value_is_told_by_its_property(
    text: str, properties: dict[str, object], field: str, reason: str
) -> None:
    with pytest.raises(ExpressionFailed) as refused:
        evaluate(text, **properties)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_numbers_and_texts_do_not_grow_without_an_end() -> None:
    product = " * ".join(["event.properties.a"] * 40)
    with pytest.raises(ExpressionFailed) as refused:
        evaluate(product, a="9" * 30)
    assert refused.value.reason == "value_is_out_of_range"
    with pytest.raises(ExpressionFailed):
        evaluate(product, a="0." + "0" * 17 + "1")
    with pytest.raises(ExpressionFailed):
        evaluate(product, a="1.234567890123456789")
    with pytest.raises(ExpressionFailed):
        evaluate("concat(event.properties.a, event.properties.a)", a="x" * 600)


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "unexpected_end", 0),
        ("   ", "unexpected_end", 3),
        ("1 +", "unexpected_end", 3),
        ("(1", "unexpected_end", 2),
        ("round(1", "unexpected_end", 7),
        ("round()", "unexpected_token", 6),
        ("concat()", "unexpected_token", 7),
        ("round(1,)", "unexpected_token", 8),
        ("1 2", "unexpected_token", 2),
        ("1)", "unexpected_token", 1),
        ("* 2", "unexpected_token", 0),
        ("+2", "unexpected_token", 0),
        ("1 + + 2", "unexpected_token", 4),
        ("(1 2)", "unexpected_token", 3),
        ("1, 2", "unexpected_token", 1),
        ("round(1, 2, 3)", "wrong_number_of_arguments", 0),
        ("sqrt(4)", "unknown_function", 0),
        ("event.code(1)", "unknown_function", 0),
        ("amount", "unknown_variable", 0),
        ("event", "unknown_variable", 0),
        ("event.properties", "unknown_variable", 0),
        ("event.properties.a.b", "unknown_variable", 0),
        ("event.transaction_id", "unknown_variable", 0),
        ("round", "unknown_variable", 0),
        ("1 + 'a", "unclosed_text", 4),
        ("'a\nb'", "unclosed_text", 0),
        ('"a"', "unexpected_character", 0),
        ("1 % 2", "unexpected_character", 2),
        (".5", "unexpected_character", 0),
        ("5.", "unexpected_character", 1),
        ("1e5", "unexpected_token", 1),
        ("1_000", "unexpected_token", 1),
        ("٣", "unexpected_character", 0),
        ("event.properties.a\x00", "unexpected_character", 18),
        ("event .code", "unexpected_character", 6),
        ("9" * 31, "too_many_digits", 0),
        ("0." + "1" * 19, "too_many_digits", 0),
        ("1" + " " * LENGTH_MAX, "too_long", LENGTH_MAX),
        ("(" * (DEPTH_MAX + 1) + "1" + ")" * (DEPTH_MAX + 1), "too_deep", DEPTH_MAX),
        ("-" * (DEPTH_MAX + 1) + "1", "too_deep", DEPTH_MAX),
        ("round(" * (DEPTH_MAX + 1) + "1" + ")" * (DEPTH_MAX + 1), "too_deep", DEPTH_MAX * 6),
    ],
)
def test_what_is_no_expression_is_told_by_place_and_reason(
    text: str, reason: str, position: int
) -> None:
    with pytest.raises(InvalidExpression) as refused:
        Expression(text)
    assert (refused.value.reason, refused.value.position) == (reason, position)
    assert str(refused.value).startswith(f"at character {position + 1}: ")
    assert refused.value.field == "expression"


def test_a_long_chain_is_not_deep() -> None:
    assert evaluate("+".join(["1"] * 512)) == "512"
    assert evaluate("(" * DEPTH_MAX + "1" + ")" * DEPTH_MAX) == "1"


# --- properties

NUMBERS = st.builds(
    Number,
    st.decimals(0, 10**12, places=6, allow_nan=False, allow_infinity=False)
    | st.integers(0, 10**30 - 1).map(Decimal),
)
NAMES = st.sampled_from(["a", "b", "ended_at", "GPU_2", "0"])
TEXTS = st.builds(
    Text,
    st.text(st.characters(exclude_characters="'\x7f", exclude_categories=["Cc", "Cs"]), max_size=8),
)
LEAVES = NUMBERS | TEXTS | st.builds(Property, NAMES) | st.just(Code()) | st.just(Timestamp())


def chains(operands: st.SearchStrategy[Node]) -> st.SearchStrategy[Chain]:
    def of_rank(operators: list[str]) -> st.SearchStrategy[Chain]:
        rest = st.tuples(st.sampled_from(operators), operands)
        return st.builds(Chain, operands, st.lists(rest, min_size=1, max_size=4).map(tuple))

    return of_rank(["+", "-"]) | of_rank(["*", "/"])


def branches(operands: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    functions = st.sampled_from(["round", "ceil", "floor"])
    return (
        chains(operands)
        | st.builds(Negated, operands)
        | st.builds(Rounded, functions, operands, st.none() | operands)
        | st.builds(Joined, st.lists(operands, min_size=1, max_size=3).map(tuple))
    )


TREES = st.recursive(LEAVES, branches, max_leaves=12)


@given(TREES)
def test_a_tree_that_is_written_out_reads_as_itself(tree: Node) -> None:
    text = show(tree)
    assume(len(text) <= LENGTH_MAX)
    assert parse(text) == tree
    assert str(Expression(text)) == text


NUMBER_PROPERTIES = {"a": Decimal("2.5"), "b": "-0.125", "ended_at": 0, "GPU_2": 10**9, "0": "1"}
SMALL_NUMBERS = st.builds(
    Number, st.decimals(0, 10**6, places=3, allow_nan=False, allow_infinity=False)
)


def sums_and_products(operands: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def of_rank(operators: list[str]) -> st.SearchStrategy[Chain]:
        rest = st.tuples(st.sampled_from(operators), operands)
        return st.builds(Chain, operands, st.lists(rest, min_size=1, max_size=2).map(tuple))

    return of_rank(["+", "-"]) | of_rank(["*"]) | st.builds(Negated, operands)


EXACT_TREES = st.recursive(
    SMALL_NUMBERS | st.builds(Property, NAMES), sums_and_products, max_leaves=6
)


def reference(node: Node) -> Fraction:
    """The same, by fractions: whole, and slow."""
    match node:
        case Number(value):
            return Fraction(value)
        case Property(name):
            return Fraction(str(NUMBER_PROPERTIES[name]))
        case Negated(operand):
            return -reference(operand)
        case Chain(first, rest):
            total = reference(first)
            for operator, operand in rest:
                other = reference(operand)
                total = {"+": total + other, "-": total - other, "*": total * other}[operator]
            return total
    raise AssertionError(node)


def half_up(number: Fraction, places: int) -> Fraction:
    step = Fraction(1, 10**places)
    whole = (abs(number) / step + Fraction(1, 2)).__floor__() * step
    return whole if number >= 0 else -whole


@given(EXACT_TREES)
def test_sums_and_products_are_exact(tree: Node) -> None:
    expected = half_up(reference(tree), 18)
    assume(abs(expected) < 10**30)
    assert Fraction(evaluate(show(tree), **NUMBER_PROPERTIES)) == expected


@given(
    st.integers(-(10**18), 10**18),
    st.integers(-(10**12), 10**12).filter(bool),
)
def test_a_quotient_is_right_to_its_last_digit(dividend: int, divisor: int) -> None:
    value = evaluate("event.properties.a / event.properties.b", a=dividend, b=divisor)
    assert Fraction(value) == half_up(Fraction(dividend, divisor), 18)


@given(
    st.decimals(-(10**9), 10**9, places=9, allow_nan=False, allow_infinity=False),
    st.integers(-9, 9),
)
def test_round_is_half_away_from_zero(number: Decimal, digits: int) -> None:
    value = evaluate("round(event.properties.a, event.properties.b)", a=number, b=digits)
    step = Fraction(10) ** -digits
    assert Fraction(value) == half_up(Fraction(number) / step, 0) * step


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=40)
    | st.sampled_from(["1", "-2.5", "0", "9" * 30, "0.000000000000000001"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
PROPERTIES = st.dictionaries(NAMES, JSON)
WORDS = st.lists(
    st.sampled_from(
        [
            *"+-*/(),'.",
            " ",
            "1",
            "0",
            "0.5",
            "9" * 30,
            "'a'",
            "round(",
            "ceil(",
            "concat(",
            "event.code",
            "event.timestamp",
            "event.properties.a",
            "event.properties.b",
            "event.properties.",
        ]
    ),
    max_size=30,
).map("".join)


@given(st.text(max_size=60) | WORDS, PROPERTIES)
def test_no_text_and_no_event_gives_any_other_error(
    text: str, properties: dict[str, object]
) -> None:
    try:
        value = evaluate(text, **properties)
    except (InvalidExpression, ExpressionFailed):
        return
    assert isinstance(value, str)


@given(TREES, PROPERTIES)
def test_every_expression_has_a_value_or_says_why(
    tree: Node, properties: dict[str, object]
) -> None:
    text = show(tree)
    assume(len(text) <= LENGTH_MAX)
    field = ""
    try:
        evaluate(text, **properties)
    except ExpressionFailed as refused:
        field = refused.field
    assert field in {"", *NUMBER_PROPERTIES}
