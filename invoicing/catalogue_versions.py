"""One number an organization that moves with every change of its metrics, plans and subscriptions.

What is cached of the catalogue is fresh while the number stands; where it moves for the sake of
single subscriptions, `catalogue_changes` says whose. It moves in the transaction of the
change, as its first step: the lock on this row puts the changes of an organization in one order, so
that none is made on the strength of what another is just changing.
"""

from typing import Final
from uuid import UUID

from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


async def current(connection: Connection, organization_id: UUID) -> int:
    """How often the catalogue was changed; 0 if never."""
    version: int | None = await _queries.current_version(
        connection, organization_id=organization_id
    )
    return version or 0


async def all_current(connection: Connection) -> dict[UUID, int]:
    """The numbers of all organizations that have one, in one query."""
    return {
        row["organization_id"]: row["version"]
        async for row in _queries.current_versions(connection)
    }


async def bump(connection: Connection, organization_id: UUID) -> int:
    """Say that the catalogue changes now: the first step of every change, so that they queue up.

    Gives the version that the change makes. It concerns everybody, unless `catalogue_changes` is
    told in the same transaction whom alone.
    """
    version: int = await _queries.bump_version(connection, organization_id=organization_id)
    return version


async def lock(connection: Connection, organization_id: UUID) -> None:
    """Hold up other changes while it is found out whether there is one to make."""
    await _queries.lock_version(connection, organization_id=organization_id)
