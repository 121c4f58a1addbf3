"""`wallet migrate`: bring the database to this version."""

import asyncio
from pathlib import Path

import click

from wallet_service.cli.connection import find_database
from wallet_service.cli.data_folder import data_option
from wallet_service.cli.stores import explained


@click.command("migrate")
@data_option
def command(data: Path | None) -> None:
    """Bring the database to this version: WALLET_DATABASE_URL, or that of a running `wallet up`."""
    from wallet_service.migrate import migrate

    with explained():
        applied = asyncio.run(migrate(find_database(data)))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to do")
