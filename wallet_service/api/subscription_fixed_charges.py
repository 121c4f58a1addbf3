"""`/subscriptions/{external_id}/fixed_charges`: units that one subscription pays, if otherwise."""

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody

from invoicing import plan_fixed_charges
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Window
from wallet_service.api.schemas.plan_charges import read_effective_at
from wallet_service.api.schemas.plan_fixed_charges import (
    FixedChargeBody,
    FixedChargeReply,
    FixedChargeRequest,
    FixedChargesReply,
)
from wallet_service.api.subscription_plans import PRICED_SUBSCRIPTION, ThePlan


class SubscriptionFixedCharges(Controller):
    """The fixed charges of one subscription."""

    path = "/subscriptions/{external_id:str}/fixed_charges"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012
    dependencies = PRICED_SUBSCRIPTION

    @get("/", summary="List a subscription's fixed charges")
    async def list(self, subscription_plan: ThePlan, window: Window, now: Now) -> FixedChargesReply:
        """The fixed charges in force, in the plan's order."""
        async with subscription_plan.reading() as place:
            page = await plan_fixed_charges.find_all(*place, window=window, now=now)
            codes = {code for charge in page.items for code in charge.tax_codes}
            taxes = await shown_taxes.find(*place[:2], codes)
        return FixedChargesReply.of(page, window, taxes)

    @get("/{fixed_charge_code:str}", summary="Find a fixed charge of a subscription")
    async def find(
        self, fixed_charge_code: FromPath[str], subscription_plan: ThePlan, now: Now
    ) -> FixedChargeReply:
        """One fixed charge, as it is in force."""
        async with subscription_plan.reading() as place:
            charge = await plan_fixed_charges.get(*place, fixed_charge_code, now=now)
            taxes = await shown_taxes.find(*place[:2], charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))

    @put(
        "/{fixed_charge_code:str}",
        status_code=200,
        summary="Change a fixed charge of a subscription",
    )
    async def update(
        self,
        fixed_charge_code: FromPath[str],
        data: JSONBody[FixedChargeRequest],
        subscription_plan: ThePlan,
        now: Now,
    ) -> FixedChargeReply:
        """Change units or prices for this subscription alone."""
        effective_at = read_effective_at(data.fixed_charge.effective_at)
        async with subscription_plan.changing() as place:
            charge = await plan_fixed_charges.update(
                *place,
                fixed_charge_code,
                data.fixed_charge.changes(),
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(*place[:2], charge.tax_codes)
        return FixedChargeReply(FixedChargeBody.of(charge, taxes))
