"""Ids that repeat: what is built again from the same facts is the same row, byte for byte."""

from datetime import datetime
from typing import Final
from uuid import UUID

from ledger.ids import Part, hash128, new_id, uuid_of

__all__ = ["derived_id", "timed_id"]

_LOW_BITS: Final = 80
_VERSION_8: Final = 0x8 << 76 | 0b10 << 62
_HASH: Final = 0x0FFF << 64 | 0x3FFF_FFFF_FFFF_FFFF


def timed_id(at: datetime, *parts: Part) -> UUID:
    """The id that these parts have, ordered by a time that is one of their facts."""
    return _made((new_id(at) >> _LOW_BITS) << _LOW_BITS, *parts)


def derived_id(parent: UUID, *parts: Part) -> UUID:
    """The id of a part of something, ordered like that."""
    return _made((parent.int >> _LOW_BITS) << _LOW_BITS, parent, *parts)


def _made(prefix: int, *parts: Part) -> UUID:
    return uuid_of(prefix | _VERSION_8 | hash128(*parts) & _HASH)
