"""The worker: waits until it leads, and runs the jobs for as long as it does."""

import asyncio
import contextlib
import signal
from typing import Final

import structlog

from wallet_service.jobs import measures
from wallet_service.jobs.leader import Term, lead
from wallet_service.jobs.metrics_door import serve_metrics
from wallet_service.jobs.schedule import Job, Schedule
from wallet_service.observability import configure_logging
from wallet_service.services import Services, open_services
from wallet_service.settings import Settings

__all__ = ["run_worker", "work"]

log: Final = structlog.get_logger("wallet_service.worker")


async def work(settings: Settings) -> None:
    """A whole process: work until it is told to stop; what was begun is finished first."""
    configure_logging()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        serve_metrics(settings.host, settings.worker_metrics_port),
        open_services(settings) as services,
    ):
        await run_worker(services, stop=stop)


async def run_worker(
    services: Services, *, stop: asyncio.Event, table: list[Job] | None = None
) -> None:
    """Work until `stop` is set. Runs that are under way then are finished first.

    Any number of workers may run; one leads, and the others wait to take over.
    """
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            leading = asyncio.create_task(_lead_once(services, stop, table))
            await asyncio.wait((leading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set() and not leading.done():
                leading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leading
    finally:
        stopping.cancel()


async def _lead_once(services: Services, stop: asyncio.Event, table: list[Job] | None) -> None:
    """One term, from the election to its end."""
    settings = services.settings
    async with lead(settings.database_url, connect_timeout_s=settings.connect_timeout_s) as term:
        schedule = Schedule(services, term, table)
        measures.LEADS.set(1)
        schedule.start()
        try:
            await term.is_over.wait()
        finally:
            measures.LEADS.set(0)
            await asyncio.shield(_end(schedule, term, stop))


async def _end(schedule: Schedule, term: Term, stop: asyncio.Event) -> None:
    is_deposed = term.is_over.is_set() and not stop.is_set()
    await schedule.stop(drain=not is_deposed)
