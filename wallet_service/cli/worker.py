"""`wallet worker`: background work, such as expiries, top-ups and reconciliation."""

import asyncio
import signal

import click

from wallet_service.settings import InvalidSetting, Settings, load_settings


@click.command("worker")
def command() -> None:
    """Run background work alone, with the servers named in WALLET_*.

    Any number may run: one of them leads, the others wait to take over.
    """
    try:
        settings = load_settings()
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    import uvloop

    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    """Work until told to stop; what was begun is finished first."""
    from wallet_service.jobs.metrics_door import serve_metrics
    from wallet_service.observability import configure_logging
    from wallet_service.services import open_services
    from wallet_service.worker import run_worker

    configure_logging()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        serve_metrics(settings.host, settings.worker_metrics_port),
        open_services(settings) as services,
    ):
        await run_worker(services, stop=stop)
