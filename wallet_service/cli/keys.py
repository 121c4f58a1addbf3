"""`wallet keys`: create, list and revoke API keys, straight in the database."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from wallet_service.cli.connection import find_database
from wallet_service.cli.data_folder import data_option
from wallet_service.cli.numbers import Whole
from wallet_service.cli.stores import explained

if TYPE_CHECKING:
    from asyncpg import Connection, Record

    from wallet_service.api_keys import ApiKey

organization_option = click.option(
    "--organization", type=click.UUID, help="Whose keys; needed where there are several."
)


@click.group("keys")
def command() -> None:
    """Create, list and revoke API keys."""


@command.command("create")
@data_option
@organization_option
@click.option("--name", help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, help="Such as events:write; all when left out.")
@click.option("--expires-in-days", type=Whole(1, 3650), help="Never when left out.")
def create(
    data: Path | None,
    organization: UUID | None,
    name: str | None,
    scopes: tuple[str, ...],
    expires_in_days: int | None,
) -> None:
    """Create a key and print it: it is shown this once.

    In an empty database this also makes the first organization.
    """
    from wallet_service import api_keys

    async def work(connection: "Connection[Record]", organization_id: UUID) -> str:
        now = datetime.now(UTC)
        _, text = await api_keys.create(
            connection,
            organization_id,
            name,
            scopes=scopes or (api_keys.ALL,),
            expires_at=now + timedelta(days=expires_in_days) if expires_in_days else None,
            now=now,
        )
        return text

    click.echo(_run(data, organization, work, make_first=True))


@command.command("list")
@data_option
@organization_option
def list_keys(data: Path | None, organization: UUID | None) -> None:
    """List the newest keys, by id: what a key reads is stored nowhere."""
    from invoicing.pages import Window
    from wallet_service import api_keys

    async def work(connection: "Connection[Record]", organization_id: UUID) -> str:
        page = await api_keys.find_all(connection, organization_id, window=Window(size=100))
        return "\n".join(_line(key) for key in page.items)

    click.echo(_run(data, organization, work))


@command.command("revoke")
@data_option
@organization_option
@click.argument("key_id", type=click.UUID)
def revoke(data: Path | None, organization: UUID | None, key_id: UUID) -> None:
    """Make a key useless, everywhere within seconds."""
    from wallet_service import api_keys

    async def work(connection: "Connection[Record]", organization_id: UUID) -> str:
        now = datetime.now(UTC)
        return _line(await api_keys.revoke(connection, organization_id, key_id, now=now))

    click.echo(_run(data, organization, work))


def _run(
    data: Path | None,
    organization: UUID | None,
    work: "Callable[[Connection[Record], UUID], Awaitable[str]]",
    *,
    make_first: bool = False,
) -> str:
    """Do something for an organization in one transaction."""
    from invoicing.errors import InvoicingError

    async def in_transaction() -> str:
        async with _transaction(find_database(data)) as connection:
            chosen = organization or await _only_organization(connection, make_first=make_first)
            return await work(connection, chosen)

    with explained():
        try:
            return asyncio.run(in_transaction())
        except InvoicingError as error:
            raise click.ClickException(f"{type(error).__name__}: {error}") from None


@asynccontextmanager
async def _transaction(url: str) -> "AsyncGenerator[Connection[Record]]":
    import asyncpg

    connection = await asyncpg.connect(url, server_settings={"role": "wallet_worker"})
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def _only_organization(connection: "Connection[Record]", *, make_first: bool) -> UUID:
    """Return the one organization there is, or which there is now."""
    from wallet_service.cli.first_key import first_organization

    if make_first:
        await first_organization(connection, now=datetime.now(UTC))
    rows = await connection.fetch("select id, name from wallet.organizations order by id limit 20")
    if len(rows) != 1:
        names = "".join(f"\n  {row['id']}  {row['name']}" for row in rows)
        raise click.ClickException(
            f"say which --organization:{names}" if rows else "nobody has made a key here yet"
        )
    return rows[0]["id"]


def _line(key: "ApiKey") -> str:
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "valid"
    return f"{key.id}  {key.prefix}…  {state}  {','.join(key.scopes)}  {key.name or ''}".rstrip()
