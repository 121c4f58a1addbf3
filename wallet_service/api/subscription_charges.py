"""`/subscriptions/{external_id}/charges`: what one subscription pays for usage, if otherwise.

The first change gives the subscription a copy of its plan; nobody else's prices change.
"""

from typing import Annotated, TypeAlias

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import plan_charge_filters, plan_charges, subscription_prices
from invoicing.charge_changes import named_units
from wallet_service import assets
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.schemas.formats import Word, read_id
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
from wallet_service.api.subscriptions import read_statuses

WhichStatus: TypeAlias = Annotated[
    Word | None,
    QueryParameter(
        name="subscription_status", description="Of those with the same external id; active."
    ),
]


class SubscriptionCharges(Controller):
    """The charges of one subscription."""

    path = "/subscriptions/{external_id:str}/charges"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012

    @get("/", summary="List a subscription's charges")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargesReply:
        """The charges in force, in the plan's order."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.plan_of(*place, external_id, statuses=statuses)
            page = await plan_charges.find_all(*place, plan, window=window, now=now)
            codes = {code for charge in page.items for code in charge.tax_codes}
            taxes = await shown_taxes.find(*place, codes)
        return ChargesReply.of(page, window, taxes)

    @get("/{charge_code:str}", summary="Find a charge of a subscription")
    async def find(
        self,
        external_id: FromPath[str],
        charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeReply:
        """One charge, as it is in force."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.plan_of(*place, external_id, statuses=statuses)
            charge = await plan_charges.get(*place, plan, charge_code, now=now)
            taxes = await shown_taxes.find(*place, charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))

    @put("/{charge_code:str}", status_code=200, summary="Change a charge of a subscription")
    async def update(
        self,
        external_id: FromPath[str],
        charge_code: FromPath[str],
        data: JSONBody[ChargeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeReply:
        """Change a charge for this subscription alone. `filters` replace all there were."""
        changes = data.charge.changes()
        statuses = read_statuses(status, field="subscription_status")
        effective_at = read_effective_at(data.charge.effective_at)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            units = await assets.find_units(*place, named_units([changes]))
            plan = await subscription_prices.own_plan(
                *place, external_id, statuses=statuses, now=now
            )
            charge = await plan_charges.update(
                *place,
                plan,
                charge_code,
                changes,
                units=units,
                effective_at=effective_at,
                now=now,
            )
            taxes = await shown_taxes.find(*place, charge.tax_codes)
        return ChargeReply(ChargeBody.of(charge, taxes))


class SubscriptionChargeFilters(Controller):
    """The filters of a charge of one subscription."""

    path = "/subscriptions/{external_id:str}/charges/{charge_code:str}/filters"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012

    @post("/", status_code=200, summary="Add a filter to a charge of a subscription")
    async def create(
        self,
        external_id: FromPath[str],
        charge_code: FromPath[str],
        data: JSONBody[ChargeFilterRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeFilterReply:
        """Add a price for some values."""
        statuses = read_statuses(status, field="subscription_status")
        effective_at = read_effective_at(data.filter.effective_at)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.own_plan(
                *place, external_id, statuses=statuses, now=now
            )
            entry = await plan_charge_filters.create(
                *place, plan, charge_code, data.filter.changes(), effective_at=effective_at, now=now
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @get("/", summary="List the filters of a charge of a subscription")
    async def list(
        self,
        external_id: FromPath[str],
        charge_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeFiltersReply:
        """The filters in force, in the charge's order."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.plan_of(*place, external_id, statuses=statuses)
            page = await plan_charge_filters.find_all(
                *place, plan, charge_code, window=window, now=now
            )
        return ChargeFiltersReply.of(page, window)

    @get("/{filter_id:str}", summary="Find a filter of a charge of a subscription")
    async def find(
        self,
        external_id: FromPath[str],
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeFilterReply:
        """One filter, as it is in force."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.plan_of(*place, external_id, statuses=statuses)
            entry = await plan_charge_filters.get(
                *place, plan, charge_code, read_id(filter_id, "charge_filter"), now=now
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))

    @put("/{filter_id:str}", status_code=200, summary="Change a filter of a subscription's charge")
    async def update(
        self,
        external_id: FromPath[str],
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        data: JSONBody[ChargeFilterRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeFilterReply:
        """Change a price for this subscription alone. With other values it gets a new id."""
        statuses = read_statuses(status, field="subscription_status")
        effective_at = read_effective_at(data.filter.effective_at)
        async with services.changing_catalogue(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.own_plan(
                *place, external_id, statuses=statuses, now=now
            )
            entry = await plan_charge_filters.update(
                *place,
                plan,
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
        external_id: FromPath[str],
        charge_code: FromPath[str],
        filter_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: WhichStatus = None,
    ) -> ChargeFilterReply:
        """Take a price out, for this subscription alone."""
        statuses = read_statuses(status, field="subscription_status")
        async with services.changing_catalogue(tenant.organization_id) as connection:
            place = connection, tenant.organization_id
            plan = await subscription_prices.own_plan(
                *place, external_id, statuses=statuses, now=now
            )
            entry = await plan_charge_filters.delete(
                *place, plan, charge_code, read_id(filter_id, "charge_filter"), now=now
            )
        return ChargeFilterReply(ChargeFilterBody.of(entry))
