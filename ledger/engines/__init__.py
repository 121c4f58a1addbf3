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


def open_ledger(
    kind: Kind,
    *,
    pool: Any = None,
    addresses: str | None = None,
    cluster_id: int = 0,
    clock: Clock | None = None,
    deadline_s: float = 5,
) -> Ledger:
    """The engine of this kind: `postgres` needs an asyncpg pool, `tigerbeetle` its addresses.

    Nothing is connected yet: `await ledger.ready()` says whether it answers.
    """
    # Each engine is imported only here, since it loads its driver.
    if kind == "memory":
        from ledger.engines.memory import MemoryLedger  # noqa: PLC0415

        return MemoryLedger(clock=clock or time.time_ns)
    if kind == "postgres":
        from ledger.engines.postgres import PostgresLedger  # noqa: PLC0415

        assert pool is not None, "the Postgres engine needs a pool"
        return PostgresLedger(pool)
    from ledger.engines.tigerbeetle import TigerBeetleLedger  # noqa: PLC0415

    assert addresses, "the TigerBeetle engine needs the addresses of its replicas"
    return TigerBeetleLedger(addresses=addresses, cluster_id=cluster_id, deadline_s=deadline_s)
