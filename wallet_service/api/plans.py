"""`/plans`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UnsetType

from invoicing import plans
from invoicing.charge_changes import named_units
from wallet_service import assets
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.plan_news import tell_plan
from wallet_service.api.schemas.plans import PlanBody, PlanReply, PlanRequest, PlansReply
from wallet_service.subscription_news import tell_ended


class Plans(Controller):
    """What a subscription costs, and the prices of its usage."""

    path = "/plans"
    tags = ("plans",)
    opt = {"resource": "plans"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a plan")
    async def create(
        self, data: JSONBody[PlanRequest], tenant: Tenant, services: Services, now: Now
    ) -> PlanReply:
        """Add a plan with its charges."""
        changes, wanted = data.plan.changes(), data.plan.charge_changes()
        charges = () if isinstance(wanted, UnsetType) else wanted
        async with services.changing_catalogue(tenant.organization_id) as connection:
            units = await assets.find_units(
                connection, tenant.organization_id, named_units(charges)
            )
            plan = await plans.create(
                connection, tenant.organization_id, changes, charges, units=units, now=now
            )
            body = await tell_plan(connection, "created", plan, now=now)
        return PlanReply(body)

    @get("/", summary="List plans")
    async def list(
        self, tenant: Tenant, services: Services, window: Window, now: Now
    ) -> PlansReply:
        """All plans, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await plans.find_all(connection, tenant.organization_id, window=window, now=now)
            taxes = await shown_taxes.of_plans(connection, tenant.organization_id, page.items)
        bodies = [PlanBody.of(item, taxes) for item in page.items]
        return PlansReply(bodies, meta(page, window))

    @get("/{code:str}", summary="Find a plan")
    async def find(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> PlanReply:
        """One plan, as it prices new usage."""
        async with services.database.tenant(tenant.organization_id) as connection:
            plan = await plans.get(connection, tenant.organization_id, code, now=now)
            taxes = await shown_taxes.of_plans(connection, tenant.organization_id, [plan])
        return PlanReply(PlanBody.of(plan, taxes))

    @put("/{code:str}", status_code=200, summary="Change a plan")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[PlanRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> PlanReply:
        """Change a plan. `charges` replace all there were, as a new version of its prices."""
        changes, wanted = data.plan.changes(), data.plan.charge_changes()
        async with services.changing_catalogue(tenant.organization_id) as connection:
            named = set[str]() if isinstance(wanted, UnsetType) else named_units(wanted)
            units = await assets.find_units(connection, tenant.organization_id, named)
            plan = await plans.update(
                connection, tenant.organization_id, code, changes, wanted, units=units, now=now
            )
            body = await tell_plan(connection, "updated", plan, now=now)
        return PlanReply(body)

    @delete("/{code:str}", status_code=200, summary="Delete a plan")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> PlanReply:
        """Withdraw a plan; its subscriptions end."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            plan, ended = await plans.delete(connection, tenant.organization_id, code, now=now)
            await tell_ended(connection, tenant.organization_id, ended, now=now)
            body = await tell_plan(connection, "deleted", plan, now=now)
        return PlanReply(body)
