"""What a caller wants to remember of a plan. It changes no price."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import structs

from invoicing import plans
from invoicing.errors import Invalid
from invoicing.records import Connection

METADATA_MAX: Final = 50

Metadata: TypeAlias = dict[str, str | None]


async def change(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    new: Callable[[Metadata], Metadata],
    *,
    now: datetime,
) -> Metadata:
    """Replace what is remembered by what `new` makes of it; raises NotFound or Invalid."""
    plan = await plans.lock(connection, organization_id, plan_code, now=now)
    metadata = new(plan.metadata)
    if len(metadata) > METADATA_MAX:
        raise Invalid.field("metadata", "invalid_count")
    await plans.store(connection, structs.replace(plan, metadata=metadata, updated_at=now))
    return metadata
