"""`/plans/{code}/charges`: the charges of a plan, one by one."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import plan_charges
from invoicing.charge_changes import named_units
from wallet_service import assets
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import EffectiveAt, Now, Services, Tenant, Window
from wallet_service.api.plan_news import changing_plan
from wallet_service.api.schemas.plan_charges import (
    ChargeBody,
    ChargeReply,
    ChargeRequest,
    ChargesReply,
    read_effective_at,
)


class PlanCharges(Controller):
    """The charges of a plan. Every change is a new version of its prices."""

    path = "/plans/{code:str}/charges"
    tags = ("plans",)
    opt = {"resource": "plans"}  # noqa: RUF012

    @post("/", status_code=200, summary="Add a charge to a plan")
    async def create(
        self,
        code: FromPath[str],
        data: JSONBody[ChargeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ChargeReply:
        """Add a charge; its code is one that the plan does not have yet."""
        changes = data.charge.changes()
        effective_at = read_effective_at(data.charge.effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            units = await assets.find_units(
                connection, tenant.organization_id, named_units([changes])
            )
            charge = await plan_charges.create(
                connection,
                tenant.organization_id,
                code,
                changes,
                units=units,
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))

    @get("/", summary="List a plan's charges")
    async def list(
        self,
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
    ) -> ChargesReply:
        """The charges in force, in the plan's order."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await plan_charges.find_all(
                connection, tenant.organization_id, code, window=window, now=now
            )
            codes = {code for charge in page.items for code in charge.tax_codes}
            taxes = await shown_taxes.find(connection, tenant.organization_id, codes)
        return ChargesReply.of(page, window, taxes)

    @get("/{charge_code:str}", summary="Find a charge of a plan")
    async def find(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ChargeReply:
        """One charge, as it is in force."""
        async with services.database.tenant(tenant.organization_id) as connection:
            charge = await plan_charges.get(
                connection, tenant.organization_id, code, charge_code, now=now
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))

    @put("/{charge_code:str}", status_code=200, summary="Change a charge of a plan")
    async def update(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        data: JSONBody[ChargeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ChargeReply:
        """Change a charge, at once or from a later time on. `filters` replace all there were."""
        changes = data.charge.changes()
        effective_at = read_effective_at(data.charge.effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            units = await assets.find_units(
                connection, tenant.organization_id, named_units([changes])
            )
            charge = await plan_charges.update(
                connection,
                tenant.organization_id,
                code,
                charge_code,
                changes,
                units=units,
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))

    @delete("/{charge_code:str}", status_code=200, summary="Take a charge out of a plan")
    async def delete(
        self,
        code: FromPath[str],
        charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        effective_at: EffectiveAt = None,
    ) -> ChargeReply:
        """Take a charge out, at once or from a later time on; what was charged by it stays."""
        at = read_effective_at(effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            charge = await plan_charges.delete(
                connection,
                tenant.organization_id,
                code,
                charge_code,
                effective_at=at,
                now=now,
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))
