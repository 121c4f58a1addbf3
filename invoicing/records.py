"""Rows of Postgres as frozen structs.

JSON columns cross the border as text, in both directions, so that numbers in them stay exact and no
connection needs a codec of ours.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeAlias, TypeVar, cast

import aiosql
import asyncpg
import msgspec
from msgspec import UNSET, Struct

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A connection inside a transaction that the caller opened, and will commit."""

_ENCODE: Final = msgspec.json.Encoder(decimal_format="number").encode
_DECODE: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_FRAGMENT: Final = re.compile(
    r"(?ms)^-- fragment: (?P<name>\w+)\n(?P<text>.*?)(?=^-- (?:name|fragment): )"
)
_PLACE: Final = re.compile(r"\{(\w+)\}")
_CHANGED = TypeVar("_CHANGED", bound=Struct)


class Record(Struct, frozen=True, kw_only=True):
    """A row. `json_columns` are selected as text and hold JSON."""

    json_columns: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, row: Any) -> Self:
        """Read a row whose columns are named like the fields."""
        values = dict(cast("Mapping[str, Any]", row))
        for column in cls.json_columns:
            if values[column] is not None:
                values[column] = from_json(values[column])
        return msgspec.convert(values, cls)

    def columns(self) -> dict[str, Any]:
        """The values to write, by column."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        for column in self.json_columns:
            if values[column] is not None:
                values[column] = to_json(values[column])
        return values


def load_queries(module: str) -> Any:
    """Load the `.sql` file beside a module, given its `__file__`.

    What several of its queries share stands there once, under `-- fragment: columns`, and in their
    text as `{columns}`.
    """
    text = Path(module).with_suffix(".sql").read_text(encoding="utf-8")
    fragments = {found["name"]: found["text"].strip() for found in _FRAGMENT.finditer(text)}
    queries = _PLACE.sub(lambda place: fragments[place[1]], _FRAGMENT.sub("", text))
    return aiosql.from_str(  # pyright: ignore[reportUnknownMemberType]
        queries, "asyncpg", mandatory_parameters=False
    )


def to_json(value: object) -> str:
    """Encode for a JSON column; decimals become numbers, all their digits kept."""
    return _ENCODE(value).decode()


def from_json(text: str | bytes) -> Any:
    """Decode a JSON column; numbers with a point become Decimal, never float."""
    return _DECODE(text)


def apply(changes: Struct, to: _CHANGED) -> _CHANGED:
    """Copy `to` with the fields that `changes` sets; what is UNSET, or unknown to `to`, is left."""
    known = set(to.__struct_fields__)
    given = {
        name: value
        for name in changes.__struct_fields__
        if name in known and (value := getattr(changes, name)) is not UNSET
    }
    return msgspec.structs.replace(to, **given)
