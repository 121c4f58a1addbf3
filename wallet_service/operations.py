"""Operations at the door: what a key is bound to."""

from datetime import datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from ledger.ids import new_uuid
from wallet_service.decision import Command, Operation
from wallet_service.errors import Invalid

__all__ = ["KEY_LENGTH_MAX", "RESERVED_PREFIX", "body_hash", "check_key", "operation"]

KEY_LENGTH_MAX: Final = 255

RESERVED_PREFIX: Final = "authorization:"
"""Usage events of captures are named so; clients may not."""

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


def body_hash(request: Struct) -> bytes:
    """What tells whether a key is used again with the same body.

    Its decoded content counts, in any order and spelling. Requests omit what is as if it had not
    been said, so that a key outlives a field that a later version adds. Raises Invalid where the
    body holds a number that no store of ours can keep.
    """
    try:
        return blake2b(_encode(request), digest_size=16).digest()
    except (OverflowError, RecursionError):
        raise Invalid("properties", "value_is_out_of_range", "integers have 64 bits") from None


def check_key(key: str | None, *, field: str = "transaction_id") -> str:
    """An idempotency key as it may be: 1 to 255 printable characters. Raises Invalid."""
    if key is None or not key:
        raise Invalid(field, "value_is_mandatory")
    if len(key) > KEY_LENGTH_MAX:
        raise Invalid(field, "value_is_too_long", f"a key has at most {KEY_LENGTH_MAX} characters")
    if not key.isprintable():
        raise Invalid(field, "value_is_invalid", "a key is printable")
    return key


def operation(
    organization_id: UUID,
    kind: str,
    key: str | None,
    command: Command,
    *,
    customer_id: UUID | None,
    body: Struct,
    now: datetime,
) -> Operation:
    """An operation under its key.

    Without a key it gets one of its own, and a repeat is a second operation.
    """
    operation_id = new_uuid(now)
    return Operation(
        organization_id,
        kind,
        str(operation_id) if key is None else key,
        operation_id,
        customer_id,
        body_hash(body),
        command,
    )
