"""Usage is folded into rollups, so that reading it stays fast. Never in the way of a request."""

from typing import Final

from invoicing import usage_rollups
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["fold_usage"]

_PORTION: Final = 20_000
"""Events of one transaction: a second of work or less."""


async def fold_usage(services: Services, term: Term) -> int:
    """Move what is newer than the rollups there, portion by portion; says how many lines."""
    folded = 0
    while True:
        term.check()
        async with services.database.worker.acquire() as connection, connection.transaction():
            done = await usage_rollups.fold(connection, events_max=_PORTION)
        folded += done.lines
        if not done.has_more:
            return folded
