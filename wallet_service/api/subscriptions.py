"""`/subscriptions`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeAlias

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from invoicing import customers, subscription_changes, subscriptions
from invoicing.records import Connection
from invoicing.subscription_requests import Termination
from invoicing.subscriptions import Subscription
from wallet_service import assets
from wallet_service.api import news, shown_customers
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import field_error
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.formats import Code, ExternalId, Word
from wallet_service.api.schemas.subscriptions import (
    SubscriptionBody,
    SubscriptionEnvelope,
    SubscriptionReply,
    SubscriptionsReply,
)
from wallet_service.passed_totals import pass_on
from wallet_service.subscription_news import teller

Statuses: TypeAlias = Annotated[
    list[Word] | None,
    QueryParameter(
        name="status[]", description="pending, incomplete, active, terminated, canceled."
    ),
]
_Status: TypeAlias = Annotated[
    Word | None, QueryParameter(name="status", description="Of those with the same external id.")
]


def read_statuses(given: Sequence[str] | str | None, *, field: str = "status") -> Sequence[str]:
    """The statuses that are wanted: active, unless something is said; raises a field error."""
    if not given:
        return ("active",)
    wanted = [given] if isinstance(given, str) else given
    if not set(wanted) <= set(subscriptions.STATUSES):
        raise field_error(field, "value_is_invalid")
    return wanted


class Subscriptions(Controller):
    """Which plan prices a customer's usage."""

    path = "/subscriptions"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012

    @post("/", status_code=200, summary="Subscribe a customer to a plan, or change the plan")
    async def create(
        self,
        data: JSONBody[SubscriptionEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> SubscriptionReply:
        """Start a subscription, at once or at `subscription_at`. An absent customer is created."""
        request = data.subscription.request(now=now)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            subscription = await subscription_changes.create(
                connection,
                tenant.organization_id,
                request,
                units=await assets.find_units(
                    connection, tenant.organization_id, data.subscription.named_units()
                ),
                tell=teller(connection, now=now),
                now=now,
            )
            if subscription.created_at == now:
                await pass_on(connection, subscription)
            await _tell_new_customer(connection, subscription, now=now)
        return SubscriptionReply(SubscriptionBody.of(subscription, now=now))

    @get("/", summary="List subscriptions")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        external_customer_id: FromQuery[ExternalId | None] = None,
        plan_code: FromQuery[Code | None] = None,
        status: Statuses = None,
    ) -> SubscriptionsReply:
        """All subscriptions, newest first: active ones, unless `status[]` says otherwise."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await subscriptions.find_all(
                connection,
                tenant.organization_id,
                window=window,
                statuses=read_statuses(status),
                external_customer_id=external_customer_id,
                plan_code=plan_code,
            )
        return SubscriptionsReply(
            [SubscriptionBody.of(item, now=now) for item in page.items], meta(page, window)
        )

    @get("/{external_id:str}", summary="Find a subscription")
    async def find(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: _Status = None,
    ) -> SubscriptionReply:
        """One subscription: the active one, unless `status` says otherwise."""
        statuses = read_statuses(status)
        async with services.database.tenant(tenant.organization_id) as connection:
            subscription = await subscriptions.get(
                connection, tenant.organization_id, external_id, statuses=statuses
            )
        return SubscriptionReply(SubscriptionBody.of(subscription, now=now))

    @put("/{external_id:str}", status_code=200, summary="Change a subscription")
    async def update(
        self,
        external_id: FromPath[str],
        data: JSONBody[SubscriptionEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> SubscriptionReply:
        """Change its name, end, order number, what its end does, or its own prices."""
        changes = data.subscription.changes()
        statuses = read_statuses(data.status or None)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            subscription = await subscription_changes.update(
                connection,
                tenant.organization_id,
                external_id,
                changes,
                statuses=statuses,
                units=await assets.find_units(
                    connection, tenant.organization_id, data.subscription.named_units()
                ),
                tell=teller(connection, now=now),
                now=now,
            )
        return SubscriptionReply(SubscriptionBody.of(subscription, now=now))

    @delete("/{external_id:str}", status_code=200, summary="Terminate a subscription")
    async def terminate(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: _Status = None,
        on_termination_credit_note: FromQuery[Word | None] = None,
        on_termination_invoice: FromQuery[Word | None] = None,
    ) -> SubscriptionReply:
        """End it now; a pending one (`status=pending`) never starts."""
        statuses = read_statuses(status)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            subscription = await subscription_changes.terminate(
                connection,
                tenant.organization_id,
                external_id,
                Termination(
                    on_termination_credit_note=on_termination_credit_note,
                    on_termination_invoice=on_termination_invoice,
                ),
                statuses=statuses,
                tell=teller(connection, now=now),
                now=now,
            )
        return SubscriptionReply(SubscriptionBody.of(subscription, now=now))


async def _tell_new_customer(
    connection: Connection, subscription: Subscription, *, now: datetime
) -> None:
    """Leave word of a customer that was made for its first subscription."""
    organization_id, external_id = subscription.organization_id, subscription.external_customer_id
    customer = await customers.get(connection, organization_id, external_id)
    if customer.created_at == now:
        (body,) = await shown_customers.show(connection, organization_id, [customer])
        await news.tell(connection, "customer.created", customer, body, now=now)
