"""Coupons end when their time is over."""

from datetime import UTC, datetime
from typing import Final

from invoicing import coupons
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["end_due"]

_BATCH: Final = 1000


async def end_due(services: Services, term: Term) -> int:
    """End the coupons whose time is over; says how many. What is more than a batch comes next."""
    async with services.database.worker.acquire() as connection, connection.transaction():
        await term.guard(connection)
        return await coupons.end_due(connection, now=datetime.now(UTC), limit=_BATCH)
