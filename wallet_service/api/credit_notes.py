"""`/credit_notes`, and those of a customer."""

from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import credit_notes, customers
from invoicing.credit_notes import CreditNote, CreditNoteFilter
from invoicing.errors import NotFound
from invoicing.pages import Page
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.document_urls import Urls
from wallet_service.api.idempotency import IdempotencyKey
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.credit_notes import (
    CreditNoteReply,
    CreditNoteRequest,
    CreditNotesReply,
    CreditNoteUpdateRequest,
    EstimateReply,
    EstimateRequest,
    read_items,
)
from wallet_service.api.schemas.filters import (
    AmountFrom,
    AmountTo,
    BillingEntityCodes,
    CustomerId,
    DateFrom,
    DateTo,
    SearchTerm,
    customer_id_of,
    one_of,
    read_date,
)
from wallet_service.api.schemas.formats import Code, Word, read_id, text_of
from wallet_service.api.schemas.metadata import MetadataEnvelope, MetadataReply
from wallet_service.credit_note_bodies import CreditNoteBody, show_credit_notes
from wallet_service.credit_notes import REFUND_STATUSES
from wallet_service.documents.document import Kind

_CREDIT_STATUSES = ("available", "consumed", "voided")


class CreditNotes(Controller):
    """What is given back of invoices."""

    path = "/credit_notes"
    tags = ("credit_notes",)
    opt = {"resource": "credit_notes"}  # noqa: RUF012

    @post("/", status_code=200, summary="Issue a credit note")
    async def create(
        self,
        data: JSONBody[CreditNoteRequest],
        tenant: Tenant,
        services: Services,
        urls: Urls,
        now: Now,
        idempotency_key: IdempotencyKey = None,
    ) -> CreditNoteReply:
        """Give back a part of an invoice: as credit, as a refund, or against what is due of it."""
        given = data.credit_note
        note = await services.credit_notes.create(
            tenant.organization_id,
            read_id(text_of(given.invoice_id), "invoice"),
            given.wanted(),
            key=idempotency_key,
            request=given,
            now=now,
        )
        return await _reply(services, note, urls)

    @post("/estimate", status_code=200, summary="Estimate a credit note")
    async def estimate(
        self, data: JSONBody[EstimateRequest], tenant: Tenant, services: Services
    ) -> EstimateReply:
        """What these items come to with coupons and taxes, and the most that could become of it."""
        given = data.credit_note
        invoice_id = read_id(text_of(given.invoice_id), "invoice")
        items = read_items(given.items)
        return EstimateReply(
            await services.credit_notes.estimate(tenant.organization_id, invoice_id, items)
        )

    @get("/", summary="List credit notes")
    async def list(  # noqa: PLR0913 (Lago's filters)
        self,
        *,
        tenant: Tenant,
        services: Services,
        urls: Urls,
        window: Window,
        external_customer_id: CustomerId = None,
        amount_from: AmountFrom = None,
        amount_to: AmountTo = None,
        billing_entity_codes: BillingEntityCodes = None,
        credit_status: Annotated[Word | None, QueryParameter()] = None,
        currency: Annotated[Word | None, QueryParameter()] = None,
        invoice_number: Annotated[Code | None, QueryParameter()] = None,
        issuing_date_from: DateFrom = None,
        issuing_date_to: DateTo = None,
        reason: Annotated[Word | None, QueryParameter()] = None,
        refund_status: Annotated[Word | None, QueryParameter()] = None,
        search_term: SearchTerm = None,
        self_billed: Annotated[bool | None, QueryParameter()] = None,
    ) -> CreditNotesReply:
        """All final credit notes, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            wanted = CreditNoteFilter(
                customer_id=await customer_id_of(
                    connection, tenant.organization_id, external_customer_id
                ),
                invoice_number=invoice_number or None,
                reasons=one_of(reason, credit_notes.REASONS, field="reason"),
                credit_statuses=one_of(credit_status, _CREDIT_STATUSES, field="credit_status"),
                refund_statuses=one_of(refund_status, REFUND_STATUSES, field="refund_status"),
                currency=currency or None,
                issuing_date_from=read_date(issuing_date_from, field="issuing_date_from"),
                issuing_date_to=read_date(issuing_date_to, field="issuing_date_to"),
                amount_from=amount_from,
                amount_to=amount_to,
                billing_entity_codes=billing_entity_codes,
                self_billed=self_billed,
                search_term=search_term or None,
            )
            page = await credit_notes.find_all(
                connection, tenant.organization_id, wanted, window=window
            )
        return await _page(services, page, window, urls)

    @get("/{note_id:str}", summary="Find a credit note")
    async def find(
        self, note_id: FromPath[str], tenant: Tenant, services: Services, urls: Urls
    ) -> CreditNoteReply:
        """One credit note."""
        wanted = read_id(note_id, "credit_note")
        async with services.database.tenant(tenant.organization_id) as connection:
            note = await credit_notes.get(connection, tenant.organization_id, wanted)
        return await _reply(services, note, urls)

    @put("/{note_id:str}", status_code=200, summary="Change a credit note")
    async def update(
        self,
        note_id: FromPath[str],
        data: JSONBody[CreditNoteUpdateRequest],
        tenant: Tenant,
        services: Services,
        urls: Urls,
        now: Now,
    ) -> CreditNoteReply:
        """Say what has become of its refund, or replace its metadata."""
        wanted = read_id(note_id, "credit_note")
        given = data.credit_note
        metadata = given.metadata
        if isinstance(given.refund_status, str):
            await services.credit_notes.set_refund_status(
                tenant.organization_id, wanted, given.refund_status, now=now
            )
        if isinstance(metadata, dict):
            new = metadata
            await services.credit_notes.change_metadata(
                tenant.organization_id, wanted, lambda _: new, now=now
            )
        async with services.database.tenant(tenant.organization_id) as connection:
            note = await credit_notes.get(connection, tenant.organization_id, wanted)
        return await _reply(services, note, urls)

    @put("/{note_id:str}/void", status_code=200, summary="Void a credit note")
    async def void(
        self, note_id: FromPath[str], tenant: Tenant, services: Services, now: Now, urls: Urls
    ) -> CreditNoteReply:
        """Take back the credit that nobody has used yet."""
        note = await services.credit_notes.void(
            tenant.organization_id, read_id(note_id, "credit_note"), now=now
        )
        return await _reply(services, note, urls)


class CreditNoteMetadata(Controller):
    """What a caller wants to remember of a credit note."""

    path = "/credit_notes/{note_id:str}/metadata"
    tags = ("credit_notes",)
    opt = {"resource": "credit_notes"}  # noqa: RUF012

    @post("/", status_code=200, summary="Replace a credit note's metadata")
    async def replace(
        self,
        note_id: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Have these entries and no others."""
        note = await services.credit_notes.change_metadata(
            tenant.organization_id,
            read_id(note_id, "credit_note"),
            lambda _: data.metadata,
            now=now,
        )
        return MetadataReply(note.metadata)

    @patch("/", status_code=200, summary="Merge a credit note's metadata")
    async def merge(
        self,
        note_id: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Add these entries, or give them new values."""
        note = await services.credit_notes.change_metadata(
            tenant.organization_id,
            read_id(note_id, "credit_note"),
            lambda before: before | data.metadata,
            now=now,
        )
        return MetadataReply(note.metadata)

    @delete("/", status_code=200, summary="Delete a credit note's metadata")
    async def delete_all(
        self, note_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> MetadataReply:
        """Remove all entries; answers null, as Lago does."""
        await services.credit_notes.change_metadata(
            tenant.organization_id, read_id(note_id, "credit_note"), lambda _: {}, now=now
        )
        return MetadataReply(None)

    @delete("/{name:str}", status_code=200, summary="Delete one entry of a credit note's metadata")
    async def delete_entry(
        self,
        note_id: FromPath[str],
        name: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Remove one entry; answers what is left. Raises 404 where there is no such entry."""

        def without(before: dict[str, str | None]) -> dict[str, str | None]:
            if name not in before:
                raise NotFound("metadata")
            return {key: value for key, value in before.items() if key != name}

        note = await services.credit_notes.change_metadata(
            tenant.organization_id, read_id(note_id, "credit_note"), without, now=now
        )
        return MetadataReply(note.metadata)


class CustomerCreditNotes(Controller):
    """The credit notes of one customer."""

    path = "/customers/{external_id:str}/credit_notes"
    tags = ("credit_notes",)
    opt = {"resource": "credit_notes"}  # noqa: RUF012

    @get("/", summary="List a customer's credit notes")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        urls: Urls,
    ) -> CreditNotesReply:
        """The customer's final credit notes, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            customer = await customers.get(connection, tenant.organization_id, external_id)
            wanted = CreditNoteFilter(customer_id=customer.id)
            page = await credit_notes.find_all(
                connection, tenant.organization_id, wanted, window=window
            )
        return await _page(services, page, window, urls)


async def _reply(services: Services, note: CreditNote, urls: Urls) -> CreditNoteReply:
    (body,) = await _bodies(services, [note], urls)
    return CreditNoteReply(body)


async def _page(
    services: Services, page: Page[CreditNote], window: Window, urls: Urls
) -> CreditNotesReply:
    return CreditNotesReply(await _bodies(services, page.items, urls), meta(page, window))


async def _bodies(
    services: Services, notes: Sequence[CreditNote], urls: Urls
) -> list[CreditNoteBody]:
    async with services.database.tenant(urls.organization_id) as connection:
        bodies = await show_credit_notes(connection, urls.organization_id, notes)
        await urls.show(connection, Kind.CREDIT_NOTE, bodies)
    return bodies
