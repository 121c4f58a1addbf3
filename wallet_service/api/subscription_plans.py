"""The plan behind a subscription's own prices, as `/subscriptions/{external_id}/…` reads them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Final, TypeAlias
from uuid import UUID

from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from invoicing import subscription_prices
from invoicing.records import Connection
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.schemas.formats import Word
from wallet_service.api.subscriptions import read_statuses

Place: TypeAlias = tuple[Connection, UUID, str]
"""A transaction, the organization, and the code of the plan."""


class SubscriptionPlan(Struct, frozen=True):
    """The plan of the subscription that a request is about; it is not looked up yet."""

    services: Services
    organization_id: UUID
    external_id: str
    status: str | None
    now: Now

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Place]:
        """The plan that prices it. Raises NotFound, and a field error for its status."""
        statuses = read_statuses(self.status, field="subscription_status")
        async with self.services.database.tenant(self.organization_id) as connection:
            plan = await subscription_prices.plan_of(
                connection, self.organization_id, self.external_id, statuses=statuses
            )
            yield connection, self.organization_id, plan

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[Place]:
        """A plan that is its alone, made with the first change. Raises likewise."""
        statuses = read_statuses(self.status, field="subscription_status")
        async with self.services.changing_catalogue(self.organization_id) as connection:
            plan = await subscription_prices.own_plan(
                connection, self.organization_id, self.external_id, statuses=statuses, now=self.now
            )
            yield connection, self.organization_id, plan


def provide_subscription_plan(
    external_id: FromPath[str],
    tenant: Tenant,
    services: Services,
    now: Now,
    status: Annotated[
        Word | None,
        QueryParameter(
            name="subscription_status", description="Of those with the same external id; active."
        ),
    ] = None,
) -> SubscriptionPlan:
    """Dependency: the plan behind a subscription's prices."""
    return SubscriptionPlan(services, tenant.organization_id, external_id, status, now)


ThePlan: TypeAlias = NamedDependency[SubscriptionPlan]
PRICED_SUBSCRIPTION: Final = {
    "subscription_plan": Provide(provide_subscription_plan, sync_to_thread=False)
}
"""What a controller below `/subscriptions/{external_id}` depends on to be given `ThePlan`."""
