"""Months that have gone by: subscriptions, usage and wallets in the past, and bills for them."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from invoicing import billable_metrics, customers, fees, invoices, plans, subscription_changes
from invoicing.charge_changes import ChargeChanges
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.subscription_requests import SubscriptionRequest
from ledger.chart import HOUSE_CODES, AccountCode, house_account_id
from tests.wallet_service.story import Story
from wallet_service.billing_rounds import Progress
from wallet_service.checks.running import run_checks
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.usage_requests import EventRequest


def day(month: int, day_: int, hour: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day_, hour, tzinfo=UTC)


class Months:
    """An organization whose clock is the test's."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.services = story.services
        self.organization_id = story.organization_id
        self._numbers = itertools.count(1)

    async def metric(self, code: str, aggregation: str = "sum_agg", **terms: Any) -> None:
        async with self.services.changing_catalogue(self.organization_id) as connection:
            metric = billable_metrics.MetricChanges(
                code=code,
                name=code.title(),
                aggregation_type=aggregation,
                field_name=None if aggregation == "count_agg" else "value",
                **terms,
            )
            await billable_metrics.create(
                connection, self.organization_id, metric, now=day(1, 1, year=2025)
            )

    async def plan(self, code: str, *charges: ChargeChanges, **terms: Any) -> None:
        wanted = {
            "name": code.title(),
            "interval": "monthly",
            "amount_cents": 0,
            "amount_currency": "USD",
        }
        async with self.services.changing_catalogue(self.organization_id) as connection:
            await plans.create(
                connection,
                self.organization_id,
                plans.PlanChanges(code=code, **{**wanted, **terms}),
                charges,
                now=day(1, 1, year=2025),
            )

    async def customer(self, name: str, *fundings: Any, has_wallet: bool = True, **terms) -> UUID:
        if has_wallet:
            await self.story.customer(name, *fundings)
        async with self.services.database.tenant(self.organization_id) as connection:
            row = await customers.upsert(
                connection,
                self.organization_id,
                name,
                customers.CustomerChanges(**terms),
                now=day(1, 1, year=2025),
            )
        return row.id

    async def subscribe(
        self, customer: str, plan: str, external_id: str, *, at: datetime, **terms: Any
    ) -> None:
        async with self.services.changing_catalogue(self.organization_id) as connection:
            request = SubscriptionRequest(
                external_id=external_id, external_customer_id=customer, plan_code=plan, **terms
            )
            await subscription_changes.create(connection, self.organization_id, request, now=at)

    async def use(
        self, subscription: str, code: str, value: str, *, at: datetime, key: str | None = None
    ) -> None:
        request = EventRequest(
            transaction_id=key or f"use-{next(self._numbers)}",
            code=code,
            external_subscription_id=subscription,
            timestamp=str(int(at.timestamp())),
            properties={"value": value},
        )
        await self.services.usage.record(self.organization_id, request, now=at)

    async def bill(self, until: datetime) -> Progress:
        return await self.services.invoices.bill(
            worker_transactions(self.services.database),
            until=until,
            now=until,
            organization_id=self.organization_id,
        )

    async def invoices(self, **wanted: Any) -> list[Invoice]:
        """All there are, in the order in which they were made."""
        async with self.services.database.tenant(self.organization_id) as connection:
            rows = await connection.fetch("select id from invoicing.invoices order by id")
            found = [
                await invoices.find(connection, self.organization_id, row["id"]) for row in rows
            ]
        return [
            one
            for one in found
            if one is not None
            and all(getattr(one, name) == value for name, value in wanted.items())
        ]

    async def lines(self, invoice: Invoice) -> list[Fee]:
        async with self.services.database.tenant(self.organization_id) as connection:
            found = await fees.of_invoices(connection, self.organization_id, [invoice.id])
        return found[invoice.id]

    async def book(self) -> dict[AccountCode, int]:
        """What the house's accounts in dollars stand at, debits less credits."""
        asset = await self.services.rates.asset(self.organization_id, "USD", now=datetime.now(UTC))
        accounts = {house_account_id(ledger=asset.ledger, code=code): code for code in HOUSE_CODES}
        found = await self.services.ledger.balances(list(accounts))
        return {
            code: found[account].debits_posted - found[account].credits_posted
            if account in found
            else 0
            for account, code in accounts.items()
        }

    async def left(self, customer: UUID) -> Decimal:
        """What a customer's wallets still have."""
        states = await self.services.hot.load([(self.organization_id, customer)])
        (state,) = states.values()
        return dollars(sum(grant.available for grant in state.grants))

    async def check(self) -> None:
        """All that must hold holds."""
        services = self.services
        results = await run_checks(services.database, services.ledger, services.hot)
        assert not [(one.invariant, one.breaches) for one in results if one.breaches]


def standard(code: str, amount: str, **terms: Any) -> ChargeChanges:
    return ChargeChanges(
        billable_metric_code=code,
        charge_model="standard",
        properties={"amount": amount},
        **terms,
    )


def dollars(minor: Decimal | int) -> Decimal:
    return Decimal(minor).scaleb(-9)
