"""Keys of requests that make or change a document in a transaction of their own.

What the committer decides has its keys in `wallet.operations`. Here a key is bound to the thing
that a request makes, in the transaction that makes it: of many at once one makes it, and the others
wait for that and find it.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing.records import Connection, load_queries
from wallet_service.errors import Busy, KeyReused
from wallet_service.operations import body_hash, check_key

__all__ = ["HEADER", "RequestKey", "claim", "find", "key_of"]

HEADER: Final = "Idempotency-Key"

_queries: Final[Any] = load_queries(__file__)


class RequestKey(Struct, frozen=True, kw_only=True):
    """A key as a client has given it, and what it is bound to."""

    kind: str
    key: str
    body_hash: bytes


def key_of(kind: str, key: str | None, body: Struct) -> RequestKey | None:
    """The key of a request to do `kind`, or None where it has none. Raises Invalid."""
    if key is None:
        return None
    return RequestKey(kind=kind, key=check_key(key, field=HEADER), body_hash=body_hash(body))


async def find(
    connection: Connection, organization_id: UUID, key: RequestKey | None
) -> UUID | None:
    """What the same request has made before, if it has. Raises KeyReused."""
    if key is None:
        return None
    row = await _queries.find_key(
        connection, organization_id=organization_id, kind=key.kind, key=key.key
    )
    if row is None:
        return None
    if row["body_hash"] != key.body_hash:
        raise KeyReused(HEADER)
    return row["object_id"]


async def claim(
    connection: Connection,
    organization_id: UUID,
    key: RequestKey | None,
    object_id: UUID,
    *,
    now: datetime,
) -> UUID:
    """Bind a key to what this transaction makes; it is free again where that is rolled back.

    Gives `object_id`, or what somebody else has made under it meanwhile. Raises KeyReused.
    """
    if key is None:
        return object_id
    claimed = await _queries.claim_key(
        connection,
        organization_id=organization_id,
        kind=key.kind,
        key=key.key,
        body_hash=key.body_hash,
        object_id=object_id,
        now=now,
    )
    if claimed is not None:
        return object_id
    found = await find(connection, organization_id, key)
    if found is None:  # forgotten just now, being old
        raise Busy
    return found
