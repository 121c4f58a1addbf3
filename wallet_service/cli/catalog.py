"""`wallet catalog`: price lists of models, straight into the database."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click
from msgspec import Struct

from wallet_service.cli.catalog_report import as_json, show
from wallet_service.cli.connection import find_database
from wallet_service.cli.data_folder import data_option
from wallet_service.cli.organization import choose_organization, organization_of
from wallet_service.cli.stores import explained
from wallet_service.cli.times import Time

if TYPE_CHECKING:
    from rich.console import Console

    from wallet_service.catalog import ImportReport, ImportTerms
    from wallet_service.catalog_changes import Changes
    from wallet_service.price_lists import PriceList

_SOURCES: Final = ("litellm", "genai-prices")


@click.group("catalog")
def command() -> None:
    """Import price lists of models."""


@command.command("import")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--from",
    "source",
    type=click.Choice(_SOURCES),
    default=_SOURCES[0],
    show_default=True,
    help="Whose list: LiteLLM's price FILE, or that of the installed package genai-prices.",
)
@click.option(
    "--plan", "plan_code", metavar="CODE", help="Into which plan.  [default: llm_list_prices]"
)
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Only models such as 'gpt-*'; may be repeated."
)
@click.option("--prune", is_flag=True, help="Take away prices that the list does not name.")
@click.option("--effective-at", type=Time(), help="From when on the prices hold.  [default: now]")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Change prices that there are, too, and take them away.")
@click.option("--format", "output", type=click.Choice(("table", "json")), default="table")
@click.option(
    "--organization",
    "organization_id",
    type=click.UUID,
    help="Whose catalogue.  [default: that of `wallet up`, or the only one]",
)
@data_option
def import_list(**given: Any) -> None:
    """Import a price list: LiteLLM's FILE (model_prices_and_context_window.json), or genai-prices.

    Prices become a plan and the metrics it prices, in one new version of the plan. New prices are
    added; prices that there are already change with --yes only. Prices that the list does not name
    are kept, but for --prune. Holds already made keep the version they were made with. Importing a
    list twice changes nothing.
    """
    from rich.console import Console

    from invoicing.errors import InvoicingError
    from wallet_service.catalog import CatalogConflict

    options = _Options(**given)
    now = datetime.now(UTC)
    database_url = find_database(options.data)
    console = Console(stderr=options.output == "json")
    price_list = _read(options, now=now)
    with explained():
        try:
            report = asyncio.run(_import(console, database_url, price_list, options, now=now))
        except (CatalogConflict, InvoicingError) as error:
            raise click.ClickException(str(error)) from None
    if options.output == "json":
        click.echo(as_json(report, source=options.source))
    else:
        show(console, report)
    if not report.is_applied and not options.dry_run:
        raise click.ClickException(
            "prices that there are would change, so nothing was imported: say --yes"
        )


class _Options(Struct, frozen=True, kw_only=True):
    """What the command line says."""

    file: Path | None
    source: str
    plan_code: str | None
    only: tuple[str, ...]
    prune: bool
    effective_at: datetime | None
    dry_run: bool
    yes: bool
    output: str
    organization_id: UUID | None
    data: Path | None

    def terms(self) -> "ImportTerms":
        """The same, for the import."""
        from wallet_service.catalog import PLAN_CODE, ImportTerms

        return ImportTerms(
            plan_code=self.plan_code or PLAN_CODE,
            prune=self.prune,
            effective_at=self.effective_at,
            agrees=self._agrees,
        )

    def _agrees(self, changes: "Changes") -> bool:
        return not self.dry_run and (self.yes or not changes.touch_what_is_there)


def _read(options: _Options, *, now: datetime) -> "PriceList":
    """The list that is meant; what is wrong with it is said in a line."""
    from wallet_service.price_lists import InvalidPriceList, read_litellm

    if options.source == "genai-prices":
        if options.file is not None:
            raise click.UsageError("genai-prices brings its own prices: there is no FILE to read")
        from wallet_service.price_lists.genai import read_genai_prices

        price_list = read_genai_prices(on=(options.effective_at or now).date())
    elif options.file is None:
        raise click.UsageError("name LiteLLM's price FILE")
    else:
        try:
            price_list = read_litellm(options.file.read_bytes())
        except (InvalidPriceList, OSError) as error:
            raise click.ClickException(str(error)) from None
    return price_list.only(options.only) if options.only else price_list


async def _import(
    console: "Console",
    database_url: str,
    price_list: "PriceList",
    options: _Options,
    *,
    now: datetime,
) -> "ImportReport":
    """Import in one transaction, showing how far it is."""
    import asyncpg
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from wallet_service import catalog

    connection = await asyncpg.connect(database_url, server_settings={"role": "wallet_worker"})
    try:
        with Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
        ) as progress:
            task = progress.add_task("", total=catalog.steps(price_list))
            started = 0

            def on_step(step: str) -> None:
                nonlocal started
                progress.update(task, description=step, completed=started)
                started += 1
                progress.refresh()

            async with connection.transaction():
                return await catalog.import_price_list(
                    connection,
                    await choose_organization(
                        connection, options.organization_id or organization_of(options.data)
                    ),
                    price_list,
                    terms=options.terms(),
                    now=now,
                    on_step=on_step,
                )
    finally:
        await connection.close()
