"""`/subscriptions/{external_id}/fixed_charges`: units that one subscription pays, if otherwise."""

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody

from invoicing import plan_fixed_charges, subscription_prices
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.schemas.plan_charges import read_effective_at
from wallet_service.api.schemas.plan_fixed_charges import (
    FixedChargeBody,
    FixedChargeReply,
    FixedChargeRequest,
    FixedChargesReply,
)
from wallet_service.api.subscription_charges import WhichStatus
from wallet_service.api.subscriptions import read_statuses


class SubscriptionFixedCharges(Controller):
    """The fixed charges of one subscription."""

    path = "/subscriptions/{external_id:str}/fixed_charges"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012

    @get("/", summary="List a subscription's fixed charges")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        status: WhichStatus = None,
    ) -> FixedChargesReply:
        """The fixed charges in force, in the plan's order."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.plan_of(*place, external_id, statuses=statuses)
            page = await plan_fixed_charges.find_all(*place, plan, window=window, now=now)
            codes = {code for charge in page.items for code in charge.tax_codes}
            taxes = await shown_taxes.find(*place, codes)
        return FixedChargesReply.of(page, window, taxes)

    @get("/{fixed_charge_code:str}", summary="Find a fixed charge of a subscription")
    async def find(
        self,
        external_id: FromPath[str],
        fixed_charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> FixedChargeReply:
        """One fixed charge, as it is in force."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.plan_of(*place, external_id, statuses=statuses)
            charge = await plan_fixed_charges.get(*place, plan, fixed_charge_code, now=now)
            taxes = await shown_taxes.find(*place, charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))

    @put(
        "/{fixed_charge_code:str}",
        status_code=200,
        summary="Change a fixed charge of a subscription",
    )
    async def update(
        self,
        external_id: FromPath[str],
        fixed_charge_code: FromPath[str],
        data: JSONBody[FixedChargeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> FixedChargeReply:
        """Change units or prices for this subscription alone."""
        statuses = read_statuses(status, field="subscription_status")
        effective_at = read_effective_at(data.fixed_charge.effective_at)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.own_plan(
                *place, external_id, statuses=statuses, now=now
            )
            charge = await plan_fixed_charges.update(
                *place,
                plan,
                fixed_charge_code,
                data.fixed_charge.changes(),
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(*place, charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))
