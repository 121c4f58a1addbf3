"""How long it takes to bill many subscriptions at the end of a month.

    python loadtests/bench_billing.py
    python loadtests/bench_billing.py --subscriptions 1000 --events 100000

Starts a Postgres that is as durable as in production, and a Valkey, on a scratch folder, gives
every customer a wallet and a subscription to one plan of ten charges, stores a month of usage as
the service would have rated and debited it, and folds it. Then the month is billed, as the worker
does, and the time from the first look to the last invoice is what counts. Memory is read at a fifth
of the way and at the end. A second run must find nothing; any problem, or an invoice too many or
too few, is exit status 1.

The events have no transfers in the book: it is timed, not audited.
"""

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from msgspec import Struct

from invoicing import billable_metrics, plans, usage_rollups
from invoicing.charge_changes import ChargeChanges
from invoicing.records import load_queries
from ledger.ids import new_uuid
from wallet_service import assets, organizations
from wallet_service.billing_rounds import Progress
from wallet_service.decision.commands import CreateWallet, Funding
from wallet_service.embedded.postgres import Postgres
from wallet_service.embedded.redis import Redis
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.migrate import migrate
from wallet_service.operations import operation
from wallet_service.services import Services, open_services
from wallet_service.settings import Settings

CHARGES: Final = 10
TARGET_S: Final = 60
WALLETS: Final = 100
PORTION: Final = 100_000
"""Events of one transaction."""
START: Final = datetime(2026, 9, 1, tzinfo=UTC)
END: Final = datetime(2026, 10, 1, tzinfo=UTC)

_queries: Final[Any] = load_queries(__file__)


class Market(Struct, frozen=True, kw_only=True):
    """Who is billed."""

    organization_id: UUID
    plan_id: UUID
    subscriptions: int
    events: int


async def open_market(services: Services, dsn: str, arguments: argparse.Namespace) -> Market:
    """An organization, a plan of ten charges, customers with wallets, and their subscriptions."""
    before = START - timedelta(days=30)
    async with services.database.worker.acquire() as connection, connection.transaction():
        organization = await organizations.create_organization(connection, "Bench", now=before)
    async with services.changing_catalogue(organization.id) as connection:
        charges: list[ChargeChanges] = []
        for number in range(CHARGES):
            code = f"metric_{number}"
            metric = billable_metrics.MetricChanges(
                code=code, name=code, aggregation_type="sum_agg", field_name="value"
            )
            await billable_metrics.create(connection, organization.id, metric, now=before)
            charges.append(
                ChargeChanges(
                    billable_metric_code=code,
                    charge_model="standard",
                    properties={"amount": f"0.00{number + 1}"},
                )
            )
        plan = await plans.create(
            connection,
            organization.id,
            plans.PlanChanges(
                code="bench",
                name="Bench",
                interval="monthly",
                amount_cents=1000,
                amount_currency="USD",
            ),
            charges,
            now=before,
        )
    connection = await asyncpg.connect(dsn)
    try:
        await _queries.add_customers(
            connection,
            organization_id=organization.id,
            plan_id=plan.id,
            count=arguments.subscriptions,
            started_at=START,
        )
        # Only what has rows: the plans of tables known to be empty are ruinous once they fill.
        await connection.execute("analyze invoicing.customers, invoicing.subscriptions")
    finally:
        await connection.close()
    return Market(
        organization_id=organization.id,
        plan_id=plan.id,
        subscriptions=arguments.subscriptions,
        events=arguments.events,
    )


async def open_wallets(services: Services, market: Market) -> None:
    """A wallet with a grant for each customer, through the committer."""
    async with services.database.tenant(market.organization_id) as connection:
        asset = (await assets.find(connection, market.organization_id, "USD", now=END)).asset()
        customers = await connection.fetch("select id, external_id from invoicing.customers")
    for start in range(0, len(customers), WALLETS):
        now = datetime.now(UTC)
        outcomes = await services.committer.submit_all(
            [
                operation(
                    market.organization_id,
                    "wallet",
                    row["external_id"],
                    command := CreateWallet(
                        wallet_id=new_uuid(now),
                        external_customer_id=row["external_id"],
                        asset=asset,
                        code="main",
                        name=None,
                        rate_amount=Decimal(1),
                        priority=1,
                        fee_types=(),
                        billable_metric_codes=(),
                        on_shortfall="overage",
                        overdraft_limit_minor=0,
                        expiration_at=None,
                        metadata={},
                        fundings=(Funding("paid", 5 * 10**9, Decimal(5), 50),),
                    ),
                    customer_id=row["id"],
                    body=command,
                    now=now,
                )
                for row in customers[start : start + WALLETS]
            ]
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


async def store(dsn: str, market: Market) -> None:
    """Store the events, spread evenly over subscriptions, charges and the month."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set session_replication_role = replica")
        for first in range(0, market.events, PORTION):
            await _queries.store_events(
                connection,
                organization_id=market.organization_id,
                plan_id=market.plan_id,
                first=first,
                last=min(first + PORTION, market.events) - 1,
                total=market.events,
                subscriptions=market.subscriptions,
                start=START,
            )
        await connection.execute("vacuum analyze invoicing.events")
    finally:
        await connection.close()


async def fold(services: Services) -> None:
    """What the worker does every two seconds, until there is nothing left to do."""
    has_more = True
    while has_more:
        async with services.database.worker.acquire() as connection, connection.transaction():
            done = await usage_rollups.fold(connection, events_max=PORTION)
        has_more = done.has_more
    async with services.database.worker.acquire() as connection:
        await connection.execute("reset role")
        await connection.execute("vacuum analyze invoicing.usage_rollups")
        await connection.execute("analyze")
        await connection.execute("set role wallet_worker")


def memory_mb() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def postgres_s(folder: Path) -> float:
    """Processor time of Postgres so far: of its processes that there are, and that there were."""
    postmaster = (folder / "postgres" / "postmaster.pid").read_text().split()[0]
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if fields[1] == postmaster or entry.parent.name == postmaster:
            ended = fields[13:15] if entry.parent.name == postmaster else ()
            ticks += sum(int(field) for field in (*fields[11:13], *ended))
    return ticks / os.sysconf("SC_CLK_TCK")


def report(name: str, *figures: str) -> None:
    """One row of the table."""
    print(f"{name:<44}" + "".join(f"{figure:>16}" for figure in figures), flush=True)


async def run(services: Services, dsn: str, folder: Path, arguments: argparse.Namespace) -> bool:
    """Print the table; says whether all of it is as it should be."""
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    began = time.perf_counter()
    market = await open_market(services, dsn, arguments)
    await open_wallets(services, market)
    report(f"{market.subscriptions:,} subscriptions", f"{time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    await store(dsn, market)
    report(f"store {market.events:,} events", f"{time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    await fold(services)
    report("fold them", f"{time.perf_counter() - began:.0f} s")
    early: list[int] = []

    def note(progress: Progress) -> None:
        if progress.subscriptions * 5 >= market.subscriptions and not early:
            early.append(memory_mb())

    opened = worker_transactions(services.database)
    began, cpu, postgres = time.perf_counter(), time.process_time(), postgres_s(folder)
    done = await services.invoices.bill(opened, until=END, now=END, on_progress=note)
    took = time.perf_counter() - began
    report("bill them", f"{took:.1f} s", f"{done.invoices / took:,.0f}/s")
    own, theirs = time.process_time() - cpu, postgres_s(folder) - postgres
    report("processor: this process, Postgres", f"{own:.1f} s", f"{theirs:.1f} s")
    report(
        "invoices, fees, problems", *(f"{n:,}" for n in (done.invoices, done.fees, done.problems))
    )
    report("memory at a fifth, at the end", *(f"{mb} MB" for mb in (*early, memory_mb())))
    again = await services.invoices.bill(opened, until=END, now=END)
    async with services.database.worker.acquire() as connection:
        final = await connection.fetchval(
            "select count(distinct number) from invoicing.invoices where status = 'finalized'"
        )
    report("final invoices; a second run finds", f"{final:,}", f"{again.invoices:,}")
    if took > TARGET_S:
        print(f"slower than {TARGET_S} s")
    return final == market.subscriptions and not again.invoices and not done.problems


async def main() -> int:
    """Run on servers of its own."""
    parser = argparse.ArgumentParser(description="What billing a month costs.")
    parser.add_argument("--subscriptions", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--scratch", type=Path, help="where the scratch folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-billing-", dir=arguments.scratch) as name:
        folder = Path(name)
        server = Postgres(
            folder / "postgres", socket_folder=folder, log_path=folder / "postgres.log"
        )
        valkey = Redis(folder / "valkey", socket_folder=folder, log_path=folder / "valkey.log")
        await server.start()
        await valkey.start()
        try:
            await server.ensure_database("wallet")
            dsn = server.url("wallet")
            await migrate(dsn)
            settings = Settings(
                database_url=dsn,
                redis_url=valkey.url(),
                database_wait_s=0,
                deadline_s=30,
            )
            async with open_services(settings) as services:
                return 0 if await run(services, dsn, folder, arguments) else 1
        finally:
            await valkey.stop()
            await server.stop()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
