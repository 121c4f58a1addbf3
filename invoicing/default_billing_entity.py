"""The billing entity that every organization has: made of what the organization says of itself."""

from datetime import datetime
from typing import Final
from uuid import UUID

from invoicing.records import Connection, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

DEFAULT_CODE: Final = "default"


async def ensure(connection: Connection, organization_id: UUID, *, now: datetime) -> None:
    """Make the default billing entity, unless it is there."""
    if not await _queries.has_default_entity(connection, organization_id=organization_id):
        await _queries.insert_default_entity(
            connection,
            organization_id=organization_id,
            id=new_uuid(now),
            code=DEFAULT_CODE,
            now=now,
        )
