"""`wallet check`: whether everything holds that must always hold."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wallet_service.cli.connection import find_stores
from wallet_service.cli.data_folder import data_option
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
        settings = find_stores(data)
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
            balances = await HotBalances.open(
                settings.redis_url,
                engine=ledger.name,
                timeout_s=settings.hot_balances_timeout_ms / 1000,
            )
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
