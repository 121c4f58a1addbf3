"""What an expression says: its grammar, its tree, and the tree written out again.

    sum      = product { ("+" | "-") product }
    product  = factor { ("*" | "/") factor }
    factor   = "-" factor | atom
    atom     = number | text | "(" sum ")" | call | "event.code" | "event.timestamp"
             | "event.properties." name
    call     = ("round" | "ceil" | "floor") "(" sum [ "," sum ] ")"
             | "concat" "(" sum { "," sum } ")"
    number   = digits [ "." digits ]
    text     = "'" characters without "'" and without control characters "'"
    name     = letters, digits and "_"

Functions are known in small and in capital letters. `expressions` evaluates the tree. Recursion is
as deep as brackets are nested, which has a limit; a chain of operators costs no depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from rating.errors import InvalidExpression
from rating.quantities import FRACTION_DIGITS_MAX, WHOLE_DIGITS_MAX

LENGTH_MAX: Final = 1_024
DEPTH_MAX: Final = 32

Operator: TypeAlias = Literal["+", "-", "*", "/"]
Rounding: TypeAlias = Literal["round", "ceil", "floor"]


class Number(Struct, frozen=True, tag=True):
    """A number as written: not negative."""

    value: Decimal


class Text(Struct, frozen=True, tag=True):
    """A text as written, without its quotes."""

    value: str


class Code(Struct, frozen=True, tag=True):
    """`event.code`."""


class Timestamp(Struct, frozen=True, tag=True):
    """`event.timestamp`: seconds since 1970."""


class Property(Struct, frozen=True, tag=True):
    """`event.properties.name`."""

    name: str


class Negated(Struct, frozen=True, tag=True):
    """A minus before one operand."""

    operand: Node


class Chain(Struct, frozen=True, tag=True):
    """Operands from left to right, with operators of one rank: sums or products, never both."""

    first: Node
    rest: tuple[tuple[Operator, Node], ...]


class Rounded(Struct, frozen=True, tag=True):
    """`round`, `ceil` or `floor`, to whole numbers without `digits`."""

    function: Rounding
    operand: Node
    digits: Node | None = None


class Joined(Struct, frozen=True, tag=True):
    """`concat`: the texts of its parts, one behind the other."""

    parts: tuple[Node, ...]


Node: TypeAlias = Number | Text | Code | Timestamp | Property | Negated | Chain | Rounded | Joined


def parse(text: str) -> Node:
    """Read an expression, or raise InvalidExpression with the position (from 0) and the reason.

    >>> parse("event.properties.a * 2")
    Chain(first=Property(name='a'), rest=(('*', Number(value=Decimal('2'))),))
    >>> parse("event.properties.a * ")
    Traceback (most recent call last):
    rating.errors.InvalidExpression: at character 22: the expression ends where a value should be
    """
    if len(text) > LENGTH_MAX:
        raise InvalidExpression("too_long", LENGTH_MAX, f"more than {LENGTH_MAX} characters")
    return _Parser(_tokens(text), len(text)).whole()


def show(node: Node) -> str:
    """Write an expression that reads as the same tree: `parse(show(tree)) == tree`.

    >>> show(parse("ROUND( (event.properties.a+1)*-2,1 )"))
    'round((event.properties.a + 1) * -2, 1)'
    """
    return _SHOWN[type(node)](node)


def _show_chain(node: Chain) -> str:
    is_product = node.rest[0][0] in _PRODUCT
    shown = [_bracketed(node.first, _needs_brackets(node.first, is_product))]
    for operator, operand in node.rest:
        shown += [operator, _bracketed(operand, _needs_brackets(operand, is_product))]
    return " ".join(shown)


def _show_rounded(node: Rounded) -> str:
    digits = "" if node.digits is None else f", {show(node.digits)}"
    return f"{node.function}({show(node.operand)}{digits})"


def _show_negated(node: Negated) -> str:
    return f"-{_bracketed(node.operand, isinstance(node.operand, Chain))}"


def _bracketed(node: Node, is_needed: bool) -> str:  # noqa: FBT001 (private, read aloud)
    return f"({show(node)})" if is_needed else show(node)


def _needs_brackets(operand: Node, is_product: bool) -> bool:  # noqa: FBT001 (private)
    """A chain within a chain keeps its brackets, but for a product within a sum."""
    if not isinstance(operand, Chain):
        return False
    return is_product or operand.rest[0][0] in _SUM


_SHOWN: Final[Mapping[type[Node], Callable[[Any], str]]] = {
    Number: lambda node: format(node.value, "f"),
    Text: lambda node: f"'{node.value}'",
    Code: lambda _: "event.code",
    Timestamp: lambda _: "event.timestamp",
    Property: lambda node: f"{_PROPERTIES}{node.name}",
    Negated: _show_negated,
    Chain: _show_chain,
    Rounded: _show_rounded,
    Joined: lambda node: f"concat({', '.join(show(part) for part in node.parts)})",
}


# --- reading

_PROPERTIES: Final = "event.properties."
_SUM: Final[tuple[Operator, ...]] = ("+", "-")
_PRODUCT: Final[tuple[Operator, ...]] = ("*", "/")
_FUNCTIONS: Final[dict[str, Rounding]] = {"round": "round", "ceil": "ceil", "floor": "floor"}
_CONCAT: Final = "concat"

_TOKEN: Final = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)"
    r"|(?P<text>'[^'\x00-\x1f\x7f]*')"
    r"|(?P<sign>[-+*/(),])"
)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    """The words of an expression, without the space between them."""
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            if text[position] == "'":
                raise InvalidExpression(
                    "unclosed_text", position, "a text needs a quote at its end, on the same line"
                )
            raise InvalidExpression(
                "unexpected_character", position, f"{text[position]!r} means nothing here"
            )
        kind = match.lastgroup
        assert kind is not None
        if kind != "space":
            tokens.append(_Token(kind, match.group(), position))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent; one method a rule."""

    __slots__ = ("_depth", "_end", "_next", "_tokens")

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = _Token("end", "", length)
        self._depth = 0

    def whole(self) -> Node:
        tree = self._sum()
        left = self._peek()
        if left.kind != "end":
            raise InvalidExpression(
                "unexpected_token", left.position, f"an operator should be here, not {left.text!r}"
            )
        return tree

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else self._end

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _takes(self, *signs: str) -> _Token | None:
        """The next token if it is one of these signs."""
        token = self._peek()
        return self._take() if token.kind == "sign" and token.text in signs else None

    def _expect(self, sign: str) -> None:
        if self._takes(sign) is None:
            token = self._peek()
            what = "the expression ends" if token.kind == "end" else f"{token.text!r} stands"
            reason = "unexpected_end" if token.kind == "end" else "unexpected_token"
            raise InvalidExpression(reason, token.position, f"{what} where {sign!r} should be")

    def _deeper(self, position: int) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise InvalidExpression(
                "too_deep", position, f"more than {DEPTH_MAX} brackets or signs within each other"
            )

    def _sum(self) -> Node:
        first = self._product()
        rest: list[tuple[Operator, Node]] = []
        while sign := self._takes(*_SUM):
            rest.append(("+" if sign.text == "+" else "-", self._product()))
        return Chain(first, tuple(rest)) if rest else first

    def _product(self) -> Node:
        first = self._factor()
        rest: list[tuple[Operator, Node]] = []
        while sign := self._takes(*_PRODUCT):
            rest.append(("*" if sign.text == "*" else "/", self._factor()))
        return Chain(first, tuple(rest)) if rest else first

    def _factor(self) -> Node:
        sign = self._takes("-")
        if sign is None:
            return self._atom()
        self._deeper(sign.position)
        operand = self._factor()
        self._depth -= 1
        return Negated(operand)

    def _atom(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return _number(token)
        if token.kind == "text":
            return Text(token.text[1:-1])
        if token.kind == "name":
            return self._call(token) if self._takes("(") else _variable(token)
        if token.text == "(":
            self._deeper(token.position)
            inner = self._sum()
            self._expect(")")
            self._depth -= 1
            return inner
        if token.kind == "end":
            raise InvalidExpression(
                "unexpected_end", token.position, "the expression ends where a value should be"
            )
        raise InvalidExpression(
            "unexpected_token", token.position, f"a value should be here, not {token.text!r}"
        )

    def _call(self, name: _Token) -> Node:
        self._deeper(name.position)
        arguments = self._arguments()
        self._depth -= 1
        function = name.text.lower()
        if function == _CONCAT:
            return Joined(arguments)
        if function not in _FUNCTIONS:
            raise InvalidExpression(
                "unknown_function",
                name.position,
                f"there is no function {name.text!r}; there are round, ceil, floor and concat",
            )
        if len(arguments) > 2:  # noqa: PLR2004 (a number and its digits)
            raise InvalidExpression(
                "wrong_number_of_arguments",
                name.position,
                f"{function} takes a number and, if wanted, how many digits to keep",
            )
        return Rounded(_FUNCTIONS[function], *arguments)

    def _arguments(self) -> tuple[Node, ...]:
        arguments = [self._sum()]
        while self._takes(","):
            arguments.append(self._sum())
        self._expect(")")
        return tuple(arguments)


def _number(token: _Token) -> Number:
    whole, _, fraction = token.text.partition(".")
    if len(whole) > WHOLE_DIGITS_MAX or len(fraction) > FRACTION_DIGITS_MAX:
        raise InvalidExpression(
            "too_many_digits",
            token.position,
            f"a number has at most {WHOLE_DIGITS_MAX} digits before"
            f" and {FRACTION_DIGITS_MAX} after the point",
        )
    return Number(Decimal(token.text))


def _variable(token: _Token) -> Node:
    if token.text == "event.code":
        return Code()
    if token.text == "event.timestamp":
        return Timestamp()
    name = token.text.removeprefix(_PROPERTIES)
    if name != token.text and "." not in name:
        return Property(name)
    raise InvalidExpression(
        "unknown_variable",
        token.position,
        f"there is no {token.text!r}; there are event.code, event.timestamp"
        " and event.properties.<name>",
    )
