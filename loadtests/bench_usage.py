"""What reading a subscription's usage costs, with many events behind it.

    python loadtests/bench_usage.py
    python loadtests/bench_usage.py --events 10000000

Starts a Postgres of its own on a scratch folder, sells the tokens of several language models at
their list prices, and stores a month of usage by COPY, as the service would have rated it. Then it
folds everything into rollups, and times the running period as `current_usage` answers it, HTTP
apart: all of it folded, and with usage newer than the last fold. At the end, what was read is
compared with what all events come to, one by one. Any difference is exit status 1.

Ten million events take some 7 GB of disk while it runs. The Postgres forgets after a crash
(fsync off), which makes writing faster; the figures of reading are not touched by it.
"""

import argparse
import asyncio
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from invoicing import plan_versions, subscription_changes, usage_rollups
from invoicing.subscription_requests import SubscriptionRequest
from invoicing.usage import Wanted
from loadtests.recomputed_usage import recompute
from rating.charge_models import Standard
from wallet_service import catalog, organizations
from wallet_service.api.schemas.usage import usage_body
from wallet_service.database import Database
from wallet_service.embedded.postgres import UNSAFE_FOR_TESTS, Postgres
from wallet_service.migrate import migrate
from wallet_service.settings import Settings
from wallet_service.usage_reports import UsageReports

MODELS = ("gpt-4o", "gpt-4o-mini", "o3", "claude-sonnet-4-5", "gemini-2.5-pro", "gemini-2.5-flash")
CODES = ("llm_input_tokens", "llm_output_tokens")
CUSTOMER = "acme"
PORTION = 100_000
"""Events of one COPY, so of one transaction."""
TARGET_MS = 50
COLUMNS = (
    "organization_id",
    "id",
    "transaction_id",
    "subscription_id",
    "external_subscription_id",
    "code",
    "timestamp",
    "properties",
    "rating_status",
    "plan_version_id",
    "lines",
    "operation_id",
    "created_at",
    "asset_code",
)


class Price(Struct, frozen=True):
    """One model's tokens of one kind, and what an event of them is stored with."""

    code: str
    model: str
    charge_id: UUID
    filter_id: UUID | None
    each_pico: int
    """10^-12 dollars a token."""


class Market(Struct, frozen=True, kw_only=True):
    """Who uses what, at which prices."""

    database: Database
    dsn: str
    organization_id: UUID
    subscription_id: UUID
    plan_version_id: UUID
    prices: list[Price]
    start: datetime
    now: datetime


class Timing(Struct, frozen=True):
    """Milliseconds of one reading."""

    median: float
    worst: float
    """The 99th of a hundred."""


async def open_market(database: Database, dsn: str) -> Market:
    """An organization with the bundled list prices, and one subscription to them."""
    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    async with database.worker.acquire() as connection, connection.transaction():
        organization = await organizations.create_organization(connection, "Bench", now=now)
        await catalog.import_bundled(connection, organization.id, now=now)
        subscription = await subscription_changes.create(
            connection,
            organization.id,
            SubscriptionRequest(
                external_id=CUSTOMER,
                external_customer_id=CUSTOMER,
                plan_code=catalog.PLAN_CODE,
                subscription_at=start,
            ),
            now=now,
        )
        version_id = subscription.plan_version_id
        card = await plan_versions.load_rate_card(connection, organization.id, version_id)
    prices: list[Price] = []
    for code, model in itertools.product(CODES, MODELS):
        (line,) = card.lines(code, {"model": model, "tokens": 1})
        assert isinstance(line.model, Standard)
        each = int(line.model.amount.scaleb(12))
        prices.append(Price(code, model, line.charge_id, line.filter_id, each))
    return Market(
        database=database,
        dsn=dsn,
        organization_id=organization.id,
        subscription_id=subscription.id,
        plan_version_id=version_id,
        prices=prices,
        start=start,
        now=now,
    )


def rows(market: Market, first: int, count: int, *, of: int) -> Iterator[str]:
    """Lines of COPY for the events from `first` on, of `of` that are spread over the period."""
    chance = random.Random(first)
    organization, version = market.organization_id.hex, market.plan_version_id.hex
    subscription = market.subscription_id.hex
    span = (market.now - market.start) / of
    for number in range(first, first + count):
        price = chance.choice(market.prices)
        tokens = int(chance.paretovariate(1.2) * 100) % 100_000
        pico = tokens * price.each_pico
        at = market.start + span * number
        event_id = f"{int(at.timestamp() * 1000):012x}7{number % 4096:03x}8{number:015x}"
        line = (
            f'[{{"charge_id": "{price.charge_id}", "filter_id": "{price.filter_id}", '
            f'"units": "{tokens}", "exact": "{pico // 10**12}.{pico % 10**12:012}", '
            f'"amount_minor": {(pico + 500) // 1000}}}]'
        )
        yield (
            f"{organization}\t{event_id}\tcall-{number}\t{subscription}\t{CUSTOMER}\t{price.code}"
            f'\t{at.isoformat()}\t{{"model": "{price.model}", "tokens": {tokens}}}\trated\t'
            f"{version}\t{line}\t{event_id}\t{at.isoformat()}\tUSD\n"
        )


async def store(market: Market, first: int, count: int, *, of: int) -> None:
    """Store events, a transaction a portion; as the owner, since COPY passes by no policy."""
    connection = await asyncpg.connect(market.dsn)
    try:
        for start in range(first, first + count, PORTION):
            portion = rows(market, start, min(PORTION, first + count - start), of=of)
            await connection.copy_to_table(
                "events", schema_name="invoicing", columns=COLUMNS, source=_chunks(portion)
            )
    finally:
        await connection.close()


async def _chunks(lines: Iterator[str]) -> AsyncIterator[bytes]:
    while chunk := "".join(itertools.islice(lines, 2_000)):
        yield chunk.encode()


async def fold(market: Market) -> None:
    """What the worker does every two seconds, until there is nothing left to do."""
    has_more = True
    while has_more:
        async with market.database.worker.acquire() as connection, connection.transaction():
            done = await usage_rollups.fold(connection, events_max=PORTION)
        has_more = done.has_more


async def answer(market: Market, reports: UsageReports) -> bytes:
    """The answer of `current_usage`."""
    report = await reports.current(
        market.organization_id, CUSTOMER, CUSTOMER, Wanted(), now=market.now
    )
    return msgspec.json.encode(usage_body(report, {"USD": 9}))


async def timed(market: Market, reports: UsageReports, times: int) -> Timing:
    """Read the usage again and again."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        await answer(market, reports)
        took.append((time.perf_counter() - began) * 1000)
    return Timing(statistics.median(took), statistics.quantiles(took, n=100)[98])


async def seconds(work: Awaitable[object]) -> float:
    """How long something takes once."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def differences(market: Market) -> tuple[int, float]:
    """In how many prices rollups and tail differ from all events, and how long those take."""
    end = market.start + timedelta(days=31)
    where = market.organization_id, market.subscription_id
    async with market.database.tenant(market.organization_id) as connection:
        # The judge takes what it takes.
        await connection.execute("set local statement_timeout = 0")
        began = time.perf_counter()
        truth = await recompute(connection, *where, start=market.start, end=end)
        took = time.perf_counter() - began
        read = await usage_rollups.read(connection, *where, start=market.start, end=end)
    different = sum(1 for key in truth.keys() | read.keys() if truth.get(key) != read.get(key))
    return different, took


def report(name: str, *figures: str) -> None:
    """One row of the table."""
    print(f"{name:<44}" + "".join(f"{figure:>16}" for figure in figures), flush=True)


async def run(market: Market, arguments: argparse.Namespace) -> bool:
    """Print the table; says whether all of it is as it should be."""
    events, tail, times = arguments.events, arguments.newer, arguments.times
    of = events + tail
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {len(market.prices)} prices used")
    took = await seconds(store(market, 0, events, of=of))
    report(f"store {events:,} events", f"{took:.0f} s", f"{events / took:,.0f}/s")
    took = await seconds(fold(market))
    report("fold them", f"{took:.0f} s", f"{events / took:,.0f}/s")
    async with market.database.worker.acquire() as connection:
        size = await connection.fetchval(
            "select pg_size_pretty(pg_database_size(current_database()))"
        )
        kept = await connection.fetchval("select count(*) from invoicing.usage_rollups")
    report("the database, and rollups in it", size, f"{kept:,}")
    reports = UsageReports(database=market.database)
    await answer(market, reports)
    report("", "median", f"99th of {times}")
    folded = await timed(market, reports, times)
    report("read, all folded", f"{folded.median:.1f} ms", f"{folded.worst:.1f} ms")
    await store(market, events, tail, of=of)
    newer = await timed(market, reports, times)
    report(f"read, {tail:,} events newer", f"{newer.median:.1f} ms", f"{newer.worst:.1f} ms")
    different, took = await differences(market)
    report("recompute from all events", f"{took:.0f} s", f"{of / took:,.0f}/s")
    report("prices read otherwise", str(different))
    if folded.median > TARGET_MS:
        print(f"slower than {TARGET_MS} ms")
    return different == 0


async def main() -> int:
    """Run on a Postgres of its own."""
    parser = argparse.ArgumentParser(description="What reading usage costs.")
    parser.add_argument("--events", type=int, default=1_000_000, help="events that are folded")
    parser.add_argument("--newer", type=int, default=1_000, help="events since the last fold")
    parser.add_argument("--times", type=int, default=50, help="how often usage is read")
    parser.add_argument("--scratch", type=Path, help="where the scratch folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-usage-", dir=arguments.scratch) as folder:
        server = Postgres(
            Path(folder) / "postgres",
            socket_folder=Path(folder),
            log_path=Path(folder) / "postgres.log",
            settings={**UNSAFE_FOR_TESTS, "shared_buffers": "96MB", "max_wal_size": "1GB"},
        )
        await server.start()
        try:
            await server.ensure_database("wallet")
            dsn = server.url("wallet")
            await migrate(dsn)
            settings = Settings(database_url=dsn, allow_unsafe_database=True, database_wait_s=0)
            async with await Database.open(settings) as database:
                return 0 if await run(await open_market(database, dsn), arguments) else 1
        finally:
            await server.stop()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
