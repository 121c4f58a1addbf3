"""`/add_ons`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import add_ons
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.add_ons import AddOnBody, AddOnReply, AddOnRequest, AddOnsReply


class AddOns(Controller):
    """What is sold beside usage and subscriptions, at a price of its own."""

    path = "/add_ons"
    tags = ("add_ons",)
    opt = {"resource": "add_ons"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create an add-on")
    async def create(
        self, data: JSONBody[AddOnRequest], tenant: Tenant, services: Services, now: Now
    ) -> AddOnReply:
        """Add an add-on. Plans sell it with their fixed charges."""
        changes = data.add_on.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            add_on = await add_ons.create(connection, tenant.organization_id, changes, now=now)
            taxes = await shown_taxes.find(connection, tenant.organization_id, add_on.tax_codes)
        return AddOnReply(AddOnBody.of(add_on, taxes))

    @get("/", summary="List add-ons")
    async def list(self, tenant: Tenant, services: Services, window: Window) -> AddOnsReply:
        """All add-ons, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await add_ons.find_all(connection, tenant.organization_id, window=window)
            codes = {code for item in page.items for code in item.tax_codes}
            taxes = await shown_taxes.find(connection, tenant.organization_id, codes)
        bodies = [AddOnBody.of(item, taxes) for item in page.items]
        return AddOnsReply(bodies, meta(page, window))

    @get("/{code:str}", summary="Find an add-on")
    async def find(self, code: FromPath[str], tenant: Tenant, services: Services) -> AddOnReply:
        """One add-on."""
        async with services.database.tenant(tenant.organization_id) as connection:
            add_on = await add_ons.get(connection, tenant.organization_id, code)
            taxes = await shown_taxes.find(connection, tenant.organization_id, add_on.tax_codes)
        return AddOnReply(AddOnBody.of(add_on, taxes))

    @put("/{code:str}", status_code=200, summary="Change an add-on")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[AddOnRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> AddOnReply:
        """Change an add-on. Plans that have it show its new names, at the prices agreed before."""
        changes = data.add_on.changes()
        async with services.changing_catalogue(tenant.organization_id) as connection:
            add_on = await add_ons.update(
                connection, tenant.organization_id, code, changes, now=now
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, add_on.tax_codes)
        return AddOnReply(AddOnBody.of(add_on, taxes))

    @delete("/{code:str}", status_code=200, summary="Delete an add-on")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> AddOnReply:
        """Withdraw an add-on; plans that have it keep it."""
        async with services.database.tenant(tenant.organization_id) as connection:
            add_on = await add_ons.delete(connection, tenant.organization_id, code, now=now)
            taxes = await shown_taxes.find(connection, tenant.organization_id, add_on.tax_codes)
        return AddOnReply(AddOnBody.of(add_on, taxes))
