"""128-bit ids: ordered by time where they are new, derived where they must repeat.

A transfer's id is derived from the operation that it belongs to, so that whoever runs the operation
again sends the same id, and the book answers `exists` instead of moving the money twice.

    id of an operation    48 bits milliseconds │ UUIDv7 version, variant and random bits
    id of its transfers   the same 48 bits     │ 80 bits hash of all that makes the leg

The common prefix keeps ids of one time together, which both engines store faster.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias
from uuid import UUID, SafeUUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Part: TypeAlias = int | str | bytes | UUID

_HASH_BITS = 80
_HASH_BYTES = _HASH_BITS // 8
_INT_MAX = 2**128 - 1

_VERSION_7: Final = 0x7 << 76 | 0b10 << 62
_CHANCE: Final = 0x0FFF << 64 | 0x3FFF_FFFF_FFFF_FFFF

_HEADS_KEPT: Final = 4_096
_HOUSE_ACCOUNTS_KEPT: Final = 4_096

_head_of: Final = struct.Struct(">cI").pack

_new_object: Final = object.__new__
_set_int: Final[Callable[[UUID, int], None]] = vars(UUID)["int"].__set__
_set_is_safe: Final[Callable[[UUID, SafeUUID], None]] = vars(UUID)["is_safe"].__set__
_UNKNOWN: Final = SafeUUID.unknown


def uuid_of(number: int) -> UUID:
    """The same as `UUID(int=number)`, without looking at the other ways to make one.

    >>> uuid_of(5)
    UUID('00000000-0000-0000-0000-000000000005')
    """
    assert 0 <= number <= _INT_MAX, "ids have 128 bits"
    made = _new_object(UUID)
    # A UUID refuses assignments; its two slots are filled as its own __init__ does.
    _set_int(made, number)
    _set_is_safe(made, _UNKNOWN)
    return made


def new_uuid(now: datetime) -> UUID:
    """A UUIDv7: the milliseconds of `now`, then chance."""
    return uuid_of(new_id(now))


def new_id(now: datetime) -> int:
    """The same as a number, as accounts and operations are known in the book."""
    assert now.tzinfo is not None, "times carry their zone"
    milliseconds = (now - _EPOCH) // _MILLISECOND
    chance = int.from_bytes(os.urandom(10), "big")
    return (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | _VERSION_7 | chance & _CHANCE


def hash128(*parts: Part) -> int:
    """A 128-bit name for these parts, never 0 and never the largest number.

    Parts are tagged and measured before hashing: ("ab", "c") and ("a", "bc") differ.
    """
    return _hashed(_encode(parts))


def reference(organization_id: UUID, *parts: Part) -> int:
    """The same as `hash128(organization_id, *parts)`, of which the first part is well known."""
    return _hashed(_encode_organization(organization_id.int) + _encode(parts))


def derive(
    operation_id: UUID | int,
    leg: str | int,
    attempt: int,
    *,
    organization_id: UUID | int,
) -> int:
    """The id of one leg of an operation, in its `attempt`-th try.

    A refused id is burnt, so each further try must count `attempt` up, and store it first.
    """
    operation = operation_id if isinstance(operation_id, int) else operation_id.int
    organization = organization_id if isinstance(organization_id, int) else organization_id.int
    digits = b"%d" % operation
    encoded = (
        _encode_organization(organization)
        + _head_of(b"i", len(digits))
        + digits
        + _encode_leg(leg, attempt)
    )
    low = int.from_bytes(blake2b(encoded, digest_size=_HASH_BYTES).digest(), "big")
    return (operation >> _HASH_BITS) << _HASH_BITS | (low or 1)


@lru_cache(_HOUSE_ACCOUNTS_KEPT)
def house_account(ledger: int, name: str) -> int:
    """The id of an account of the house, such as `payments:stripe`: the same in every process."""
    return hash128("house", ledger, name)


def low64(transfer_id: int) -> int:
    """The half of a transfer's id that fits into `user_data_64`, to name it from another one."""
    return transfer_id & 0xFFFF_FFFF_FFFF_FFFF


@lru_cache(_HEADS_KEPT)
def _encode_organization(organization: int) -> bytes:
    """The part that all operations of one organization begin with."""
    return _encode((organization,))


@lru_cache(_HEADS_KEPT)
def _encode_leg(leg: str | int, attempt: int) -> bytes:
    """The parts that tell the legs of an operation apart; few names, and few attempts."""
    return _encode((leg, attempt))


def _hashed(encoded: bytes) -> int:
    number = int.from_bytes(blake2b(encoded, digest_size=16).digest(), "big")
    return number if 0 < number < _INT_MAX else 1


def _encode(parts: tuple[Part, ...]) -> bytes:
    encoded = b""
    for part in parts:
        if isinstance(part, str):
            value = part.encode()
            encoded += _head_of(b"s", len(value)) + value
        elif isinstance(part, bytes):
            encoded += _head_of(b"b", len(part)) + part
        else:
            value = b"%d" % (part.int if isinstance(part, UUID) else part)
            encoded += _head_of(b"i", len(value)) + value
    return encoded
