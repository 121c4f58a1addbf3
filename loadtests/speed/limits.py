"""The limits: what the stores alone can do, on the servers that the service uses."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import hiredis
from msgspec import Struct

from invoicing.records import load_queries
from ledger.ids import new_uuid
from loadtests.speed.shapes import CODES
from loadtests.speed.stack import Stack
from wallet_service.embedded.postgres import url_of

_queries: Final[Any] = load_queries(__file__)
_ACCOUNTS: Final = 10_000
_DATABASE: Final = "limits"
_ORGANIZATION: Final = UUID(int=1)
_CODE: Final = CODES[1]
_redis: Final[Any] = hiredis


class Limit(Struct, frozen=True):
    """How many of something a second."""

    rate: float
    note: str


# -- Postgres --------------------------------------------------------------------------------------


async def prepare_postgres(stack: Stack) -> None:
    """Make a database beside the service's, with the tables that are written to."""
    connection = await asyncpg.connect(stack.dsn)
    await connection.execute(f"create database {_DATABASE}")
    await connection.close()
    connection = await asyncpg.connect(_dsn(stack))
    await _queries.create_tables(connection)
    await connection.close()


async def postgres_inserts(stack: Stack, *, connections: int, size: int, seconds: float) -> Limit:
    """Groups of (event, transfer, balance), so many in each durable transaction."""
    opened = [await asyncpg.connect(_dsn(stack)) for _ in range(connections)]
    until = time.perf_counter() + seconds
    began = time.perf_counter()
    written = await asyncio.gather(*(_insert(one, size, until) for one in opened))
    took = time.perf_counter() - began
    for one in opened:
        await one.close()
    return Limit(sum(written) / took, f"{size} a transaction, {connections} connections")


async def _insert(connection: Any, size: int, until: float) -> int:
    written = 0
    while time.perf_counter() < until:
        now = datetime.now(UTC)
        ids = [new_uuid(now) for _ in range(size)]
        # In the order of ids, as everybody must who locks more than one row.
        accounts = [UUID(int=n) for n in sorted(random.sample(range(_ACCOUNTS), size))]
        times, amounts = [now] * size, [5_000_000] * size
        async with connection.transaction():
            await connection.execute(
                _queries.insert_events.sql,
                ids,
                [_ORGANIZATION] * size,
                [str(one) for one in ids],
                accounts,
                [_CODE] * size,
                times,
                ['{"model": "gpt-4o", "tokens": 500}'] * size,
                ['[{"units": "500", "exact": "0.005", "amount_minor": 5000000}]'] * size,
            )
            await connection.execute(
                _queries.insert_transfers.sql,
                [new_uuid(now) for _ in range(size)],
                accounts,
                [_ORGANIZATION] * size,
                amounts,
                [7] * size,
                times,
            )
            await connection.execute(_queries.add_to_balances.sql, accounts, amounts)
        written += size
    return written


def _dsn(stack: Stack) -> str:
    return url_of(stack.sockets, _DATABASE)


# -- Valkey ----------------------------------------------------------------------------------------


async def redis_reads(stack: Stack, *, at_once: int, seconds: float) -> Limit:
    """Reads of some 200 bytes over one connection, so many under way at once."""
    reader, writer = await asyncio.open_unix_connection(str(stack.sockets / "valkey.sock"))
    replies: Any = _redis.Reader()
    names = [f"limits:{number}" for number in range(1000)]
    writer.write(b"".join(_redis.pack_command(("SET", name, "x" * 200)) for name in names))
    await _replies(reader, replies, len(names))
    reads: list[bytes] = [_redis.pack_command(("GET", name)) for name in names]
    began, done = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        writer.write(b"".join(random.choices(reads, k=at_once)))
        await _replies(reader, replies, at_once)
        done += at_once
    took = time.perf_counter() - began
    writer.write(b"".join(_redis.pack_command(("DEL", name)) for name in names))
    await _replies(reader, replies, len(names))
    writer.close()
    return Limit(done / took, f"{at_once} at once, 1 connection")


async def _replies(reader: asyncio.StreamReader, replies: Any, count: int) -> None:
    while count:
        replies.feed(await reader.read(65_536))
        while replies.gets() is not False:
            count -= 1
