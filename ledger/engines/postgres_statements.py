"""The statements of postgres.sql, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import aiosql

if TYPE_CHECKING:
    from ledger.engines.postgres_rows import Row

Connection: TypeAlias = Any
"""An asyncpg connection, or one that a pool has lent out."""


class Statement:
    """One named statement of postgres.sql, called with its parameters by name."""

    __slots__ = ("names", "sql")

    def __init__(self, sql: str, names: tuple[str, ...]) -> None:
        self.sql = sql
        self.names = names

    async def fetch(self, connection: Connection, **parameters: object) -> list[Row]:
        """Its rows."""
        return await connection.fetch(self.sql, *[parameters[name] for name in self.names])


class Statements:
    """All of postgres.sql."""

    def __init__(self) -> None:
        load: Any = cast("Any", aiosql).from_path
        queries = load(Path(__file__).with_name("postgres.sql"), "asyncpg")
        names: dict[str, list[str]] = queries.driver_adapter.var_sorted

        def named(name: str) -> Statement:
            return Statement(getattr(queries, name).sql, tuple(names.get(name, ())))

        self.lock_and_read = named("lock_and_read")
        self.write = named("write")
        self.burn = named("burn")
        self.find_accounts = named("find_accounts")
        self.open_accounts = named("open_accounts")
        self.read_clock = named("read_clock")
        self.read_balances = named("read_balances")
        self.read_limited_balances = named("read_limited_balances")
        self.find_transfers = named("find_transfers")
        self.oldest_first = named("account_transfers_oldest_first")
        self.newest_first = named("account_transfers_newest_first")
        self.balance_at = named("balance_at")
        self.ledger_accounts = named("ledger_accounts")
        self.find_due = named("find_due")
        self.mark_released = named("mark_released")
        self.fold = named("fold")
        self.probe = named("probe")


SQL = Statements()
