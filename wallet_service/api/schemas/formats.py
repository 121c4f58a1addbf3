"""How values stand on the wire, in Lago's formats.

Requests in Lago's shapes ignore what they do not know and take null for most fields, so every field
is optional here: UNSET means that it was not sent, None that it was sent as null.
"""

from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing.billing_entities import GRACE_DAYS_MAX
from invoicing.errors import NotFound
from wallet_service.texts import read_uuid

_T = TypeVar("_T")
_Changes = TypeVar("_Changes", bound=Struct)
_Body = TypeVar("_Body", bound=Struct)

Given: TypeAlias = Union[_T, UnsetType, None]  # noqa: UP007 (an alias with a type parameter)
"""A field that may be left out, or null."""

_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1

ExternalId: TypeAlias = Annotated[str, Meta(max_length=255)]
Code: TypeAlias = Annotated[str, Meta(max_length=255)]
Name: TypeAlias = Annotated[str, Meta(max_length=255)]
Text: TypeAlias = Annotated[str, Meta(max_length=5000)]
Word: TypeAlias = Annotated[str, Meta(max_length=64)]
Cents: TypeAlias = Annotated[int, Meta(ge=0, le=_INT64_MAX)]
Integer: TypeAlias = Annotated[int, Meta(ge=-_INT32_MAX, le=_INT32_MAX)]
GraceDays: TypeAlias = Annotated[int, Meta(ge=0, le=GRACE_DAYS_MAX)]
ShortList: TypeAlias = Annotated[list[_T], Meta(max_length=100)]


def iso_seconds(at: datetime) -> str:
    """A time to the second: `2026-03-10T12:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def optional_iso(at: datetime | None) -> str | None:
    """A time to the second, if there is one."""
    return None if at is None else iso_seconds(at)


def changes(wire: Struct, kind: type[_Changes], **computed: Any) -> _Changes:
    """What a request asks to change: its fields that `kind` has. Null counts where allowed."""
    nullable = _nullable(kind)
    given: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        value = computed[name] if name in computed else getattr(wire, name, UNSET)
        if value is not UNSET and (value is not None or name in nullable):
            given[name] = value
    return kind(**given)


def show(kind: type[_Body], record: Struct, **computed: Any) -> _Body:
    """A body whose fields are those of a record with the same names, and what was computed."""
    shown = {
        name: getattr(record, name)
        for name in kind.__struct_fields__
        if name not in computed and name in record.__struct_fields__
    }
    return kind(**shown, **computed)


@cache
def _nullable(kind: type[Struct]) -> frozenset[str]:
    """The fields that may be None."""
    return frozenset(
        name
        for name, hint in get_type_hints(kind).items()
        if (get_origin(hint) in {Union, UnionType} and type(None) in get_args(hint)) or hint is Any
    )


def text_of(value: str | UnsetType | None) -> str:
    """A text that must be there; the domain refuses an empty one by its name."""
    return value if isinstance(value, str) else ""


def read_id(text: str, resource: str) -> UUID:
    """An id in an address; one that cannot be an id belongs to nothing. Raises NotFound."""
    try:
        return read_uuid(text)
    except ValueError:
        raise NotFound(resource) from None
