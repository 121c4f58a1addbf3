"""`/plans/{code}/fixed_charges`: the fixed charges of a plan, one by one."""

from typing import Final

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import plan_fixed_charges
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import EffectiveAt, Now, Services, Tenant, Window
from wallet_service.api.plan_news import changing_plan
from wallet_service.api.schemas.plan_charges import read_effective_at
from wallet_service.api.schemas.plan_fixed_charges import (
    AgreedUnitsBody,
    FixedChargeBody,
    FixedChargeReply,
    FixedChargeRequest,
    FixedChargesReply,
)

_HISTORY_MAX: Final = 100


class PlanFixedCharges(Controller):
    """Units of add-ons, paid whatever is used. Every change is a new version of the prices."""

    path = "/plans/{code:str}/fixed_charges"
    tags = ("plans",)
    opt = {"resource": "plans"}  # noqa: RUF012

    @post("/", status_code=200, summary="Add a fixed charge to a plan")
    async def create(
        self,
        code: FromPath[str],
        data: JSONBody[FixedChargeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> FixedChargeReply:
        """Add units of an add-on; the code is one that the plan does not have yet."""
        effective_at = read_effective_at(data.fixed_charge.effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            charge = await plan_fixed_charges.create(
                connection,
                tenant.organization_id,
                code,
                data.fixed_charge.changes(),
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))

    @get("/", summary="List a plan's fixed charges")
    async def list(
        self,
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
    ) -> FixedChargesReply:
        """The fixed charges in force, in the plan's order."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await plan_fixed_charges.find_all(
                connection, tenant.organization_id, code, window=window, now=now
            )
            codes = {code for charge in page.items for code in charge.tax_codes}
            taxes = await shown_taxes.find(connection, tenant.organization_id, codes)
        return FixedChargesReply.of(page, window, taxes)

    @get("/{fixed_charge_code:str}", summary="Find a fixed charge of a plan")
    async def find(
        self,
        code: FromPath[str],
        fixed_charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> FixedChargeReply:
        """One fixed charge, as it is in force, and the units that were agreed so far."""
        async with services.database.tenant(tenant.organization_id) as connection:
            charge = await plan_fixed_charges.get(
                connection, tenant.organization_id, code, fixed_charge_code, now=now
            )
            history = await plan_fixed_charges.units_history(
                connection, tenant.organization_id, charge, limit=_HISTORY_MAX
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        body = FixedChargeBody.of(charge, taxes)
        body.units_history = [AgreedUnitsBody.of(entry) for entry in history]
        return FixedChargeReply(body)

    @put("/{fixed_charge_code:str}", status_code=200, summary="Change a fixed charge of a plan")
    async def update(
        self,
        code: FromPath[str],
        fixed_charge_code: FromPath[str],
        data: JSONBody[FixedChargeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> FixedChargeReply:
        """Change a fixed charge, at once or from a later time on."""
        effective_at = read_effective_at(data.fixed_charge.effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            charge = await plan_fixed_charges.update(
                connection,
                tenant.organization_id,
                code,
                fixed_charge_code,
                data.fixed_charge.changes(),
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))

    @delete(
        "/{fixed_charge_code:str}", status_code=200, summary="Take a fixed charge out of a plan"
    )
    async def delete(
        self,
        code: FromPath[str],
        fixed_charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        effective_at: EffectiveAt = None,
    ) -> FixedChargeReply:
        """Take a fixed charge out, at once or from a later time on."""
        at = read_effective_at(effective_at)
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            charge = await plan_fixed_charges.delete(
                connection,
                tenant.organization_id,
                code,
                fixed_charge_code,
                effective_at=at,
                now=now,
            )
            taxes = await shown_taxes.find(connection, tenant.organization_id, charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))
