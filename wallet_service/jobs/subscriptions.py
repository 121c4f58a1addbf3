"""Subscriptions start, follow each other and end when it was agreed that they would."""

from datetime import UTC, datetime

from invoicing import subscription_moves
from invoicing.usage_versions import Versions
from wallet_service.jobs.leader import Term
from wallet_service.passed_totals import pass_on
from wallet_service.services import Services
from wallet_service.subscription_news import teller

__all__ = ["move_due"]


async def move_due(services: Services, term: Term) -> int:
    """Move what is due, and let the api workers know; says how many moved."""
    now = datetime.now(UTC)
    async with services.database.worker.acquire() as connection, connection.transaction():
        await term.guard(connection)
        moved = await subscription_moves.move_due(connection, now=now)
        tell = teller(connection, now=now)
        versions = Versions()
        for move in moved:
            await tell(f"subscription.{move.word}", move.subscription)
            if move.word == "started":
                await pass_on(connection, move.subscription, versions)
    changed = {move.subscription.organization_id for move in moved if move.changes_prices}
    for organization_id in changed:
        await services.catalogue_changed(organization_id)
    return len(moved)
