"""Drafts, as a billing run leaves them for customers who have some days to look at them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx

from invoicing import customers, subscription_changes
from invoicing.subscription_requests import SubscriptionRequest
from tests.api.conftest import Service
from tests.api.market import Json, Shop, standard
from tests.conftest import PATIENCE
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.services import open_services
from wallet_service.settings import Settings

BEGUN = datetime(2026, 3, 1, tzinfo=UTC)
BILLED = datetime(2026, 4, 1, tzinfo=UTC)

Drafting = Callable[..., Awaitable[list[Json]]]
"""Bills March for customers of these names, 20.00 and 5.00 of usage; returns the drafts."""


@asynccontextmanager
async def drafting(service: Service, redis_url: str, api: httpx.Client) -> AsyncIterator[Drafting]:
    """Somebody who bills a month for whoever a client belongs to."""
    settings = Settings(
        database_url=service.dsn, redis_url=redis_url, allow_unsafe_database=True, **PATIENCE
    )
    organization = organization_of(api)
    async with open_services(settings) as services:
        shop = Shop(api, "drafts")
        metric, plan = shop.unique("metric"), shop.unique("plan")
        of_europe = {"values": {"region": ["eu"]}, "properties": {"amount": "0.5"}}
        counted = shop.metric(metric, field="n", region=["eu", "us"])
        shop.plan(plan, standard(counted, "9", filters=[of_europe]), amount_cents=20_00)

        async def draft(*names: str) -> list[Json]:
            for name in names:
                async with services.changing_catalogue(organization) as connection:
                    await customers.upsert(
                        connection,
                        organization,
                        name,
                        customers.CustomerChanges(
                            name=name.title(),
                            currency="USD",
                            billing_configuration={"invoice_grace_period": 10},
                        ),
                        now=BEGUN,
                    )
                    request = SubscriptionRequest(
                        external_id=f"{name}-0", external_customer_id=name, plan_code=plan
                    )
                    await subscription_changes.create(connection, organization, request, now=BEGUN)
                shop.charged(
                    external_subscription_id=f"{name}-0",
                    code=metric,
                    timestamp=int(datetime(2026, 3, 10, tzinfo=UTC).timestamp()),
                    properties={"n": 10, "region": "eu"},
                )
            await services.invoices.bill(
                worker_transactions(services.database),
                until=BILLED,
                now=BILLED,
                organization_id=organization,
            )
            return [draft_of(api, name) for name in names]

        yield draft


def organization_of(api: httpx.Client) -> UUID:
    """Whoever a client belongs to."""
    return UUID(api.get("/organizations").json()["organization"]["lago_id"])


def draft_of(api: httpx.Client, customer: str) -> Json:
    """The one draft of a customer, with its lines."""
    answer = api.get(f"/customers/{customer}/invoices", params={"status": "draft"})
    assert answer.status_code == 200, answer.text
    (shown,) = answer.json()["invoices"]
    return api.get(f"/invoices/{shown['lago_id']}").json()["invoice"]
