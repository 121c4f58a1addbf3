"""What budgets need no more is put away, so that nothing scales with all that was.

Windows that count no more, and the buckets (one for each end user ever seen) that nobody uses.
"""

from typing import Any, Final

from invoicing.records import load_queries
from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["forget_windows"]

_queries: Final[Any] = load_queries(__file__)

_STEP: Final = 2_000
_STEPS_MAX: Final = 50


async def forget_windows(services: Services, term: Term, *, step: int = _STEP) -> int:
    """Delete windows that are over for a day, and then buckets that are empty; says how many.

    A bucket goes once it was not moved for a day longer than its budget's window. One without a
    window counts for ever, so it stays.
    """
    deleted = 0
    for query in (_queries.delete_old_windows, _queries.delete_unused_buckets):
        for _ in range(_STEPS_MAX):
            async with services.database.worker.acquire() as connection, connection.transaction():
                await term.guard(connection)
                rows: list[Any] = await connection.fetch(query.sql, step)
            deleted += len(rows)
            if len(rows) < step:
                break
    return deleted
