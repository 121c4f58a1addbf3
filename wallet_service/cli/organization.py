"""Whose data a command is about."""

from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click

from wallet_service.cli.data_folder import DataFolder

# Two are enough to know that it has to be said which one is meant.
_ORGANIZATIONS: Final = "select id from wallet.organizations order by created_at, id limit 2"
_IS_KNOWN: Final = "select exists (select from wallet.organizations where id = $1)"


def organization_of(data: Path | None) -> UUID | None:
    """The organization of `wallet up`, if this folder has one."""
    credentials = DataFolder(data).read_credentials()
    return UUID(credentials.organization_id) if credentials else None


async def choose_organization(connection: Any, organization_id: UUID | None) -> UUID:
    """Return the organization that is meant, or say how to say it."""
    if organization_id is not None:
        if await connection.fetchval(_IS_KNOWN, organization_id):
            return organization_id
        raise click.ClickException(f"there is no organization {organization_id}")
    rows = await connection.fetch(_ORGANIZATIONS)
    if len(rows) == 1:
        return rows[0]["id"]
    raise click.ClickException(
        "say which with --organization" if rows else "there is no organization yet"
    )
