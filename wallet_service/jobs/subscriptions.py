"""Subscriptions start and end when it was agreed that they would."""

from datetime import UTC, datetime

from invoicing import subscriptions
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["move_due"]


async def move_due(services: Services, term: Term) -> int:
    """Start and end what is due, and let the api workers know; says how many moved."""
    now = datetime.now(UTC)
    async with services.database.worker.acquire() as connection, connection.transaction():
        await term.guard(connection)
        moved = await subscriptions.end_due(connection, now=now)
        moved += await subscriptions.start_due(connection, now=now)
    for organization_id in {organization_id for organization_id, _ in moved}:
        await services.catalogue_changed(organization_id)
    return len(moved)
