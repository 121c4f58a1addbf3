"""Engines of the book. The only place that loads a database driver, and only the one asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from ledger.engine import Ledger

Kind: TypeAlias = Literal["memory", "postgres", "tigerbeetle"]
Clock: TypeAlias = Callable[[], int]
"""Nanoseconds since 1970. Only the memory engine asks it; the others have their own clock."""


def open_ledger(  # noqa: PLR0913 - one door for all engines, everything by keyword
    kind: Kind,
    *,
    pool: Any = None,
    addresses: str | None = None,
    cluster_id: int = 0,
    clock: Clock | None = None,
    deadline_s: int = 5,
) -> Ledger:
    """The engine of this kind: `postgres` needs an asyncpg pool, `tigerbeetle` its addresses.

    Nothing is connected yet: `await ledger.ready()` says whether it answers.
    """
    if kind == "memory":
        from ledger.engines.memory import MemoryLedger

        return MemoryLedger(clock=clock or time.time_ns)
    if kind == "postgres":
        from ledger.engines.postgres import PostgresLedger

        assert pool is not None, "the Postgres engine needs a pool"
        return PostgresLedger(pool)
    from ledger.engines.tigerbeetle import TigerBeetleLedger

    assert addresses, "the TigerBeetle engine needs the addresses of its replicas"
    return TigerBeetleLedger(addresses=addresses, cluster_id=cluster_id, deadline_s=deadline_s)
