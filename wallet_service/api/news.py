"""What the world is told of resources that requests change: each as its request shows it."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing import outbox
from invoicing.records import Connection

__all__ = ["tell"]


class _Stored(Protocol):
    @property
    def organization_id(self) -> UUID: ...
    @property
    def id(self) -> UUID: ...


async def tell(
    connection: Connection, webhook_type: str, changed: _Stored, shown: Struct, *, now: datetime
) -> None:
    """Leave word of a change, in the transaction that makes it: `plan.created` and the like."""
    payload: dict[str, Any] = msgspec.to_builtins(shown)
    await outbox.add(
        connection,
        changed.organization_id,
        webhook_type,
        object_type=webhook_type.partition(".")[0],
        object_id=changed.id,
        payload=payload,
        now=now,
    )
