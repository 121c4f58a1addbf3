"""`wallet report`: what the books say to finance, between two times."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from msgspec import Struct

from wallet_service.cli.connection import find_stores
from wallet_service.cli.data_folder import data_option
from wallet_service.cli.organization import choose_organization, organization_of
from wallet_service.cli.stores import explained
from wallet_service.cli.times import Time

if TYPE_CHECKING:
    from ledger import Ledger
    from wallet_service.cli.report_tables import Shown
    from wallet_service.revenue_reports import RevenueReports
    from wallet_service.settings import Settings


class _Options(Struct, frozen=True, kw_only=True):
    """What the command line says."""

    start: datetime | None
    end: datetime | None
    output: str
    asset: str | None
    organization_id: UUID | None
    data: Path | None
    by: str | None


def _options(*choices: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of every report; `choices` are what its lines may be by."""
    decorators = (
        click.option("--from", "start", type=Time(), help="The first moment.  [default: ever]"),
        click.option("--to", "end", type=Time(), help="The first moment after.  [default: now]"),
        click.option(
            "--format",
            "output",
            type=click.Choice(("table", "csv", "beancount", "hledger")),
            default="table",
            show_default=True,
            help="Of the latter two, the whole journal between the times.",
        ),
        click.option(
            "--by",
            type=click.Choice((*choices, "transfer", "day")),
            default=choices[0] if choices else None,
            help="A line for each; of a journal, an entry for each transfer, or a day's sum.",
        ),
        click.option("--asset", metavar="CODE", help="One asset alone."),
        click.option(
            "--organization",
            "organization_id",
            type=click.UUID,
            help="Whose books.  [default: that of `wallet up`, or the only one]",
        ),
        data_option,
    )

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


@click.group("report")
def command() -> None:
    """Say what the books say: revenue, what is owed, trial balances, whole journals.

    Reads only. Times are ISO 8601, in UTC where they do not say, and half-open.
    """


@command.command("revenue")
@_options("month", "total", "metric", "plan", "subscription")
def revenue(**given: Any) -> None:
    """What was earned between two times, and what it has cost: breakage, discounts, promotions.

    Taxes that were asked for follow; they are no income.
    """
    _run(_Options(**given), "revenue")


@command.command("liabilities")
@_options()
def liabilities(**given: Any) -> None:
    """What customers and the state are owed, and what customers owe, with its changes."""
    _run(_Options(**given), "liabilities")


@command.command("trial-balance")
@_options()
def trial_balance(**given: Any) -> None:
    """Every account: its balance before, debits, credits, its balance at the end."""
    _run(_Options(**given), "trial-balance")


def _run(options: _Options, report: str) -> None:
    from wallet_service.errors import NotFound
    from wallet_service.settings import InvalidSetting

    now = datetime.now(UTC)
    _check(options, now=now)
    try:
        settings = find_stores(options.data)
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    with explained():
        try:
            asyncio.run(_report(settings, options, report, now=now))
        except NotFound:
            raise click.ClickException(f"there is no asset {options.asset}") from None
        except BrokenPipeError:
            # Whoever read has enough; Python would complain once more while it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check(options: _Options, *, now: datetime) -> None:
    """Raise UsageError where the options make no sense together."""
    if options.start is not None and options.start >= (options.end or now):
        raise click.UsageError(
            "--from must be before --to" if options.end else "--from must be in the past"
        )
    is_journal = options.output in {"beancount", "hledger"}
    if options.by in {"transfer", "day"} and not is_journal:
        raise click.UsageError(f"--by {options.by} is for journals: --format beancount or hledger")
    if options.by in {"metric", "plan", "subscription"} and is_journal:
        raise click.UsageError("a journal is by transfer or by day")


async def _report(settings: "Settings", options: _Options, report: str, *, now: datetime) -> None:
    from wallet_service.revenue_reports import RevenueReports, Span

    # What is still to come is not there yet: an end in the future is now.
    end = None if options.end is None or options.end > now else options.end
    async with _opened(settings) as (connection, ledger):
        organization_id = await choose_organization(
            connection, options.organization_id or organization_of(options.data)
        )
        reports = await RevenueReports.open(
            connection,
            ledger,
            organization_id,
            Span(start=options.start, end=end),
            asset_code=options.asset,
        )
        if options.output in {"beancount", "hledger"}:
            await _write_journal(reports, options, now=now)
        else:
            shown = await _shown(reports, report, by=options.by)
            _print(shown, options, now=now)


@asynccontextmanager
async def _opened(settings: "Settings") -> "AsyncGenerator[tuple[Any, Ledger | None]]":
    """One moment of the database, and the ledger where that is elsewhere. Nothing of it stays."""
    import asyncpg

    from ledger.engines import open_ledger

    ledger = None
    if settings.ledger != "postgres":
        ledger = open_ledger(
            settings.ledger,
            addresses=settings.tigerbeetle_addresses,
            cluster_id=settings.tigerbeetle_cluster_id,
        )
    try:
        if ledger is not None:
            await ledger.ready()
        connection = await asyncpg.connect(
            settings.database_url, server_settings={"role": "wallet_worker", "timezone": "UTC"}
        )
        try:
            transaction = connection.transaction(
                isolation="repeatable_read", readonly=ledger is None
            )
            await transaction.start()
            try:
                yield connection, ledger
            finally:
                if not connection.is_closed():
                    await transaction.rollback()
        finally:
            await connection.close()
    finally:
        if ledger is not None:
            await ledger.close()


async def _write_journal(reports: "RevenueReports", options: _Options, *, now: datetime) -> None:
    from wallet_service.journals import written

    journal = await reports.journal(by_day=options.by == "day", now=now)
    dialect = "beancount" if options.output == "beancount" else "hledger"
    async for text in written(journal, dialect):
        sys.stdout.write(text)  # click would flush each
    sys.stdout.flush()


async def _shown(reports: "RevenueReports", report: str, *, by: str | None) -> "Shown":
    from wallet_service.cli import report_tables
    from wallet_service.revenue_lines import income_of, income_shared, owed_of, trial_balance_of

    flows = await reports.flows()
    commodities = reports.commodities
    if report == "liabilities":
        return report_tables.of_owed(owed_of(flows), commodities)
    if report == "trial-balance":
        return report_tables.of_trial_balance(trial_balance_of(flows), commodities)
    if by is None or by in {"month", "total"}:
        lines = income_of(flows, by_month=by == "month")
    else:
        grouping = "metric" if by == "metric" else "plan" if by == "plan" else "subscription"
        lines = income_shared(flows, await reports.shares(grouping))
    return report_tables.of_income(lines, commodities, by=by or "total")


def _print(shown: "Shown", options: _Options, *, now: datetime) -> None:
    from wallet_service.cli.report_tables import print_csv, print_table

    if options.output == "csv":
        print_csv(shown)
        return
    start = _time(options.start) if options.start else "the beginning"
    end = options.end if options.end and options.end <= now else now
    print_table(shown, title=f"{shown.title}, from {start} until {_time(end)}")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
