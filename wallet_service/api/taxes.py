"""`/taxes`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import taxes
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.taxes import TaxesReply, TaxReply, TaxRequest


class Taxes(Controller):
    """Rates with names, which invoices are taxed by."""

    path = "/taxes"
    tags = ("taxes",)
    opt = {"resource": "taxes"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a tax")
    async def create(
        self, data: JSONBody[TaxRequest], tenant: Tenant, services: Services, now: Now
    ) -> TaxReply:
        """Add a tax, for customers, plans, charges and so on to name by its code."""
        changes = data.tax.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            tax = await taxes.create(connection, tenant.organization_id, changes, now=now)
            (body,) = await shown_taxes.show(connection, tenant.organization_id, [tax])
        return TaxReply(body)

    @get("/", summary="List taxes")
    async def list(self, tenant: Tenant, services: Services, window: Window) -> TaxesReply:
        """All taxes, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await taxes.find_all(connection, tenant.organization_id, window=window)
            bodies = await shown_taxes.show(connection, tenant.organization_id, page.items)
        return TaxesReply(bodies, meta(page, window))

    @get("/{code:str}", summary="Find a tax")
    async def find(self, code: FromPath[str], tenant: Tenant, services: Services) -> TaxReply:
        """One tax."""
        async with services.database.tenant(tenant.organization_id) as connection:
            tax = await taxes.get(connection, tenant.organization_id, code)
            (body,) = await shown_taxes.show(connection, tenant.organization_id, [tax])
        return TaxReply(body)

    @put("/{code:str}", status_code=200, summary="Change a tax")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[TaxRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> TaxReply:
        """Change a tax, for invoices that are not final yet. Its code stays."""
        changes = data.tax.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            tax = await taxes.update(connection, tenant.organization_id, code, changes, now=now)
            (body,) = await shown_taxes.show(connection, tenant.organization_id, [tax])
        return TaxReply(body)

    @delete("/{code:str}", status_code=200, summary="Delete a tax")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> TaxReply:
        """Withdraw a tax: nothing new is taxed by it."""
        async with services.database.tenant(tenant.organization_id) as connection:
            found = await taxes.get(connection, tenant.organization_id, code)
            (body,) = await shown_taxes.show(connection, tenant.organization_id, [found])
            await taxes.delete(connection, tenant.organization_id, code, now=now)
        return TaxReply(body)
