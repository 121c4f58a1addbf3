"""The outbox: what the world is to be told, written in the transaction in which it happened."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing.records import Connection, load_queries, to_json
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)


class Message(Struct, frozen=True, kw_only=True):
    """Word of something that happened to an object of a resource."""

    organization_id: UUID
    webhook_type: str
    object_type: str
    object_id: UUID
    payload: dict[str, Any]


async def add_all(connection: Connection, messages: Sequence[Message], *, now: datetime) -> None:
    """As `add`, for many at once."""
    rows = [
        {**structs.asdict(message), "id": new_uuid(now), "created_at": now} for message in messages
    ]
    if rows:
        await _queries.insert_messages(connection, rows=to_json(rows))


async def add(
    connection: Connection,
    organization_id: UUID,
    webhook_type: str,
    *,
    object_type: str,
    object_id: UUID,
    payload: dict[str, Any],
    now: datetime,
) -> None:
    """Leave word of what the caller's transaction does: `invoice.created` and the like.

    `payload` is the object as its resource shows it. Nothing is sent before the commit.
    """
    await _queries.insert_message(
        connection,
        organization_id=organization_id,
        id=new_uuid(now),
        webhook_type=webhook_type,
        object_type=object_type,
        object_id=object_id,
        payload=to_json(payload),
        created_at=now,
    )
