"""An organization with a catalogue, in a database that the tests of a file share."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from invoicing import billable_metrics, plan_versions, plans
from invoicing.billable_metrics import BillableMetric, MetricChanges, MetricFilter
from invoicing.charge_changes import ChargeChanges
from invoicing.plans import Plan, PlanChanges
from ledger.ids import new_uuid
from tests.conftest import Clock
from wallet_service.database import Database


class Desk:
    """Someone of an organization, working in one open transaction."""

    def __init__(self, connection: Any, organization_id: UUID, clock: Clock) -> None:
        self.connection = connection
        self.organization_id = organization_id
        self.clock = clock

    @property
    def place(self) -> tuple[Any, UUID]:
        """What nearly every function takes first."""
        return self.connection, self.organization_id

    @property
    def now(self) -> datetime:
        return self.clock.now

    async def tokens(self, code: str = "tokens") -> BillableMetric:
        """A metric that sums tokens, by model."""
        changes = MetricChanges(
            code=code,
            name="Tokens",
            aggregation_type="sum_agg",
            field_name="tokens",
            filters=[MetricFilter("model", ["gpt-4o", "o3"])],
        )
        return await billable_metrics.create(*self.place, changes, now=self.now)

    async def plan(
        self,
        code: str = "standard",
        *charges: ChargeChanges,
        amount_cents: int = 0,
        is_default: bool = False,
        units: Mapping[str, int] | None = None,
    ) -> Plan:
        """A monthly plan in dollars."""
        changes = PlanChanges(
            code=code,
            name=code.title(),
            interval="monthly",
            amount_cents=amount_cents,
            amount_currency="USD",
            is_default=is_default,
        )
        return await plans.create(*self.place, changes, charges, units=units or {}, now=self.now)


def price(amount: str, **fields: Any) -> ChargeChanges:
    """A standard charge for tokens."""
    fields.setdefault("billable_metric_code", "tokens")
    return ChargeChanges(charge_model="standard", properties={"amount": amount}, **fields)


async def cost(desk: Desk, plan_version_id: UUID, **properties: object) -> Decimal:
    """What an event of tokens costs by a plan version."""
    card = await plan_versions.load_rate_card(*desk.place, plan_version_id)
    lines = card.lines("tokens", properties)
    return sum((line.units * line.model.amount for line in lines), Decimal(0))


async def found_organization(connection: Any, organization_id: UUID, now: datetime) -> None:
    """Add the organization itself, which no tenant may."""
    await connection.execute("set local role none")
    await connection.execute(
        "insert into wallet.organizations (id, name, default_currency, timezone, net_payment_term,"
        " document_numbering, document_number_prefix, finalize_zero_amount_invoice,"
        " email_settings, billing_configuration, created_at, updated_at)"
        " values ($1, 'Acme', 'EUR', 'UTC', 0, 'per_customer', 'ACM', true, '[]', '{}', $2, $2)",
        *(organization_id, now),
    )
    await connection.execute("set local role wallet_api")


@pytest.fixture
async def desk(module_database: Database, clock: Clock) -> AsyncIterator[Desk]:
    """An organization that is this test's own, under row-level security; nothing of it is kept."""
    organization_id = new_uuid(clock.now)
    async with module_database.api.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await found_organization(connection, organization_id, clock.now)
        await connection.execute(
            "select set_config('wallet.organization_id', $1, true)", str(organization_id)
        )
        yield Desk(connection, organization_id, clock)
        await transaction.rollback()


class Refused:
    """Runs one statement that must fail, without losing the transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def __call__(self, statement: str, *arguments: object) -> asyncpg.PostgresError:
        with pytest.raises(asyncpg.PostgresError) as refused:
            async with self._connection.transaction():
                await self._connection.execute(statement, *arguments)
        return refused.value


@pytest.fixture
def refused(desk: Desk) -> Refused:
    return Refused(desk.connection)
