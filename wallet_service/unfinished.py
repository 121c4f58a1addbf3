"""What was decided, and then left by a process that died before the book or the rows knew."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

import structlog

from invoicing.records import Connection
from wallet_service.database import Database
from wallet_service.errors import WalletError

__all__ = ["GRACE", "finish_each"]

log: Final = structlog.get_logger(__name__)

GRACE: Final = timedelta(seconds=10)
"""How long whoever began is given to finish."""
_BATCH: Final = 100

Place: TypeAlias = tuple[datetime, UUID]
"""Since when it stands unfinished, and its id: the order in which they are finished."""


class Find(Protocol):
    """A page of what stands unfinished since before a time, after the last of the page before."""

    def __call__(
        self, connection: Connection, *, before: datetime, after: Place | None, limit: int
    ) -> Awaitable[list[tuple[UUID, Place]]]: ...


class Finish(Protocol):
    """Goes on with one, by organization and id."""

    def __call__(
        self, organization_id: UUID, object_id: UUID, /, *, now: datetime
    ) -> Awaitable[Any]: ...


async def finish_each(
    database: Database, what: str, find: Find, finish: Finish, *, now: datetime
) -> int:
    """Go on with what nobody has finished for a while; says with how many.

    Each is tried once, page by page: those that cannot be finished now keep nobody waiting.
    """
    done, after = 0, None
    while True:
        async with database.worker.acquire() as connection, connection.transaction():
            due = await find(connection, before=now - GRACE, after=after, limit=_BATCH)
        for organization_id, (_, object_id) in due:
            try:
                await finish(organization_id, object_id, now=now)
            except WalletError as error:  # the next run tries again
                log.warning("unfinished", what=what, id=str(object_id), code=error.code)
            except Exception:
                log.exception("finishing_failed", what=what, id=str(object_id))
            else:
                done += 1
        if len(due) < _BATCH:
            return done
        after = due[-1][1]
