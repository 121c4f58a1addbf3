"""`/fees`."""

from typing import Annotated

from litestar import Controller, delete, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import fee_changes, fees
from invoicing.errors import Invalid
from invoicing.fees import Fee, FeeFilter
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.fees import FeeReply, FeeRequest, FeesReply
from wallet_service.api.schemas.filters import (
    CustomerId,
    TimeFrom,
    TimeTo,
    customer_id_of,
    one_of,
    read_moment,
)
from wallet_service.api.schemas.formats import Code, ExternalId, Word, read_id
from wallet_service.fee_bodies import show_fees


class Fees(Controller):
    """The lines of invoices, and what events were billed for by themselves."""

    path = "/fees"
    tags = ("fees",)
    opt = {"resource": "fees"}  # noqa: RUF012

    @get("/", summary="List fees")
    async def list(  # noqa: PLR0913 (Lago's filters)
        self,
        *,
        tenant: Tenant,
        services: Services,
        window: Window,
        external_customer_id: CustomerId = None,
        external_subscription_id: Annotated[ExternalId | None, QueryParameter()] = None,
        currency: Annotated[Word | None, QueryParameter()] = None,
        fee_type: Annotated[Word | None, QueryParameter()] = None,
        billable_metric_code: Annotated[Code | None, QueryParameter()] = None,
        payment_status: Annotated[Word | None, QueryParameter()] = None,
        event_transaction_id: Annotated[Code | None, QueryParameter()] = None,
        created_at_from: TimeFrom = None,
        created_at_to: TimeTo = None,
        succeeded_at_from: TimeFrom = None,
        succeeded_at_to: TimeTo = None,
        failed_at_from: TimeFrom = None,
        failed_at_to: TimeTo = None,
        refunded_at_from: TimeFrom = None,
        refunded_at_to: TimeTo = None,
    ) -> FeesReply:
        """Fees of all invoices that can be seen, and those that stand alone, newest first."""
        types = one_of(fee_type, fees.TYPES, field="fee_type")
        statuses = one_of(payment_status, fees.PAYMENT_STATUSES, field="payment_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            wanted = FeeFilter(
                customer_id=await customer_id_of(
                    connection, tenant.organization_id, external_customer_id
                ),
                external_subscription_id=external_subscription_id or None,
                currency=currency or None,
                fee_type=types[0] if types else None,
                billable_metric_code=billable_metric_code or None,
                payment_status=statuses[0] if statuses else None,
                event_transaction_id=event_transaction_id or None,
                created_at_from=read_moment(created_at_from, field="created_at_from"),
                created_at_to=read_moment(created_at_to, field="created_at_to"),
                succeeded_at_from=read_moment(succeeded_at_from, field="succeeded_at_from"),
                succeeded_at_to=read_moment(succeeded_at_to, field="succeeded_at_to"),
                failed_at_from=read_moment(failed_at_from, field="failed_at_from"),
                failed_at_to=read_moment(failed_at_to, field="failed_at_to"),
                refunded_at_from=read_moment(refunded_at_from, field="refunded_at_from"),
                refunded_at_to=read_moment(refunded_at_to, field="refunded_at_to"),
            )
            page = await fees.find_all(connection, tenant.organization_id, wanted, window=window)
            bodies = await show_fees(connection, tenant.organization_id, page.items)
        return FeesReply(bodies, meta(page, window))

    @get("/{fee_id:str}", summary="Find a fee")
    async def find(self, fee_id: FromPath[str], tenant: Tenant, services: Services) -> FeeReply:
        """One fee."""
        wanted = read_id(fee_id, "fee")
        async with services.database.tenant(tenant.organization_id) as connection:
            fee = await fees.get(connection, tenant.organization_id, wanted)
        return await _reply(services, fee)

    @put("/{fee_id:str}", status_code=200, summary="Change a fee")
    async def update(
        self,
        fee_id: FromPath[str],
        data: JSONBody[FeeRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> FeeReply:
        """Say whether a fee that stands alone is paid, or adjust a line of a draft.

        An adjustment stays when the draft is computed anew; null takes it back.
        """
        organization_id, wanted = tenant.organization_id, read_id(fee_id, "fee")
        adjustment, status = data.fee.adjustment(), data.fee.payment_status
        if adjustment is not None and isinstance(status, str):
            raise Invalid.field("payment_status", "value_is_invalid", "it is a line of a draft")
        draft_id = None
        async with services.database.tenant(organization_id) as connection:
            if adjustment is not None:
                draft_id = await fee_changes.adjust(
                    connection, organization_id, wanted, adjustment, now=now
                )
            elif isinstance(status, str):
                await fee_changes.set_payment_status(
                    connection, organization_id, wanted, status, now=now
                )
        if draft_id is not None:
            await services.invoices.refresh(organization_id, draft_id, now=now)
        async with services.database.tenant(organization_id) as connection:
            fee = await fees.get(connection, organization_id, wanted)
        return await _reply(services, fee)

    @delete("/{fee_id:str}", status_code=200, summary="Delete a fee")
    async def delete(
        self, fee_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> FeeReply:
        """Withdraw a fee that stands alone; lines of invoices stay."""
        wanted = read_id(fee_id, "fee")
        async with services.database.tenant(tenant.organization_id) as connection:
            fee = await fee_changes.delete(connection, tenant.organization_id, wanted, now=now)
        return await _reply(services, fee)


async def _reply(services: Services, fee: Fee) -> FeeReply:
    async with services.database.tenant(fee.organization_id) as connection:
        (body,) = await show_fees(connection, fee.organization_id, [fee])
    return FeeReply(body)
