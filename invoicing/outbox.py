"""The outbox: what the world is to be told, written in the transaction in which it happened."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from invoicing.records import Connection, load_queries, to_json
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)


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
