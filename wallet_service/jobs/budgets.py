"""Windows of budgets that count no more are put away, so that nothing scales with all that was."""

from typing import Any, Final

from invoicing.records import load_queries
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["forget_windows"]

_queries: Final = load_queries(__file__)

_STEP: Final = 2_000
_STEPS_MAX: Final = 50


async def forget_windows(services: Services, term: Term, *, step: int = _STEP) -> int:
    """Delete what was spent in windows that are over for a day; says how many there were."""
    deleted = 0
    for _ in range(_STEPS_MAX):
        async with services.database.worker.acquire() as connection, connection.transaction():
            await term.guard(connection)
            rows: list[Any] = await connection.fetch(_queries.delete_old_windows.sql, step)
        deleted += len(rows)
        if len(rows) < step:
            break
    return deleted
