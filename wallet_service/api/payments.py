"""`/payments`, and those of a customer."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import customers, payments
from invoicing.payments import PaymentFilter
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.idempotency import IdempotencyKey
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.filters import (
    BillingEntityCodes,
    CustomerId,
    SearchTerm,
    customer_id_of,
    given_id,
)
from wallet_service.api.schemas.formats import read_id, text_of
from wallet_service.api.schemas.payments import PaymentReply, PaymentRequest, PaymentsReply
from wallet_service.payment_bodies import show_payments


class Payments(Controller):
    """Money that came in for invoices, beside the wallets."""

    path = "/payments"
    tags = ("payments",)
    opt = {"resource": "payments"}  # noqa: RUF012

    @post("/", status_code=200, summary="Take a payment")
    async def create(
        self,
        data: JSONBody[PaymentRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> PaymentReply:
        """Take down that an invoice was paid, or a part of it; never more than is due."""
        given = data.payment
        payment = await services.payments.create(
            tenant.organization_id,
            read_id(text_of(given.invoice_id), "invoice"),
            given.new(),
            key=idempotency_key,
            request=given,
            now=now,
        )
        async with services.database.tenant(tenant.organization_id) as connection:
            (body,) = await show_payments(connection, tenant.organization_id, [payment])
        return PaymentReply(body)

    @get("/", summary="List payments")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        external_customer_id: CustomerId = None,
        invoice_id: Annotated[str | None, QueryParameter(max_length=64)] = None,
        billing_entity_codes: BillingEntityCodes = None,
        search_term: SearchTerm = None,
    ) -> PaymentsReply:
        """All payments, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            wanted = PaymentFilter(
                customer_id=await customer_id_of(
                    connection, tenant.organization_id, external_customer_id
                ),
                invoice_id=given_id(invoice_id),
                billing_entity_codes=billing_entity_codes,
                search_term=search_term or None,
            )
            page = await payments.find_all(
                connection, tenant.organization_id, wanted, window=window
            )
            bodies = await show_payments(connection, tenant.organization_id, page.items)
        return PaymentsReply(bodies, meta(page, window))

    @get("/{payment_id:str}", summary="Find a payment")
    async def find(
        self, payment_id: FromPath[str], tenant: Tenant, services: Services
    ) -> PaymentReply:
        """One payment."""
        wanted = read_id(payment_id, "payment")
        async with services.database.tenant(tenant.organization_id) as connection:
            payment = await payments.get(connection, tenant.organization_id, wanted)
            (body,) = await show_payments(connection, tenant.organization_id, [payment])
        return PaymentReply(body)


class CustomerPayments(Controller):
    """The payments of one customer."""

    path = "/customers/{external_id:str}/payments"
    tags = ("payments",)
    opt = {"resource": "payments"}  # noqa: RUF012

    @get("/", summary="List a customer's payments")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        invoice_id: Annotated[str | None, QueryParameter(max_length=64)] = None,
    ) -> PaymentsReply:
        """The customer's payments, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            customer = await customers.get(connection, tenant.organization_id, external_id)
            wanted = PaymentFilter(customer_id=customer.id, invoice_id=given_id(invoice_id))
            page = await payments.find_all(
                connection, tenant.organization_id, wanted, window=window
            )
            bodies = await show_payments(connection, tenant.organization_id, page.items)
        return PaymentsReply(bodies, meta(page, window))
