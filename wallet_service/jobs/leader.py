"""One leader among any number of workers, and a way to notice that one leads no longer.

The lock is a session's: whoever holds it leads, and it is gone with the connection, however that
ends. A leader that was stopped for a while (paused, swapped out) is silent, so Postgres ends its
session after `_SILENCE_MAX_S` and another takes over. When it wakes up it may believe for a moment
that it still leads: the term is the fence. It counts elections, and a job that writes looks at it
inside its transaction (`Term.guard`).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import structlog

from invoicing.records import Connection, load_queries

__all__ = ["Deposed", "Term", "lead"]

log: Final = structlog.get_logger("wallet_service.worker")

_queries: Final = load_queries(__file__)

_LOCK: Final = 7_220_115_301_945_002  # any number that no other advisory lock uses
_TRY_LOCK: Final = "select pg_try_advisory_lock($1)"
_HEARTBEAT_S: Final = 0.5
_SILENCE_MAX_S: Final = 5
_RETRY_S: Final = 0.5
_ANSWER_MAX_S: Final = 2.0


class Deposed(Exception):
    """Another worker leads by now: nothing may be written in the name of this term."""


class Term:
    """One leadership, from the election until the connection is lost or another leads."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_over = asyncio.Event()

    async def guard(self, connection: Connection) -> None:
        """Inside a transaction: nobody is elected before it ends.

        Raises Deposed if somebody was.
        """
        known = await _queries.guard_term(connection, term=self.number)
        if self.is_over.is_set() or known is None:
            self.is_over.set()
            raise Deposed(f"term {self.number} is over")

    def check(self) -> None:
        """Before work that is fenced by its keys. Raises Deposed as soon as the loss is known."""
        if self.is_over.is_set():
            raise Deposed(f"term {self.number} is over")


@asynccontextmanager
async def lead(database_url: str, *, connect_timeout_s: float) -> AsyncGenerator[Term]:
    """Wait until this process leads, and give up the lead at the end.

    `Term.is_over` is set as soon as the lead is lost. Raises nothing of the database while waiting:
    it comes back, or somebody else leads.
    """
    connection, term = await _elected(database_url, connect_timeout_s)
    log.info("leader_elected", term=term.number)
    connection.add_termination_listener(lambda _: term.is_over.set())
    heart = asyncio.create_task(_beat(connection, term))
    try:
        yield term
    finally:
        term.is_over.set()
        heart.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await heart
        # Ends the session, and with it the lock; a polite goodbye could wait for a server
        # that is gone.
        connection.terminate()
        log.info("leader_gone", term=term.number)


async def _elected(
    database_url: str, connect_timeout_s: float
) -> "tuple[asyncpg.Connection[asyncpg.Record], Term]":
    while True:
        connection: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            connection = await asyncpg.connect(
                database_url,
                timeout=connect_timeout_s,
                command_timeout=_ANSWER_MAX_S,
                server_settings={
                    "role": "wallet_worker",
                    "application_name": "wallet-leader",
                    "idle_session_timeout": str(_SILENCE_MAX_S * 1000),
                },
            )
            # The lock is another process's, which cannot tell us when it lets go.
            while not await connection.fetchval(_TRY_LOCK, _LOCK):  # noqa: ASYNC110
                await asyncio.sleep(_RETRY_S)
            number: int = await _queries.begin_term(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("election_failed", reason=repr(error))
            if connection is not None:
                connection.terminate()
            await asyncio.sleep(_RETRY_S)
        except BaseException:
            if connection is not None:
                connection.terminate()
            raise
        else:
            return connection, Term(number)


async def _beat(connection: Any, term: Term) -> None:
    """Keep the session alive, and end the term as soon as it cannot be said that it goes on."""
    try:
        while not term.is_over.is_set():
            if await _queries.continue_term(connection, term=term.number) is None:
                break
            await asyncio.sleep(_HEARTBEAT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("leader_connection_lost", reason=repr(error), term=term.number)
    finally:
        term.is_over.set()
