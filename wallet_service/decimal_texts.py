"""Decimals that come as texts: in plain ASCII notation, wherever a body has one.

msgspec reads a text as Python's `Decimal` does, which takes digits of every script, `1_000` and
` 12`. So what it took is looked at once more, as it was written.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias, cast

from msgspec import inspect

__all__ = ["ForeignDecimals", "foreign_decimals", "is_plain"]

_NOT_PLAIN: Final = re.compile(r"[^\x21-\x7e]|_")

_Path: TypeAlias = tuple[str, ...]
ForeignDecimals: TypeAlias = Callable[[Any, _Path], Iterator[_Path]]
"""Gives where a decoded body has decimals that are not plain, below a path."""


def is_plain(text: str) -> bool:
    """Whether a text that `Decimal` takes is ASCII, with nothing around or between its digits.

    >>> [is_plain(text) for text in ("-12.50", "1e3", "1_000", " 12")]
    [True, True, False, False]
    """
    return _NOT_PLAIN.search(text) is None


def foreign_decimals(kind: Any) -> ForeignDecimals | None:
    """What finds the decimals of bodies of a type that are no plain ones; None if it has none.

    >>> from decimal import Decimal
    >>> find = foreign_decimals(dict[str, list[Decimal]])
    >>> list(find({"rates": ["1.5", "1_5"]}, ()))
    [('rates', '1')]
    """
    return _of(inspect.type_info(kind))


def _of(kind: inspect.Type) -> ForeignDecimals | None:
    match kind:
        case inspect.DecimalType():
            return _text
        case inspect.Metadata(type=inner):
            return _of(inner)
        case inspect.StructType(fields=fields):
            found = {field.encode_name: _of(field.type) for field in fields}
            return _fields({name: find for name, find in found.items() if find is not None})
        case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
            return _each(_of(inner))
        case inspect.UnionType(types=types):
            return _either([find for find in map(_of, types) if find is not None])
        case _:
            return None


def _text(value: Any, path: _Path) -> Iterator[_Path]:
    if isinstance(value, str) and not is_plain(value):
        yield path


def _fields(known: dict[str, ForeignDecimals]) -> ForeignDecimals | None:
    def find(value: Any, path: _Path) -> Iterator[_Path]:
        if isinstance(value, dict):
            for name, inner in known.items():
                if name in value:
                    yield from inner(value[name], (*path, name))

    return find if known else None


def _each(inner: ForeignDecimals | None) -> ForeignDecimals | None:
    def find(value: Any, path: _Path) -> Iterator[_Path]:
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, list):
            items = enumerate(cast("list[Any]", value))
        elif isinstance(value, dict):
            items = cast("dict[Any, Any]", value).items()
        for place, item in items:
            yield from ours(item, (*path, str(place)))

    if inner is None:
        return None
    ours = inner
    return find


def _either(all_of: list[ForeignDecimals]) -> ForeignDecimals | None:
    def find(value: Any, path: _Path) -> Iterator[_Path]:
        for inner in all_of:
            yield from inner(value, path)

    return find if all_of else None
