"""Traces of real model calls: how much went in, how much came out."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from msgspec import Struct

__all__ = ["BadTrace", "Call", "output_estimate", "read_trace"]

_INPUT: Final = "ContextTokens"
_OUTPUT: Final = "GeneratedTokens"
_COLUMNS: Final = ("TIMESTAMP", _INPUT, _OUTPUT)
_DIGITS_MAX: Final = 15


class BadTrace(ValueError):
    """The trace cannot be played; the message names file and line."""


class Call(Struct, frozen=True):
    """One model call."""

    input_tokens: int
    output_tokens: int


def read_trace(path: Path) -> list[Call]:
    """Read all calls of a trace; raises BadTrace."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        calls = list(_read(path.name, file))
    if not calls:
        message = f"{path.name}: there are no calls in it"
        raise BadTrace(message)
    return calls


def _read(name: str, lines: Iterable[str]) -> Iterator[Call]:
    """Read call by call, and say in which line one cannot be read."""
    rows = csv.reader(lines)
    try:
        header = [title.strip() for title in next(rows, list[str]())]
        _check_header(header)
        for row in rows:
            if row:
                yield _call(header, row)
    except (BadTrace, csv.Error) as error:
        message = f"{name}:{max(1, rows.line_num)}: {error}"
        raise BadTrace(message) from None


def _check_header(header: Sequence[str]) -> None:
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        message = f"no column {' and no '.join(missing)} in the header"
        raise BadTrace(message)


def _call(header: Sequence[str], row: Sequence[str]) -> Call:
    if len(row) != len(header):
        message = f"{len(row)} columns where the header has {len(header)}"
        raise BadTrace(message)
    cells = dict(zip(header, row, strict=True))
    return Call(_tokens(_INPUT, cells[_INPUT]), _tokens(_OUTPUT, cells[_OUTPUT]))


def _tokens(column: str, text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        message = f"{column} is not a number of tokens: {text[:40]!r}"
        raise BadTrace(message)
    return int(digits)


def output_estimate(calls: Sequence[Call], *, factor: Decimal) -> int:
    """Guess the output of any call, as one would before it: so many times the mean, rounded up.

    >>> output_estimate([Call(5, 40), Call(5, 41)], factor=Decimal("1.2"))
    49
    """
    mean = Fraction(sum(call.output_tokens for call in calls), len(calls))
    return math.ceil(Fraction(factor) * mean)
