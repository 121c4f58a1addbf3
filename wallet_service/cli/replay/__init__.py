"""`wallet replay`: play a trace of model calls through the public API."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import Struct

from wallet_service.cli.data_folder import data_option
from wallet_service.cli.numbers import Exact, Whole

if TYPE_CHECKING:
    from wallet_service.cli.data_folder import Credentials
    from wallet_service.cli.replay.report import Report
    from wallet_service.cli.replay.trace import Call

_DRIFT_WITHIN_S: Final = 2.0
_REDRAW_S: Final = 0.2


class Options(Struct, frozen=True, kw_only=True):
    """How a trace is to be played."""

    model: str
    customers: int
    balance: Decimal
    concurrency: int
    hold_factor: Decimal = Decimal(1)
    plan: str | None = None


@click.command("replay")
@click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", required=True, help="Model whose prices apply, such as gpt-4o.")
@click.option("--customers", type=Whole(1, 100_000), required=True, help="New customers to make.")
@click.option("--balance", type=Exact(), required=True, help="USD that each customer has to spend.")
@click.option("--concurrency", type=Whole(1, 1024), required=True, help="Calls at a time.")
@click.option(
    "--hold-factor",
    type=Exact(),
    default="1",
    show_default=True,
    help="Hold for this many times the trace's mean output.",
)
@click.option("--plan", help="Code of the plan that prices the calls, instead of the default one.")
@click.option("--limit", type=Whole(1), help="Play so many calls of the trace.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for programs.")
@data_option
def command(
    *, trace: Path, limit: int | None, as_json: bool, data: Path | None, **options: Any
) -> None:
    """Play a trace of model calls (TIMESTAMP,ContextTokens,GeneratedTokens) through the API.

    Each call is authorized with its input and an estimate of its output, then captured with what
    it really used. Every run makes customers of its own.
    """
    import uvloop
    from rich.console import Console

    from wallet_service.cli.connection import find_service
    from wallet_service.cli.replay.player import Aborted
    from wallet_service.cli.replay.trace import BadTrace, read_trace

    service = find_service(data)
    try:
        report = uvloop.run(
            replay(service, read_trace(trace), limit=limit, options=Options(**options))
        )
    except (BadTrace, Aborted) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(report.json())
    Console(stderr=as_json).print(report.table())


async def replay(
    service: "Credentials", trace: "Sequence[Call]", *, limit: int | None, options: Options
) -> "Report":
    """Make the customers, play the calls, and compare the balances with the book.

    The estimate is that of the whole trace, also where only its first calls are played.
    """
    from wallet_service.cli.replay.http_connection import Caller
    from wallet_service.cli.replay.player import Player
    from wallet_service.cli.replay.report import Report
    from wallet_service.cli.replay.trace import output_estimate

    calls = trace[:limit]
    async with contextlib.AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(Caller(url=service.url, api_key=service.api_key))
            for _ in range(options.concurrency)
        ]
        player = Player(
            callers, model=options.model, customers=options.customers, plan=options.plan
        )
        async with _bar("customers", options.customers, lambda: player.customers_ready):
            await player.open_wallets(balance=options.balance)
        async with _bar("calls", len(calls), lambda: player.tally.calls):
            estimate = output_estimate(trace, factor=options.hold_factor)
            tally = await player.play(calls, output_estimate=estimate)
        drift = await player.drift(within_s=_DRIFT_WITHIN_S)
        return Report.of(tally, run=player.run, drift=drift)


@contextlib.asynccontextmanager
async def _bar(name: str, total: int, done: Callable[[], int]) -> AsyncGenerator[None]:
    """Show on stderr how far something has come. It is drawn now and then, not at every step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, auto_refresh=False) as progress:
        task = progress.add_task(name, total=total)

        def draw() -> None:
            progress.update(task, completed=done(), refresh=True)

        async def keep_drawing() -> None:
            while True:
                draw()
                await asyncio.sleep(_REDRAW_S)

        drawing = asyncio.create_task(keep_drawing())
        try:
            yield
        finally:
            drawing.cancel()
            draw()
