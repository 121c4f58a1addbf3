"""Expressions of billable metrics: a number, or a text, computed from an event.

`event.properties.ended_at - event.properties.started_at` is read once and evaluated for every
event; the result stands in the metric's field as if the client had sent it.

Arithmetic is exact, with two exceptions that are named: a quotient keeps 40 significant digits
(half to even), and a result as many digits after the point as a quantity may have, 18 (half away
from zero). Source of the grammar: Lago documentation, `billable-metrics/sql-expressions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Any, Final, TypeAlias

from msgspec import Struct

from rating.errors import ExpressionFailed, InvalidQuantity
from rating.exact import EXACT, ZERO
from rating.expression_syntax import (
    Chain,
    Code,
    Joined,
    Negated,
    Node,
    Number,
    Operator,
    Property,
    Rounded,
    Text,
    Timestamp,
    parse,
    show,
)
from rating.quantities import FRACTION_DIGITS_MAX, WHOLE_DIGITS_MAX, quantity
from rating.rounding import rounded

__all__ = ["Expression"]

QUOTIENT: Final = Context(
    prec=40,
    rounding=ROUND_HALF_EVEN,
    Emin=EXACT.Emin,
    Emax=EXACT.Emax,
    traps=[DivisionByZero, InvalidOperation, Overflow],
)
"""How far a division goes that need not end."""

TEXT_LENGTH_MAX: Final = 1_024
_EXPONENT_MAX: Final = 100
"""The largest power of ten on the way: what is beyond is a mistake, or an attack."""
_DIGITS_MIN: Final = -WHOLE_DIGITS_MAX

Value: TypeAlias = Decimal | str


class Expression:
    """An expression, read once. Immutable.

    >>> area = Expression("round(event.properties.width * event.properties.height, 1)")
    >>> area.evaluate(code="wall", timestamp=Decimal(0), properties={"width": "2.5", "height": 3})
    '7.5'
    >>> area.evaluate(code="wall", timestamp=Decimal(0), properties={"width": "2.5"})
    Traceback (most recent call last):
    rating.errors.ExpressionFailed: the property 'height' is missing
    """

    __slots__ = ("tree",)

    def __init__(self, text: str) -> None:
        """Raise InvalidExpression for what is none."""
        self.tree = parse(text)

    def __str__(self) -> str:
        """The expression as `parse` reads it, in one form whoever wrote it."""
        return show(self.tree)

    def evaluate(self, *, code: str, timestamp: Decimal, properties: Mapping[str, object]) -> str:
        """The value for an event, in plain notation. `timestamp` is in seconds since 1970.

        Raises ExpressionFailed, which names the property at fault.
        """
        value = _value(self.tree, _Event(code, timestamp, properties))
        if isinstance(value, str):
            return value
        result = rounded(value, function="round", precision=FRACTION_DIGITS_MAX)
        if result.adjusted() >= WHOLE_DIGITS_MAX:
            raise _failed(self.tree, "value_is_out_of_range", "the result has too many digits")
        return _plain(result)


class _Event(Struct, frozen=True):
    code: str
    timestamp: Decimal
    properties: Mapping[str, object]


def _value(node: Node, event: _Event) -> Value:
    return _VALUES[type(node)](node, event)


def _property(node: Property, event: _Event) -> Value:
    """A property's value: a text stays a text, until something computes with it."""
    name = node.name
    value = event.properties.get(name)
    if value is None:
        raise ExpressionFailed(name, "value_is_mandatory", f"the property {name!r} is missing")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value, name)


def _number(value: object, name: str) -> Decimal:
    try:
        return quantity(value, field=name)
    except InvalidQuantity as error:
        raise ExpressionFailed(name, "value_is_invalid", str(error)) from None


def _decimal(node: Node, event: _Event) -> Decimal:
    """The node's value as a number; the text of a number is one."""
    value = _value(node, event)
    if isinstance(value, Decimal):
        return value
    try:
        return quantity(value, field="")
    except InvalidQuantity:
        raise _failed(node, "value_is_invalid", "a number is needed, not a text") from None


_OPERATIONS: Final[Mapping[Operator, Callable[[Decimal, Decimal], Decimal]]] = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
    "/": QUOTIENT.divide,
}


def _chain(node: Chain, event: _Event) -> Decimal:
    total = _decimal(node.first, event)
    for operator, operand in node.rest:
        other = _decimal(operand, event)
        if operator == "/" and not other:
            raise _failed(operand, "division_by_zero", "a division by zero")
        try:
            total = _OPERATIONS[operator](total, other)
        except DecimalException:  # more digits than any quantity needs
            raise _failed(node, "value_is_out_of_range", "a number has too many digits") from None
        if total and abs(total.adjusted()) > _EXPONENT_MAX:
            raise _failed(node, "value_is_out_of_range", "a number is too large or too small")
    return total


def _rounded(node: Rounded, event: _Event) -> Decimal:
    number = _decimal(node.operand, event)
    if node.digits is None:
        return rounded(number, function=node.function)
    digits = _decimal(node.digits, event)
    if digits != digits.to_integral_value() or not _DIGITS_MIN <= digits <= FRACTION_DIGITS_MAX:
        raise _failed(
            node.digits,
            "invalid_digits",
            f"{node.function} keeps a whole number of digits,"
            f" from {_DIGITS_MIN} to {FRACTION_DIGITS_MAX}",
        )
    return rounded(number, function=node.function, precision=int(digits))


def _joined(node: Joined, event: _Event) -> str:
    texts: list[str] = []
    for part in node.parts:
        value = _value(part, event)
        texts.append(value if isinstance(value, str) else _plain(value))
    joined = "".join(texts)
    if len(joined) > TEXT_LENGTH_MAX:
        message = f"a text has more than {TEXT_LENGTH_MAX} characters"
        raise _failed(node, "value_is_out_of_range", message)
    return joined


def _negated(node: Negated, event: _Event) -> Decimal:
    return EXACT.minus(_decimal(node.operand, event))


_VALUES: Final[Mapping[type[Node], Callable[[Any, _Event], Value]]] = {
    Number: lambda node, _: node.value,
    Text: lambda node, _: node.value,
    Code: lambda _, event: event.code,
    Timestamp: lambda _, event: event.timestamp,
    Property: _property,
    Chain: _chain,
    Negated: _negated,
    Rounded: _rounded,
    Joined: _joined,
}


def _plain(number: Decimal) -> str:
    """A number without exponent and without zeros that say nothing."""
    text = format(number or ZERO, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _failed(node: Node, reason: str, message: str) -> ExpressionFailed:
    """Name the first property that has a part in it; without one, the expression itself is bad."""
    name = next(_names(node), "")
    return ExpressionFailed(name, reason, f"{message}: {show(node)}")


def _names(node: Node) -> Iterator[str]:
    """The properties that a value depends on, in the order in which they stand."""
    match node:
        case Property(name):
            yield name
        case Negated(operand):
            yield from _names(operand)
        case Chain(first, rest):
            yield from _names(first)
            for _, operand in rest:
                yield from _names(operand)
        case Rounded(_, operand, digits):
            yield from _names(operand)
            if digits is not None:
                yield from _names(digits)
        case Joined(parts):
            for part in parts:
                yield from _names(part)
        case _:
            pass
