"""Reading what a client sent: bounded, exact, and without surprises.

Numbers are read as they stand (never through float). A key that is there twice is refused, since
readers would disagree on which one counts; so is the character NUL, which Postgres cannot store.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, TypeVar

import msgspec
from litestar.types import Receive
from msgspec.structs import StructConfig

from wallet_service.api.errors import (
    ApiError,
    bad_request,
    encoded,
    field_error,
    of_wire,
    too_large,
)
from wallet_service.decimal_texts import foreign_decimals

_T = TypeVar("_T")
_IDENTITY: Final = (b"", b"identity")
_READ: Final = msgspec.json.Decoder().decode
_WRITE: Final = msgspec.json.Encoder().encode
_SPACED: Final = b'": '
_NUL: Final = "\x00"


def _number(text: str) -> Decimal:
    """A number as it stands; `Decimal` raises no ValueError for an exponent that it cannot hold."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("Number out of range") from None


class BodyDecoder(Generic[_T]):
    """Decodes bodies of one type.

    `lax` lets numbers, booleans and nothing come as strings, as Lago does. A type whose `is_bare`
    is true has no envelope; its fields are named all the same. A type that forbids unknown fields
    takes no null for one that it knows. The key check costs some 5 us for a short
    body; `may_repeat_keys` is for bodies that were checked otherwise.
    """

    __slots__ = ("_checks_keys", "_decode", "_find_foreign", "_is_bare", "_refuses_nulls")

    def __init__(self, kind: type[_T], *, lax: bool = True, may_repeat_keys: bool = False) -> None:
        self._decode = msgspec.json.Decoder(kind, strict=not lax, float_hook=_number).decode
        self._find_foreign = foreign_decimals(kind)
        self._checks_keys = not may_repeat_keys
        self._refuses_nulls = is_closed(kind)
        self._is_bare: bool = getattr(kind, "is_bare", False)

    def decode(self, body: bytes) -> _T:
        """Decode, or raise ApiError, or what msgspec raises (see `error_table`)."""
        if not body:
            raise bad_request("the body is missing")
        if b"\\u0000" in body:
            refuse_nul(body, is_bare=self._is_bare)
        try:
            decoded = self._decode(body)
        except msgspec.ValidationError as error:
            if not self._is_bare:
                raise
            raise ApiError(of_wire(error, is_bare=True)) from None
        if self._find_foreign is not None:
            for path in self._find_foreign(_anything(body), ()):
                raise field_error(".".join(path[1:]), "value_is_invalid", "a decimal such as 12.5")
        if self._checks_keys:
            refuse_repeated_keys(body)
        if self._refuses_nulls and b"null" in body:
            refuse_nulls(body)
        return decoded


def is_closed(kind: Any) -> bool:
    """Whether a type is a struct that refuses fields which it does not know, as ours do."""
    config: StructConfig | None = getattr(kind, "__struct_config__", None)
    return config is not None and config.forbid_unknown_fields


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, bytes_max: int) -> bytes:
    """Read a whole body, no longer than this; for handlers that speak ASGI themselves."""
    length_announced = headers.get(b"content-length")
    if length_announced is not None and (
        not length_announced.isdigit() or int(length_announced[:20]) > bytes_max
    ):
        raise too_large(bytes_max)
    if headers.get(b"content-encoding", b"").lower() not in _IDENTITY:
        raise encoded()
    parts: list[bytes] = []
    length = 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise bad_request("the client went away")
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > bytes_max:
            raise too_large(bytes_max)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def refuse_repeated_keys(body: bytes) -> None:
    """Raise if an object of a JSON text has a key twice; it is known to be JSON."""
    if not _is_as_written_anew(body):
        _find_repeats(body.decode().lstrip(), 0)


def _is_as_written_anew(body: bytes) -> bool:
    """Whether a text is what it comes to when it is read and written: then no key is there twice.

    That is how most clients write, and known in half of the time that looking at keys takes.
    """
    if _SPACED in body:
        return False
    try:
        return _WRITE(_READ(body)) == body
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return False  # numbers that only Decimal can hold, and the like


def _anything(body: bytes) -> Any:
    """What stands in a body, numbers left out: those of unknown fields may be of any size."""
    try:
        return _NO_NUMBERS.decode(body.decode())
    except json.JSONDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None


def refuse_nul(body: bytes, *, is_bare: bool = False) -> None:
    """Raise if a text in a body, or a key, holds the character NUL; names its field."""
    for path, text in _texts(_anything(body), ()):
        if _NUL in text:
            inner = path if is_bare else path[1:]
            names = [name for part in inner if (name := part.replace(_NUL, ""))]
            raise field_error(".".join(names) or "base", "value_is_invalid")


def refuse_nulls(body: bytes) -> None:
    """Raise if a field of a body is null; what stands in `properties` is the caller's own."""
    for path in _nulls(_anything(body), ()):
        raise field_error(".".join(path[1:]) or "base", "value_is_mandatory", "leave it out")


def _nulls(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where a decoded body has nulls."""
    if value is None:
        yield path
    elif isinstance(value, list):
        for position, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _nulls(item, (*path, str(position)))
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if key != "properties":
                yield from _nulls(item, (*path, str(key)))  # pyright: ignore[reportUnknownArgumentType]


def _texts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts of a decoded body, keys included, with where they stand."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for position, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _texts(item, (*path, str(position)))
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            inner = (*path, str(key))  # pyright: ignore[reportUnknownArgumentType]
            yield inner, str(key)  # pyright: ignore[reportUnknownArgumentType]
            yield from _texts(item, inner)


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len(dict(pairs)):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise field_error(repeated[:100].replace(_NUL, ""), "value_is_duplicated")


_NO_NUMBERS: Final = json.JSONDecoder(
    parse_int=lambda _: 0, parse_float=lambda _: 0, parse_constant=lambda _: 0
)
# Numbers stay text, so that one of 4,000 digits costs nothing here.
_KEYS: Final[Any] = json.JSONDecoder(
    object_pairs_hook=_refuse_repeats, parse_int=str, parse_float=str, parse_constant=str
)
# Without what `decode` does around it, which costs half as much again.
_find_repeats: Final = _KEYS.scan_once
