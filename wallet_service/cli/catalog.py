"""`wallet catalog`: price lists of models, straight into the database."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click

from wallet_service.cli.connection import find_database
from wallet_service.cli.data_folder import DataFolder, data_option
from wallet_service.cli.stores import explained

if TYPE_CHECKING:
    from rich.console import Console

    from wallet_service.catalog import ImportReport, PriceList

# Two are enough to know that it has to be said which one is meant.
_ORGANIZATIONS: Final = "select id from wallet.organizations order by created_at, id limit 2"
_IS_KNOWN: Final = "select exists (select from wallet.organizations where id = $1)"
_EXAMPLES_SHOWN: Final = 3


@click.group("catalog")
def command() -> None:
    """Import price lists of models."""


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--organization",
    "organization_id",
    type=click.UUID,
    help="Whose catalogue.  [default: that of `wallet up`, or the only one]",
)
@data_option
def import_file(file: Path, organization_id: UUID | None, data: Path | None) -> None:
    """Import a price FILE in LiteLLM's format (model_prices_and_context_window.json).

    Prices become the plan llm_list_prices and the four metrics it prices. Prices that the file does
    not name are kept; a changed price is a new version of the plan, and holds already made keep the
    version they were made with. Importing a file twice changes nothing.
    """
    from rich.console import Console

    from invoicing.errors import InvoicingError
    from wallet_service.catalog import CatalogConflict, InvalidPriceList, read_price_list

    database_url = find_database(data)
    console = Console()
    try:
        price_list = read_price_list(file.read_bytes())
    except (InvalidPriceList, OSError) as error:
        raise click.ClickException(str(error)) from None
    with explained():
        try:
            report = asyncio.run(
                _import(console, database_url, price_list, organization_id or _known(data))
            )
        except (CatalogConflict, InvoicingError) as error:
            raise click.ClickException(str(error)) from None
    _show(console, report)


def _known(data: Path | None) -> UUID | None:
    """The organization of `wallet up`, if this folder has one."""
    credentials = DataFolder(data).read_credentials()
    return UUID(credentials.organization_id) if credentials else None


async def _import(
    console: "Console", database_url: str, price_list: "PriceList", organization_id: UUID | None
) -> "ImportReport":
    """Import in one transaction, showing how far it is."""
    import asyncpg
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from wallet_service import catalog

    connection = await asyncpg.connect(database_url, server_settings={"role": "wallet_worker"})
    try:
        with Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
        ) as progress:
            task = progress.add_task("", total=catalog.STEPS)
            started = 0

            def on_step(step: str) -> None:
                nonlocal started
                progress.update(task, description=step, completed=started)
                started += 1
                progress.refresh()

            async with connection.transaction():
                return await catalog.import_price_list(
                    connection,
                    await _choose(connection, organization_id),
                    price_list,
                    now=datetime.now(UTC),
                    on_step=on_step,
                )
    finally:
        await connection.close()


async def _choose(connection: Any, organization_id: UUID | None) -> UUID:
    """Return the organization that is meant, or say how to say it."""
    if organization_id is not None:
        if await connection.fetchval(_IS_KNOWN, organization_id):
            return organization_id
        raise click.ClickException(f"there is no organization {organization_id}")
    rows = await connection.fetch(_ORGANIZATIONS)
    if len(rows) == 1:
        return rows[0]["id"]
    raise click.ClickException(
        "say whose catalogue with --organization" if rows else "there is no organization yet"
    )


def _show(console: "Console", report: "ImportReport") -> None:
    """Print what was read, what was left out and why, and what changed."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{report.entries:,}", "entries read")
    table.add_row(f"{report.models:,}", "models with a price per token")
    table.add_row(f"{report.prices_added:,}", "prices added")
    table.add_row(f"{report.prices_changed:,}", "prices changed")
    table.add_row(f"{report.prices_unchanged:,}", "prices unchanged")
    table.add_row(f"{report.prices_kept:,}", "prices kept that the file does not name")
    _add_examples(table, report.free_models, "models are free")
    _add_examples(
        table, report.models_with_tiers, "models cost more for long contexts: base price taken"
    )
    reasons = Counter(skipped.reason for skipped in report.skipped)
    for reason, count in reasons.most_common():
        names = [each.model for each in report.skipped if each.reason is reason]
        _add_examples(table, names, f"left out: {reason.value}", count=count)
    console.print(table)
    state = "a new version" if report.is_new_version else "nothing changed"
    default = ", the default plan" if report.is_default else ""
    console.print(f"plan llm_list_prices is at version {report.plan_version} ({state}){default}")


def _add_examples(
    table: Any, names: "tuple[str, ...] | list[str]", text: str, *, count: int | None = None
) -> None:
    from rich.markup import escape

    if names:
        shown = ", ".join(escape(name) for name in names[:_EXAMPLES_SHOWN])
        more = ", …" if len(names) > _EXAMPLES_SHOWN else ""
        table.add_row(f"{count or len(names):,}", f"{text} [dim]({shown}{more})[/dim]")
