"""`wallet bill`: bill what is due, or show what would be billed."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from msgspec import Struct

from wallet_service.cli.connection import find_stores
from wallet_service.cli.data_folder import data_option
from wallet_service.cli.stores import explained
from wallet_service.cli.times import Time

if TYPE_CHECKING:
    from rich.console import Console

    from wallet_service.billing import Progress as BillingProgress
    from wallet_service.services import Services
    from wallet_service.settings import Settings


_FORESEEN = ("Invoices", "Fees", "Amount", "Coupons", "Taxes", "Paid already", "Left")
_COUNTS = 2
"""So many of these are counts; the others are money."""


class _Options(Struct, frozen=True, kw_only=True):
    """What the command line says."""

    until: datetime
    dry_run: bool
    organization_id: UUID | None
    data: Path | None


class _Foreseen(Struct):
    """What a dry run has found so far, by organization and currency."""

    rows: dict[tuple[UUID, str], list[int]]
    has_taxes: bool
    """Whether the taxes are known."""

    def add(self, organization_id: UUID, currency: str, amounts: list[int]) -> None:
        """Count an invoice in."""
        row = self.rows.setdefault((organization_id, currency), [0] * len(amounts))
        for position, amount in enumerate(amounts):
            row[position] += amount


@click.command("bill")
@click.option("--until", type=Time(), help="Bill all that is due by then.  [default: now]")
@click.option("--dry-run", is_flag=True, help="Show what would be billed, and change nothing.")
@click.option("--organization", "organization_id", type=click.UUID, help="Whose customers.")
@data_option
def command(**given: Any) -> None:
    """Bill what is due. The worker does so by itself; this is for who does not want to wait.

    What was billed before is not billed again, so the command may be stopped and repeated. Only a
    dry run may look into the future: it shows what would be billed if nothing else happened. Times
    are ISO 8601, in UTC where they do not say.
    """
    from rich.console import Console

    from wallet_service.settings import InvalidSetting

    now = datetime.now(UTC)
    given["until"] = given["until"] or now
    options = _Options(**given)
    if options.until > now and not options.dry_run:
        raise click.UsageError("--until is in the future: only a --dry-run may look there")
    try:
        settings = find_stores(options.data)
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    with explained():
        problems = asyncio.run(_run(settings, options, Console(), now=now))
    if problems:
        raise SystemExit(1)


async def _run(
    settings: "Settings", options: _Options, console: "Console", *, now: datetime
) -> int:
    """Do it with a progress bar; says how many subscriptions could not be billed."""
    import logging

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from wallet_service.observability import configure_logging
    from wallet_service.services import open_services

    configure_logging(logging.ERROR)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    async with open_services(settings) as services:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("subscriptions", total=await _count(services, options))

            def show(progress: "BillingProgress") -> None:
                bar.update(task, completed=progress.subscriptions)

            if options.dry_run:
                foreseen = await _foresee(services, options, show, now=now)
                done = None
            else:
                foreseen = None
                done = await _bill(services, options, show, now=now)
    if foreseen is not None:
        _print_foreseen(console, foreseen)
    if done is None:
        return 0
    console.print(
        f"{done.invoices:,} invoices with {done.fees:,} fees for {done.subscriptions:,} "
        f"subscriptions; {done.problems:,} could not be billed."
    )
    return done.problems


async def _count(services: "Services", options: _Options) -> int:
    from invoicing import billing_runs

    async with services.database.worker.acquire() as connection:
        return await billing_runs.count_due(
            connection, until=options.until, organization_id=options.organization_id
        )


async def _bill(
    services: "Services",
    options: _Options,
    show: "Callable[[BillingProgress], None]",
    *,
    now: datetime,
) -> "BillingProgress":
    from wallet_service.invoice_finishing import worker_transactions

    return await services.invoices.bill(
        worker_transactions(services.database),
        until=options.until,
        now=now,
        organization_id=options.organization_id,
        on_progress=show,
    )


async def _foresee(
    services: "Services",
    options: _Options,
    show: "Callable[[BillingProgress], None]",
    *,
    now: datetime,
) -> _Foreseen:
    foreseen = _Foreseen({}, has_taxes=not services.invoices.billing.asks_for_taxes)
    async for totalled in services.invoices.billing.foresee(
        until=options.until,
        now=now,
        organization_id=options.organization_id,
        on_progress=show,
    ):
        invoice = totalled.invoice
        foreseen.add(
            invoice.organization_id,
            invoice.currency,
            [
                1,
                len(totalled.fees),
                invoice.fees_amount_cents,
                invoice.coupons_amount_cents,
                invoice.taxes_amount_cents,
                invoice.prepaid_credit_amount_cents,
                invoice.total_amount_cents,
            ],
        )
    return foreseen


def _print_foreseen(console: "Console", foreseen: _Foreseen) -> None:
    from rich.table import Table

    named = groupby(sorted(foreseen.rows.items()), key=lambda row: row[0][0])
    for organization_id, found in named:
        rows = [(currency, row) for (_, currency), row in found]
        # A line for each sum, so that large ones fit into a terminal.
        table = Table("")
        for currency, _ in rows:
            table.add_column(currency, justify="right", no_wrap=True)
        for position, name in enumerate(_FORESEEN):
            is_money = position >= _COUNTS
            table.add_row(
                name,
                *(
                    "unknown"
                    if name == "Taxes" and not foreseen.has_taxes
                    else _amount(row[position], currency)
                    if is_money
                    else f"{row[position]:,}"
                    for currency, row in rows
                ),
            )
        console.print(f"Organization {organization_id}", table, sep="\n")
    if not foreseen.has_taxes:
        console.print(
            "Taxes are said by the tax service, which was not asked: all is before taxes."
        )
    console.print("Nothing was changed. What wallets pay at the end is not taken off here.")


def _amount(cents: int, currency: str) -> str:
    from invoicing.currencies import CURRENCIES
    from ledger.money import to_decimal

    return f"{to_decimal(cents, CURRENCIES[currency]):,}"
