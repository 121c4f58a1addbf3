"""`/invoices`, and those of a customer."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from invoicing import customers, invoice_changes, invoices
from invoicing.errors import NotAllowed
from invoicing.invoices import Invoice
from invoicing.records import Connection
from wallet_service.api.bodies import BodyDecoder
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.document_urls import Urls
from wallet_service.api.errors import field_error
from wallet_service.api.idempotency import IdempotencyKey
from wallet_service.api.invoice_filters import WantedInvoices, provide_wanted_invoices
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.formats import read_id
from wallet_service.api.schemas.invoice_previews import PreviewInput
from wallet_service.api.schemas.invoices import (
    InvoiceReply,
    InvoicesReply,
    InvoiceUpdateEnvelope,
    NoReply,
    OneOffEnvelope,
    PaymentDetailsReply,
    VoidEnvelope,
)
from wallet_service.documents.document import Kind
from wallet_service.invoice_bodies import InvoiceBody, list_invoices, show_invoice, show_totalled
from wallet_service.invoice_states import CreditedParts
from wallet_service.request_keys import key_of

_Request: TypeAlias = Request[Any, Any, Any]
_void = BodyDecoder(VoidEnvelope)
_WANTED = {"wanted": Provide(provide_wanted_invoices, sync_to_thread=False)}


class _OfInvoice(Struct):
    """What the key of an action is bound to."""

    invoice_id: UUID
    parts: CreditedParts | None = None


class Invoices(Controller):
    """What customers are asked to pay."""

    path = "/invoices"
    tags = ("invoices",)
    opt = {"resource": "invoices"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a one-off invoice")
    async def create(
        self,
        data: JSONBody[OneOffEnvelope],
        tenant: Tenant,
        services: Services,
        urls: Urls,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> InvoiceReply:
        """Bill add-ons by hand; the invoice is final at once."""
        invoice = await services.invoices.create_one_off(
            tenant.organization_id,
            data.invoice.request(),
            key=key_of("one_off_invoice", idempotency_key, data.invoice),
            now=now,
        )
        return await _reply(services, invoice, urls)

    @post("/preview", status_code=200, summary="Preview the next invoice")
    async def preview(
        self, data: JSONBody[PreviewInput], tenant: Tenant, services: Services, now: Now
    ) -> InvoiceReply:
        """What would be billed next: of subscriptions, or of one to a plan. Nothing is stored."""
        found = await services.invoices.preview(tenant.organization_id, data.request(), now=now)
        async with services.database.tenant(tenant.organization_id) as connection:
            body = await show_totalled(
                connection,
                found.totalled.invoice,
                found.totalled.fees,
                found.totalled.credits,
                subscription_names={one.id: one.external_id for one in found.subscriptions},
            )
        return InvoiceReply(body)

    @get("/", summary="List invoices", dependencies=_WANTED)
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        urls: Urls,
        window: Window,
        wanted: NamedDependency[WantedInvoices],
    ) -> InvoicesReply:
        """All invoices, the newest issuing date first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            found = await wanted.resolved(connection, tenant.organization_id)
            page = await invoices.find_all(connection, tenant.organization_id, found, window=window)
            bodies = await list_invoices(connection, tenant.organization_id, page.items)
            await _show_urls(connection, bodies, urls)
        return InvoicesReply(bodies, meta(page, window))

    @get("/{invoice_id:str}", summary="Find an invoice")
    async def find(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, urls: Urls
    ) -> InvoiceReply:
        """One invoice with its lines, and what they are for."""
        wanted = read_id(invoice_id, "invoice")
        async with services.database.tenant(tenant.organization_id) as connection:
            invoice = await invoices.get(connection, tenant.organization_id, wanted)
        return await _reply(services, invoice, urls)

    @put("/{invoice_id:str}", status_code=200, summary="Change an invoice")
    async def update(
        self,
        invoice_id: FromPath[str],
        data: JSONBody[InvoiceUpdateEnvelope],
        tenant: Tenant,
        services: Services,
        urls: Urls,
        now: Now,
    ) -> InvoiceReply:
        """Say whether it is paid, or replace its metadata. `succeeded` takes a payment of it."""
        organization_id, wanted = tenant.organization_id, read_id(invoice_id, "invoice")
        entries, status = data.invoice.entries(), data.invoice.payment_status
        if entries is not None:
            async with services.database.tenant(organization_id) as connection:
                await invoice_changes.set_metadata(
                    connection, organization_id, wanted, entries, now=now
                )
        if isinstance(status, str):
            await services.invoice_states.set_payment_status(
                organization_id, wanted, status, now=now
            )
        async with services.database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, wanted)
        return await _reply(services, invoice, urls)

    @delete("/{invoice_id:str}", status_code=200, summary="Delete a draft")
    async def delete(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> InvoiceReply:
        """Put a draft away for good: what it was for is not billed."""
        invoice = await services.invoice_states.delete_draft(
            tenant.organization_id, read_id(invoice_id, "invoice"), now=now
        )
        return await _reply(services, invoice, urls)


class InvoiceActions(Controller):
    """What is done with one invoice."""

    path = "/invoices/{invoice_id:str}"
    tags = ("invoices",)
    opt = {"resource": "invoices"}  # noqa: RUF012

    @put("/refresh", status_code=200, summary="Refresh a draft")
    async def refresh(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> InvoiceReply:
        """Compute a draft anew, with what has been used since."""
        invoice = await services.invoices.refresh(
            tenant.organization_id, read_id(invoice_id, "invoice"), now=now
        )
        return await _reply(services, invoice, urls)

    @put("/finalize", status_code=200, summary="Finalize a draft")
    async def finalize(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> InvoiceReply:
        """Make a draft final now: it gets its number, and wallets pay what they can."""
        invoice = await services.invoices.finalize(
            tenant.organization_id, read_id(invoice_id, "invoice"), now=now
        )
        return await _reply(services, invoice, urls)

    @post("/retry", status_code=200, summary="Retry an invoice that could not be finished")
    async def retry(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> InvoiceReply:
        """Go on with an invoice that has failed."""
        invoice = await services.invoices.retry(
            tenant.organization_id, read_id(invoice_id, "invoice"), now=now
        )
        return await _reply(services, invoice, urls)

    @post("/regenerate", status_code=200, summary="Bill again what a voided invoice had billed")
    async def regenerate(
        self,
        invoice_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        urls: Urls,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> InvoiceReply:
        """Make a new invoice of what a voided one was for, as it is known now."""
        wanted = read_id(invoice_id, "invoice")
        key = key_of("regenerate_invoice", idempotency_key, _OfInvoice(wanted))
        invoice = await services.invoices.regenerate(
            tenant.organization_id, wanted, key=key, now=now
        )
        return await _reply(services, invoice, urls)

    @post("/retry_payment", status_code=200, summary="Retry a payment")
    async def retry_payment(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services
    ) -> Response[NoReply]:
        """Have a payment provider try again; without one nothing is done. The body is empty."""
        invoice = await _found(services, tenant, invoice_id)
        if invoice.status != "finalized" or invoice.payment_status == "succeeded":
            raise NotAllowed("invalid_status")
        return Response(content=b"", media_type="application/json")  # pyright: ignore[reportArgumentType, reportReturnType]

    @post("/payment_url", status_code=200, summary="Ask for a page to pay at")
    async def payment_url(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services
    ) -> PaymentDetailsReply:
        """Where the customer can pay. Needs a payment provider, and there is none yet."""
        invoice = await _found(services, tenant, invoice_id)
        if invoice.status != "finalized" or invoice.payment_status == "succeeded":
            raise field_error("base", "invalid_invoice_status_or_payment_status")
        raise field_error(
            "base", "no_linked_payment_provider", "the customer has no payment provider"
        )

    @post("/void", status_code=200, summary="Void an invoice")
    async def void(
        self,
        invoice_id: FromPath[str],
        request: _Request,
        tenant: Tenant,
        services: Services,
        urls: Urls,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> InvoiceReply:
        """Take a final invoice back that nobody has paid: what had paid for it is given back.

        The body is optional. `{"generate_credit_note": true}` voids one that was paid too: a credit
        note gives back what is left of it, `credit_amount` and `refund_amount` in cents.
        """
        wanted = read_id(invoice_id, "invoice")
        body = await request.body()
        parts = _void.decode(body).given().parts() if body else None
        key = key_of("void_invoice", idempotency_key, _OfInvoice(wanted, parts))
        if parts is None:
            invoice = await services.invoices.void(tenant.organization_id, wanted, key=key, now=now)
        else:
            invoice = await services.invoice_states.void_by_credit_note(
                tenant.organization_id, wanted, parts, key=key, now=now
            )
        return await _reply(services, invoice, urls)

    @post("/lose_dispute", status_code=200, summary="Lose a dispute")
    async def lose_dispute(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> InvoiceReply:
        """Note that a dispute about the invoice was lost: it is not collected any more."""
        return await _lose_dispute(services, tenant, invoice_id, now, urls)

    @put("/lose_dispute", status_code=200, summary="Lose a dispute, as Lago's client asks for it")
    async def put_lose_dispute(
        self, invoice_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> InvoiceReply:
        """The same as POST."""
        return await _lose_dispute(services, tenant, invoice_id, now, urls)


class CustomerInvoices(Controller):
    """The invoices of one customer."""

    path = "/customers/{external_id:str}/invoices"
    tags = ("invoices",)
    opt = {"resource": "invoices"}  # noqa: RUF012

    @get("/", summary="List a customer's invoices", dependencies=_WANTED)
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        urls: Urls,
        window: Window,
        wanted: NamedDependency[WantedInvoices],
    ) -> InvoicesReply:
        """The customer's invoices, the newest issuing date first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            await customers.get(connection, tenant.organization_id, external_id)
            own = WantedInvoices(wanted.filter, external_id)
            found = await own.resolved(connection, tenant.organization_id)
            page = await invoices.find_all(connection, tenant.organization_id, found, window=window)
            bodies = await list_invoices(connection, tenant.organization_id, page.items)
            await _show_urls(connection, bodies, urls)
        return InvoicesReply(bodies, meta(page, window))


async def _found(services: Services, tenant: Tenant, invoice_id: str) -> Invoice:
    wanted = read_id(invoice_id, "invoice")
    async with services.database.tenant(tenant.organization_id) as connection:
        return await invoices.get(connection, tenant.organization_id, wanted)


async def _lose_dispute(
    services: Services, tenant: Tenant, invoice_id: str, now: Now, urls: Urls
) -> InvoiceReply:
    invoice = await services.invoice_states.lose_dispute(
        tenant.organization_id, read_id(invoice_id, "invoice"), now=now
    )
    return await _reply(services, invoice, urls)


async def _reply(services: Services, invoice: Invoice, urls: Urls) -> InvoiceReply:
    async with services.database.tenant(invoice.organization_id) as connection:
        body = await show_invoice(connection, invoice)
        await _show_urls(connection, [body], urls)
    return InvoiceReply(body)


async def _show_urls(connection: Connection, bodies: Sequence[InvoiceBody], urls: Urls) -> None:
    final = [body for body in bodies if body.status in {"finalized", "voided"}]
    await urls.show(connection, Kind.INVOICE, final)
