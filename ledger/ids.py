"""128-bit ids: ordered by time where they are new, derived where they must repeat.

A transfer's id is derived from the operation that it belongs to, so that whoever runs the operation
again sends the same id, and the book answers `exists` instead of moving the money twice.

    id of an operation    48 bits milliseconds │ UUIDv7 version, variant and random bits
    id of its transfers   the same 48 bits     │ 80 bits hash of all that makes the leg

The common prefix keeps ids of one time together, which both engines store faster.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TypeAlias
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Part: TypeAlias = int | str | bytes | UUID

_HASH_BITS = 80
_HASH_BYTES = _HASH_BITS // 8
_INT_MAX = 2**128 - 1


def new_uuid(now: datetime) -> UUID:
    """A UUIDv7: the milliseconds of `now`, then chance."""
    return UUID(int=new_id(now))


def new_id(now: datetime) -> int:
    """The same as a number, as accounts and operations are known in the book."""
    assert now.tzinfo is not None, "times carry their zone"
    milliseconds = (now - _EPOCH) // _MILLISECOND
    chance = secrets.randbits(74)
    return (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (chance >> 62) << 64
        | 0b10 << 62
        | chance & 0x3FFF_FFFF_FFFF_FFFF
    )


def hash128(*parts: Part) -> int:
    """A 128-bit name for these parts, never 0 and never the largest number.

    Parts are tagged and measured before hashing: ("ab", "c") and ("a", "bc") differ.
    """
    number = int.from_bytes(blake2b(_encode(parts), digest_size=16).digest(), "big")
    return number if 0 < number < _INT_MAX else 1


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
    digest = blake2b(
        _encode((organization, operation, leg, attempt)), digest_size=_HASH_BYTES
    ).digest()
    low = int.from_bytes(digest, "big")
    return (operation >> _HASH_BITS) << _HASH_BITS | (low or 1)


def house_account(ledger: int, name: str) -> int:
    """The id of an account of the house, such as `payments:stripe`: the same in every process."""
    return hash128("house", ledger, name)


def low64(transfer_id: int) -> int:
    """The half of a transfer's id that fits into `user_data_64`, to name it from another one."""
    return transfer_id & 0xFFFF_FFFF_FFFF_FFFF


def _encode(parts: tuple[Part, ...]) -> bytes:
    encoded = bytearray()
    for part in parts:
        match part:
            case int():
                tag, value = b"i", b"%d" % part
            case str():
                tag, value = b"s", part.encode()
            case bytes():
                tag, value = b"b", part
            case UUID():
                tag, value = b"i", b"%d" % part.int
        encoded += tag + len(value).to_bytes(4, "big") + value
    return bytes(encoded)
