"""Final invoices for tests over HTTP, written as a billing run would leave them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import httpx

from invoicing.fees import Fee
from tests.api.conftest import Service
from tests.api.market import Json
from tests.conftest import PATIENCE
from tests.wallet_service.bills import Bills, line_of
from wallet_service.services import open_services
from wallet_service.settings import Settings

Bill = Callable[..., Awaitable[Json]]
"""Bills a customer for these lines; returns the invoice's id, number, and the ids of its fees."""


@asynccontextmanager
async def billing(
    service: Service, redis_url: str
) -> AsyncIterator[Callable[[httpx.Client], Bill]]:
    """Somebody who bills the customers of whoever a client belongs to."""
    settings = Settings(
        database_url=service.dsn, redis_url=redis_url, allow_unsafe_database=True, **PATIENCE
    )
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))

        def of(api: httpx.Client) -> Bill:
            organization = api.get("/organizations").json()["organization"]["lago_id"]
            bills = Bills(services, UUID(organization))

            async def bill(customer: str, *lines: Fee, **terms: object) -> Json:
                customer_id = await bills.customer(customer)
                invoice, fees = await bills.invoice(
                    customer_id, *lines or (line_of(100_00, "20"),), **terms
                )
                return {
                    "id": str(invoice.id),
                    "number": invoice.number,
                    "fees": [str(fee.id) for fee in fees],
                }

            return bill

        yield of
