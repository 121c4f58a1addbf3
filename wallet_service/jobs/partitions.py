"""Room for the events of the coming months, made before they come."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from invoicing import events
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["make_room"]

log: Final = structlog.get_logger("wallet_service.worker")

_MONTHS_AHEAD: Final = 3


async def make_room(services: Services, term: Term) -> int:
    """Give this month and the next three a partition; says how many of them have one."""
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ready = 0
    for _ in range(_MONTHS_AHEAD + 1):
        async with services.database.worker.acquire() as connection, connection.transaction():
            await term.guard(connection)
            if await events.make_room(connection, month):
                ready += 1
            else:
                log.warning("events_without_partition", month=f"{month:%Y-%m}")
        month = (month + timedelta(days=32)).replace(day=1)
    return ready
