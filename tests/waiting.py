"""Waiting for what has happened, however long a busy machine takes over it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

PATIENCE_S: Final = 60.0
"""After so long it will not happen any more."""

_POLL_S: Final = 0.005


async def until(condition: Callable[[], bool]) -> None:
    """Return when something in this process is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(_POLL_S)


async def until_waiting(pool: Any, *, count: int = 1) -> None:
    """Return when so many sessions of a database wait for a lock."""
    async with asyncio.timeout(PATIENCE_S):
        while await _waiting(pool) < count:
            await asyncio.sleep(_POLL_S)


async def _waiting(pool: Any) -> int:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local role none")  # others' sessions are the owner's to see
        return await connection.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
