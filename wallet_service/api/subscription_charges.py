"""`/subscriptions/{external_id}/charges`: what one subscription pays for usage, if otherwise.

The first change gives the subscription a copy of its plan; nobody else's prices change.
"""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import plan_charge_filters, plan_charges
from invoicing.charge_changes import named_units
from wallet_service import assets
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Window
from wallet_service.api.schemas.formats import read_id
from wallet_service.api.schemas.plan_charges import (
    ChargeBody,
    ChargeFilterBody,
    ChargeFilterReply,
    ChargeFilterRequest,
    ChargeFiltersReply,
    ChargeReply,
    ChargeRequest,
    ChargesReply,
    read_effective_at,
)
from wallet_service.api.subscription_plans import PRICED_SUBSCRIPTION, ThePlan


class SubscriptionCharges(Controller):
    """The charges of one subscription."""

    path = "/subscriptions/{external_id:str}/charges"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012
    dependencies = PRICED_SUBSCRIPTION

    @get("/", summary="List a subscription's charges")
    async def list(self, subscription_plan: ThePlan, window: Window, now: Now) -> ChargesReply:
        """The charges in force, in the plan's order."""
        async with subscription_plan.reading() as place:
            page = await plan_charges.find_all(*place, window=window, now=now)
            codes = {code for charge in page.items for code in charge.tax_codes}
            taxes = await shown_taxes.find(*place[:2], codes)
        return ChargesReply.of(page, window, taxes)

    @get("/{charge_code:str}", summary="Find a charge of a subscription")
    async def find(
        self, charge_code: FromPath[str], subscription_plan: ThePlan, now: Now
    ) -> ChargeReply:
        """One charge, as it is in force."""
        async with subscription_plan.reading() as place:
            charge = await plan_charges.get(*place, charge_code, now=now)
            taxes = await shown_taxes.find(*place[:2], charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))

    @put("/{charge_code:str}", status_code=200, summary="Change a charge of a subscription")
    async def update(
        self,
        charge_code: FromPath[str],
        data: JSONBody[ChargeRequest],
        subscription_plan: ThePlan,
        now: Now,
    ) -> ChargeReply:
        """Change a charge for this subscription alone. `filters` replace all there were."""
        changes = data.charge.changes()
        effective_at = read_effective_at(data.charge.effective_at)
        async with subscription_plan.changing() as place:
            units = await assets.find_units(*place[:2], named_units([changes]))
            charge = await plan_charges.update(
                *place,
                charge_code,
                changes,
                units=units,
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(*place[:2], charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))


class SubscriptionChargeFilters(Controller):
    """The filters of a charge of one subscription."""

    path = "/subscriptions/{external_id:str}/charges/{charge_code:str}/filters"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012
    dependencies = PRICED_SUBSCRIPTION

    @post("/", status_code=200, summary="Add a filter to a charge of a subscription")
    async def create(
        self,
        charge_code: FromPath[str],
        data: JSONBody[ChargeFilterRequest],
        subscription_plan: ThePlan,
        now: Now,
    ) -> ChargeFilterReply:
        """Add a price for some values."""
        effective_at = read_effective_at(data.filter.effective_at)
        async with subscription_plan.changing() as place:
            entry = await plan_charge_filters.create(
                *place, charge_code, data.filter.changes(), effective_at=effective_at, now=now
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @get("/", summary="List the filters of a charge of a subscription")
    async def list(
        self, charge_code: FromPath[str], subscription_plan: ThePlan, window: Window, now: Now
    ) -> ChargeFiltersReply:
        """The filters in force, in the charge's order."""
        async with subscription_plan.reading() as place:
            page = await plan_charge_filters.find_all(*place, charge_code, window=window, now=now)
        return ChargeFiltersReply.of(page, window)

    @get("/{filter_id:str}", summary="Find a filter of a charge of a subscription")
    async def find(
        self,
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        subscription_plan: ThePlan,
        now: Now,
    ) -> ChargeFilterReply:
        """One filter, as it is in force."""
        async with subscription_plan.reading() as place:
            entry = await plan_charge_filters.get(
                *place, charge_code, read_id(filter_id, "charge_filter"), now=now
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @put("/{filter_id:str}", status_code=200, summary="Change a filter of a subscription's charge")
    async def update(
        self,
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        data: JSONBody[ChargeFilterRequest],
        subscription_plan: ThePlan,
        now: Now,
    ) -> ChargeFilterReply:
        """Change a price for this subscription alone. With other values it gets a new id."""
        effective_at = read_effective_at(data.filter.effective_at)
        async with subscription_plan.changing() as place:
            entry = await plan_charge_filters.update(
                *place,
                charge_code,
                read_id(filter_id, "charge_filter"),
                data.filter.changes(),
                effective_at=effective_at,
                now=now,
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @delete(
        "/{filter_id:str}",
        status_code=200,
        summary="Take a filter out of a charge of a subscription",
    )
    async def delete(
        self,
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        subscription_plan: ThePlan,
        now: Now,
    ) -> ChargeFilterReply:
        """Take a price out, for this subscription alone."""
        async with subscription_plan.changing() as place:
            entry = await plan_charge_filters.delete(
                *place, charge_code, read_id(filter_id, "charge_filter"), now=now
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))
