"""`wallet check`: whether everything holds that must always hold."""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wallet_service.cli.connection import find_database
from wallet_service.cli.data_folder import DataFolder, data_option
from wallet_service.cli.stores import explained

if TYPE_CHECKING:
    from wallet_service.checks.running import Result
    from wallet_service.settings import Settings


@click.command("check")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(data: Path | None, *, as_json: bool) -> None:
    """Check that everything holds that must always hold, on a running service or a quiet one.

    Reads only. Ends with 1 if anything is wrong, and names it.
    """
    from wallet_service.settings import InvalidSetting

    try:
        settings = settings_of(data)
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    with explained():
        results = asyncio.run(_run(settings))
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        _print(results)
    if any(result.breaches for result in results):
        raise SystemExit(1)


def settings_of(data: Path | None) -> "Settings":
    """WALLET_* where set, else the servers of a running `wallet up`."""
    from msgspec.structs import replace

    from wallet_service.embedded.redis import Redis
    from wallet_service.embedded.tigerbeetle import TigerBeetle
    from wallet_service.settings import load_settings

    settings = replace(load_settings(), database_url=find_database(data), database_wait_s=0)
    if os.environ.get("WALLET_DATABASE_URL"):
        return settings
    folder = DataFolder(data)
    settings = replace(settings, ledger=folder.choose_ledger(None))
    if not os.environ.get("WALLET_REDIS_URL"):
        valkey = Redis(
            folder.valkey, socket_folder=folder.sockets, log_path=folder.logs / "valkey.log"
        )
        settings = replace(settings, redis_url=valkey.url())
    if settings.ledger == "tigerbeetle" and not os.environ.get("WALLET_TIGERBEETLE_ADDRESSES"):
        tigerbeetle = TigerBeetle(
            folder.tigerbeetle,
            log_path=folder.logs / "tigerbeetle.log",
            cluster_id=settings.tigerbeetle_cluster_id,
        )
        settings = replace(settings, tigerbeetle_addresses=tigerbeetle.addresses)
    return settings


async def _run(settings: "Settings") -> "list[Result]":
    """Open what the checks read, and nothing else: no committer, no jobs."""
    from ledger.engines import open_ledger
    from wallet_service.checks.running import run_checks
    from wallet_service.database import Database
    from wallet_service.hot_balances import HotBalances
    from wallet_service.hot_customers import HotCustomers
    from wallet_service.observability import configure_logging

    configure_logging(logging.ERROR)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(settings))
        ledger = open_ledger(
            settings.ledger,
            pool=database.worker,
            addresses=settings.tigerbeetle_addresses,
            cluster_id=settings.tigerbeetle_cluster_id,
        )
        stack.push_async_callback(ledger.close)
        await ledger.ready()
        try:
            balances = await HotBalances.open(settings.redis_url, engine=ledger.name)
        except ValueError as error:
            raise click.ClickException(f"WALLET_REDIS_URL: {error}") from None
        stack.push_async_callback(balances.close)
        hot = HotCustomers(database=database, ledger=ledger, balances=balances, wait_s=1)
        return await run_checks(database, ledger, hot)


def _print(results: "list[Result]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "Invariant", "What must hold")
    table.add_column("Checked", justify="right")
    table.add_column("Breaches", justify="right")
    table.add_column("ms", justify="right")
    for result in results:
        table.add_row(
            "[red]✗[/]" if result.breaches else "[green]✓[/]",
            result.invariant,
            result.statement,
            f"{result.checked:,}",
            f"{len(result.breaches):,}",
            f"{result.milliseconds:,}",
        )
    console = Console()
    console.print(table)
    for result in results:
        for breach in result.breaches:
            console.print(f"{result.invariant}: {breach}", markup=False, highlight=False)
