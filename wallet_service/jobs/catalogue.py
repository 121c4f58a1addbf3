"""Whom changes of catalogues concerned is kept for an hour; processes look every few seconds."""

from typing import Any, Final

from invoicing.records import load_queries
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["forget_changes"]

_queries: Final[Any] = load_queries(__file__)

_STEP: Final = 2_000
_STEPS_MAX: Final = 50


async def forget_changes(services: Services, term: Term, *, step: int = _STEP) -> int:
    """Delete what is old, in small transactions; says how many.

    A process that has looked at nothing for so long looks everybody up again.
    """
    deleted = 0
    for _ in range(_STEPS_MAX):
        async with services.database.worker.acquire() as connection, connection.transaction():
            await term.guard(connection)
            rows: list[Any] = await connection.fetch(_queries.delete_old_changes.sql, step)
        deleted += len(rows)
        if len(rows) < step:
            break
    return deleted
