"""Everything that is open while the service runs, opened in order and closed in reverse. The only wiring.

A first version: the database, the keys and the signs of life. Doors take what they need from here.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from wallet_service.api_keys import KeyRing
from wallet_service.database import Database
from wallet_service.settings import Settings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class Services:
    """What the doors use. Made by `open_services`."""

    def __init__(self, *, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.keys = KeyRing(database, cache_s=settings.key_cache_s)

    @asynccontextmanager
    async def changing_catalogue(
        self, organization_id: UUID
    ) -> "AsyncGenerator[PoolConnectionProxy[asyncpg.Record]]":
        """Open a tenant's transaction that changes prices, and tell the other workers once it is done."""
        async with self.database.tenant(organization_id) as connection:
            yield connection
        await self.catalogue_changed(organization_id)

    async def catalogue_changed(self, organization_id: UUID) -> None:
        """Let every worker know; those that miss it notice within `catalogue_recheck_s`."""

    async def down(self) -> list[str]:
        """The names of the stores that do not answer: of postgres, redis, ledger."""
        try:
            await self.database.api.fetchval("select 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return ["postgres"]
        return []


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """Open everything; what was opened is closed, whatever happens."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(settings))
        yield Services(settings=settings, database=database)
