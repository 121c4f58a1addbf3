"""The doors to Postgres: one pool a role, so that no code can do more than its role may.

`api` runs under row-level security and sees one organization at a time (`tenant`); `committer` and
`worker` see all of them, and may do only what the migrations grant. Connections start in their
role, so nothing has to remember to drop to it.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

import asyncpg

from wallet_service.customer_locking import prepare_locks
from wallet_service.migrate import MigrationMissing, load_migrations, require_migrated
from wallet_service.settings import Settings

if TYPE_CHECKING:
    from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

# Without these an answered commit may be lost in a crash, or a page torn: an approved debit would
# be gone.
_DURABILITY: Final = ("fsync", "full_page_writes", "synchronous_commit")
# A client that died holding a customer's lock must not stop that customer for long.
_IDLE_IN_TRANSACTION_MS: Final = 30_000
# Statements are prepared once a connection, so a busy connection is kept, not renewed after
# asyncpg's 50,000 queries.
_QUERIES_PER_CONNECTION_MAX: Final = 1_000_000_000
_STATEMENT_CACHE_SIZE: Final = 512
# Who is first on a new connection waits 85 ms: for the server's process, and for its statements to
# be planned. So what a peak has opened stays for the next one.
_IDLE_S_MAX: Final = 3600.0
# Background work may wait for a connection; what it has planned takes the server 10 MB on each.
_IDLE_S_MAX_IN_BACKGROUND: Final = 120.0
_RETRY_S: Final = 0.03
# What a server says that is starting, or that nobody has prepared yet.
_NOT_YET: Final = (
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidCatalogNameError,
    MigrationMissing,
    TimeoutError,
)


class UnsafeDatabase(Exception):
    """This Postgres may forget what it answered; the message names the setting."""


class Database:
    """Three pools on one database: made with `open`, ended with `close`, or `async with`."""

    def __init__(
        self,
        *,
        api: "asyncpg.Pool[asyncpg.Record]",
        committer: "asyncpg.Pool[asyncpg.Record]",
        worker: "asyncpg.Pool[asyncpg.Record]",
        wait_s: float,
    ) -> None:
        self.api = api
        self.committer = committer
        self.worker = worker
        self._wait_s = wait_s

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Connect as each role; raises UnsafeDatabase, or what asyncpg says of no server.

        Waits up to `database_wait_s` for the server and for `migrate` to have brought it to this
        version, so that all processes of a release may be started at once.
        """
        await _wait_for_migrations(settings)
        request_ms = round(settings.statement_timeout_s * 1000)
        worker_ms = round(settings.worker_statement_timeout_s * 1000)
        database = cls(
            api=_pool(
                settings, "wallet_api", settings.api_pool_size_max, statement_timeout=request_ms
            ),
            committer=_pool(
                settings,
                "wallet_committer",
                settings.committer_pool_size_max,
                statement_timeout=request_ms,
                lock_timeout=settings.lock_timeout_ms,
                # Its statements find rows by key, whatever the tables' size: planned once, and
                # never as a scan or a join of whole tables, also while these are still empty.
                plan_cache_mode="force_generic_plan",
                enable_seqscan="off",
                enable_hashjoin="off",
                enable_mergejoin="off",
                init=prepare_locks,
            ),
            worker=_pool(
                settings,
                "wallet_worker",
                settings.worker_pool_size_max,
                # An API process needs one for long reports alone.
                size_min=0,
                idle_s_max=_IDLE_S_MAX_IN_BACKGROUND,
                statement_timeout=worker_ms,
            ),
            wait_s=settings.deadline_s,
        )
        try:
            await database.api
            await database.committer
            await database.worker
            if not settings.allow_unsafe_database:
                await _refuse_forgetful(database.committer)
        except BaseException:
            database.terminate()
            raise
        return database

    @asynccontextmanager
    async def tenant(
        self, organization_id: UUID, *, as_snapshot: bool = False
    ) -> "AsyncGenerator[PoolConnectionProxy[asyncpg.Record]]":
        """Open a transaction that can see and change only this organization's rows.

        `as_snapshot`: all of its statements see the same. Raises TimeoutError where no connection
        becomes free by the deadline of requests.
        """
        acquired = self.api.acquire(timeout=self._wait_s)
        isolation = "repeatable_read" if as_snapshot else None
        async with acquired as connection, connection.transaction(isolation=isolation):
            await connection.execute(
                "select set_config('wallet.organization_id', $1, true)", str(organization_id)
            )
            yield connection

    def every_tenant(self) -> "PoolAcquireContext[asyncpg.Record]":
        """A connection to look up rows of many organizations, each by its key.

        Raises TimeoutError as `tenant` does.
        """
        return self.committer.acquire(timeout=self._wait_s)

    async def close(self) -> None:
        """Wait for connections in use, then disconnect."""
        for pool in (self.api, self.committer, self.worker):
            await pool.close()

    def terminate(self) -> None:
        """Disconnect at once; open transactions are rolled back by the server."""
        for pool in (self.api, self.committer, self.worker):
            # One that never connected has nothing to end, and must not hide why.
            with contextlib.suppress(asyncpg.InterfaceError):
                pool.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _pool(
    settings: Settings,
    role: str,
    size_max: int,
    *,
    size_min: int = 1,
    idle_s_max: float = _IDLE_S_MAX,
    init: Any = None,
    **session: int | str,
) -> "asyncpg.Pool[asyncpg.Record]":
    """Describe a pool whose connections start as `role`; it connects when awaited."""
    return asyncpg.create_pool(
        settings.database_url,
        min_size=size_min,
        max_size=size_max,
        max_queries=_QUERIES_PER_CONNECTION_MAX,
        max_inactive_connection_lifetime=idle_s_max,
        timeout=settings.connect_timeout_s,
        init=init,
        statement_cache_size=_STATEMENT_CACHE_SIZE,
        reset=_keep_session,
        server_settings={
            "role": role,
            "application_name": role.replace("_", "-"),
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
            **{name: str(value) for name, value in session.items()},
        },
    )


async def _wait_for_migrations(settings: Settings) -> None:
    """Return when the database is at this version; raises the last reason why it is not."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + settings.database_wait_s
    wanted = load_migrations()
    while True:
        try:
            connection = await asyncpg.connect(
                settings.database_url, timeout=settings.connect_timeout_s
            )
            try:
                await require_migrated(connection, wanted)
            finally:
                connection.terminate()
        except (OSError, *_NOT_YET):
            if loop.time() > give_up:
                raise
            await asyncio.sleep(_RETRY_S)
        else:
            return


async def _keep_session(_connection: Any) -> None:
    """Skip asyncpg's RESET ALL between uses, which saves a round trip each time.

    Nothing here changes a session, only transactions (`set local`); one that was left open asyncpg
    still rolls back.
    """


async def _refuse_forgetful(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Refuse a server, database or role that answers commits before they are safe."""
    off = await pool.fetch(
        "select name from pg_settings where name = any($1) and setting = 'off'", _DURABILITY
    )
    if off:
        names = ", ".join(row["name"] for row in off)
        message = (
            f"Postgres has {names} switched off: a crash could lose money that was answered for. "
            "Switch it on; a test database may set WALLET_ALLOW_UNSAFE_DATABASE=true instead."
        )
        raise UnsafeDatabase(message)
