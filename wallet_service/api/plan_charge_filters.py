"""`/plans/{code}/charges/{code}/filters`: the filters of a charge, one by one."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import plan_charge_filters
from wallet_service.api.dependencies import EffectiveAt, Now, Services, Tenant, Window
from wallet_service.api.plan_news import changing_plan
from wallet_service.api.schemas.formats import read_id
from wallet_service.api.schemas.plan_charges import (
    ChargeFilterBody,
    ChargeFilterReply,
    ChargeFilterRequest,
    ChargeFiltersReply,
    read_effective_at,
)


class PlanChargeFilters(Controller):
    """The filters of a charge. Every change is a new version of the plan's prices."""

    path = "/plans/{code:str}/charges/{charge_code:str}/filters"
    tags = ("plans",)
    opt = {"resource": "plans"}  # noqa: RUF012

    @post("/", status_code=200, summary="Add a filter to a charge of a plan")
    async def create(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        data: JSONBody[ChargeFilterRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ChargeFilterReply:
        """Add a price for some values."""
        effective_at = read_effective_at(data.filter.effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            entry = await plan_charge_filters.create(
                connection,
                tenant.organization_id,
                code,
                charge_code,
                data.filter.changes(),
                effective_at=effective_at,
                now=now,
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @get("/", summary="List the filters of a charge of a plan")
    async def list(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
    ) -> ChargeFiltersReply:
        """The filters in force, in the charge's order."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await plan_charge_filters.find_all(
                connection, tenant.organization_id, code, charge_code, window=window, now=now
            )
        return ChargeFiltersReply.of(page, window)

    @get("/{filter_id:str}", summary="Find a filter of a charge of a plan")
    async def find(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ChargeFilterReply:
        """One filter, as it is in force."""
        async with services.database.tenant(tenant.organization_id) as connection:
            entry = await plan_charge_filters.get(
                connection,
                tenant.organization_id,
                code,
                charge_code,
                read_id(filter_id, "charge_filter"),
                now=now,
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @put("/{filter_id:str}", status_code=200, summary="Change a filter of a charge of a plan")
    async def update(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        data: JSONBody[ChargeFilterRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ChargeFilterReply:
        """Change a price, at once or from a later time on. With other values it gets a new id."""
        effective_at = read_effective_at(data.filter.effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            entry = await plan_charge_filters.update(
                connection,
                tenant.organization_id,
                code,
                charge_code,
                read_id(filter_id, "charge_filter"),
                data.filter.changes(),
                effective_at=effective_at,
                now=now,
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @delete("/{filter_id:str}", status_code=200, summary="Take a filter out of a charge of a plan")
    async def delete(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        effective_at: EffectiveAt = None,
    ) -> ChargeFilterReply:
        """Take a price out, at once or from a later time on."""
        at = read_effective_at(effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            entry = await plan_charge_filters.delete(
                connection,
                tenant.organization_id,
                code,
                charge_code,
                read_id(filter_id, "charge_filter"),
                effective_at=at,
                now=now,
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))
