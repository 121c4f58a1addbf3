"""Keys are kept for 30 days; then a repeat is a new operation."""

from typing import Any, Final

from invoicing.records import load_queries
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["KEPT_DAYS", "forget_operations"]

KEPT_DAYS: Final = 30

_queries: Final = load_queries(__file__)

_STEP: Final = 2_000
_STEPS_MAX: Final = 50


async def forget_operations(
    services: Services, term: Term, *, kept_days: int = KEPT_DAYS, step: int = _STEP
) -> int:
    """Delete old operations that have come to their end, in small transactions; says how many.

    An open one is never deleted, however old: somebody has yet to learn what became of it.
    """
    deleted = 0
    for query in (_queries.delete_old_operations, _queries.delete_old_keys):
        for _ in range(_STEPS_MAX):
            async with services.database.worker.acquire() as connection, connection.transaction():
                await term.guard(connection)
                rows: list[Any] = await connection.fetch(query.sql, kept_days, step)
            deleted += len(rows)
            if len(rows) < step:
                break
    return deleted
