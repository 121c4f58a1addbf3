"""The first organization and its first key, so that `wallet up` ends with something usable."""

import hashlib
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg

from wallet_service.cli.data_folder import Credentials

_NAME: Final = "default"
_FIRST_ORGANIZATION: Final = "select id from wallet.organizations order by created_at, id limit 1"
_IS_VALID: Final = """
select exists (
    select from wallet.api_keys
     where hash = $1 and revoked_at is null and (expires_at is null or expires_at > now()))
"""


async def first_key(database_url: str, known: Credentials | None, *, url: str) -> Credentials:
    """Return the known key if it still opens the door, else a new one for the first organization.

    Only hashes are stored, so a key that was lost can be replaced but not shown again.
    """
    now = datetime.now(UTC)
    connection = await asyncpg.connect(database_url, server_settings={"role": "wallet_worker"})
    try:
        async with connection.transaction():
            if known:
                digest = hashlib.sha256(known.api_key.encode()).digest()
                if await connection.fetchval(_IS_VALID, digest):
                    return Credentials(
                        url=url, api_key=known.api_key, organization_id=known.organization_id
                    )
            from wallet_service import api_keys

            organization_id = await first_organization(connection, now=now)
            _, api_key = await api_keys.create(connection, organization_id, "wallet up", now=now)
    finally:
        await connection.close()
    return Credentials(url=url, api_key=api_key, organization_id=str(organization_id))


async def first_organization(
    connection: "asyncpg.Connection[asyncpg.Record]", *, now: datetime
) -> UUID:
    """Return the organization that was there first, made now, with prices, if there is none."""
    known: UUID | None = await connection.fetchval(_FIRST_ORGANIZATION)
    if known is not None:
        return known
    from wallet_service import catalog, organizations

    made = await organizations.create_organization(connection, _NAME, now=now)
    await catalog.import_bundled(connection, made.id, now=now)
    return made.id
