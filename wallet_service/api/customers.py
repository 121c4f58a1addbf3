"""`/customers`."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import customers, subscriptions
from wallet_service.api import news, shown_customers, vat_news
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.customers import (
    CustomerReply,
    CustomerRequest,
    CustomersReply,
)
from wallet_service.api.schemas.subscriptions import SubscriptionBody, SubscriptionsReply
from wallet_service.api.subscriptions import Statuses, read_statuses
from wallet_service.subscription_news import tell_ended


class Customers(Controller):
    """Who uses, and who is billed."""

    path = "/customers"
    tags = ("customers",)
    opt = {"resource": "customers"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create or change a customer")
    async def upsert(
        self, data: JSONBody[CustomerRequest], tenant: Tenant, services: Services, now: Now
    ) -> CustomerReply:
        """Create the customer, or change what is given of it, by `external_id`."""
        given = data.customer
        async with services.database.tenant(tenant.organization_id) as connection:
            customer = await customers.upsert(
                connection,
                tenant.organization_id,
                given.external_id or "",
                given.changes(),
                metadata=given.metadata_entries(),
                now=now,
            )
            (body,) = await shown_customers.show(connection, tenant.organization_id, [customer])
            word = "created" if customer.created_at == now else "updated"
            await news.tell(connection, f"customer.{word}", customer, body, now=now)
            if given.tax_identification_number:
                await vat_news.tell(connection, tenant.organization_id, customer, body, now=now)
        if word == "updated":  # of who is new nobody remembers anything
            await services.catalogue_changed(tenant.organization_id)
        return CustomerReply(body)

    @get("/", summary="List customers")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        search_term: Annotated[str | None, QueryParameter(max_length=255)] = None,
    ) -> CustomersReply:
        """All customers, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await customers.find_all(
                connection, tenant.organization_id, window=window, search=search_term or None
            )
            bodies = await shown_customers.show(connection, tenant.organization_id, page.items)
        return CustomersReply(bodies, meta(page, window))

    @get("/{external_id:str}", summary="Find a customer")
    async def find(
        self, external_id: FromPath[str], tenant: Tenant, services: Services
    ) -> CustomerReply:
        """One customer."""
        async with services.database.tenant(tenant.organization_id) as connection:
            customer = await customers.get(connection, tenant.organization_id, external_id)
            (body,) = await shown_customers.show(connection, tenant.organization_id, [customer])
        return CustomerReply(body)

    @delete("/{external_id:str}", status_code=200, summary="Delete a customer")
    async def delete(
        self, external_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> CustomerReply:
        """End the customer's subscriptions and forget it; what was booked stays in the book."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            customer, ended = await customers.delete(
                connection, tenant.organization_id, external_id, now=now
            )
            await tell_ended(connection, tenant.organization_id, ended, now=now)
            (body,) = await shown_customers.show(connection, tenant.organization_id, [customer])
        return CustomerReply(body)

    @get("/{external_id:str}/subscriptions", summary="List a customer's subscriptions")
    async def list_subscriptions(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        status: Statuses = None,
    ) -> SubscriptionsReply:
        """The subscriptions of one customer: active ones, unless `status[]` says otherwise."""
        async with services.database.tenant(tenant.organization_id) as connection:
            await customers.get(connection, tenant.organization_id, external_id)
            page = await subscriptions.find_all(
                connection,
                tenant.organization_id,
                window=window,
                statuses=read_statuses(status),
                external_customer_id=external_id,
            )
        return SubscriptionsReply(
            [SubscriptionBody.of(item, now=now) for item in page.items], meta(page, window)
        )
