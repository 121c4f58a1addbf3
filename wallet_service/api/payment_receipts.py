"""`/payment_receipts`."""

from typing import Annotated

from litestar import Controller, get
from litestar.params import FromPath, QueryParameter

from invoicing import payment_receipts, payments
from invoicing.payment_receipts import PaymentReceipt, ReceiptFilter
from invoicing.records import Connection
from wallet_service.api.dependencies import Services, Tenant, Window
from wallet_service.api.document_urls import Urls
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.filters import (
    BillingEntityCodes,
    CustomerId,
    SearchTerm,
    customer_id_of,
    given_id,
)
from wallet_service.api.schemas.formats import read_id
from wallet_service.api.schemas.payments import ReceiptReply, ReceiptsReply
from wallet_service.documents.document import Kind
from wallet_service.payment_bodies import ReceiptBody, show_payments


class PaymentReceipts(Controller):
    """What a payer is given for a payment."""

    path = "/payment_receipts"
    tags = ("payment_receipts",)
    opt = {"resource": "payment_receipts"}  # noqa: RUF012

    @get("/", summary="List receipts")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        urls: Urls,
        external_customer_id: CustomerId = None,
        invoice_id: Annotated[str | None, QueryParameter(max_length=64)] = None,
        billing_entity_codes: BillingEntityCodes = None,
        search_term: SearchTerm = None,
    ) -> ReceiptsReply:
        """All receipts, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            wanted = ReceiptFilter(
                customer_id=await customer_id_of(
                    connection, tenant.organization_id, external_customer_id
                ),
                invoice_id=given_id(invoice_id),
                billing_entity_codes=billing_entity_codes,
                search_term=search_term or None,
            )
            page = await payment_receipts.find_all(
                connection, tenant.organization_id, wanted, window=window
            )
            bodies = await show_receipts(connection, page.items)
            await urls.show(connection, Kind.PAYMENT_RECEIPT, bodies)
        return ReceiptsReply(bodies, meta(page, window))

    @get("/{receipt_id:str}", summary="Find a receipt")
    async def find(
        self, receipt_id: FromPath[str], tenant: Tenant, services: Services, urls: Urls
    ) -> ReceiptReply:
        """One receipt."""
        wanted = read_id(receipt_id, "payment_receipt")
        async with services.database.tenant(tenant.organization_id) as connection:
            receipt = await payment_receipts.get(connection, tenant.organization_id, wanted)
            (body,) = await show_receipts(connection, [receipt])
            await urls.show(connection, Kind.PAYMENT_RECEIPT, [body])
        return ReceiptReply(body)


async def show_receipts(
    connection: Connection, receipts: list[PaymentReceipt]
) -> list[ReceiptBody]:
    """Receipts with their payments."""
    if not receipts:
        return []
    organization_id = receipts[0].organization_id
    found = await payments.find_many(
        connection, organization_id, [receipt.payment_id for receipt in receipts]
    )
    paid = [found[receipt.payment_id] for receipt in receipts]
    bodies = await show_payments(connection, organization_id, paid)
    return [ReceiptBody.of(receipt, body) for receipt, body in zip(receipts, bodies, strict=True)]
