"""Documents: invoices, credit notes and receipts as files, and the links that open them.

`POST …/download` answers with an address that opens in a browser, without a key, for a day;
`GET …/document.pdf` and its siblings answer with the file itself.
"""

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter

from invoicing import credit_notes, invoices, payment_receipts
from wallet_service import services
from wallet_service.api import news
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.document_urls import LINK_PATH, base_url
from wallet_service.api.errors import ErrorBody
from wallet_service.api.payment_receipts import show_receipts
from wallet_service.api.schemas.credit_notes import CreditNoteReply
from wallet_service.api.schemas.formats import read_id
from wallet_service.api.schemas.invoices import InvoiceReply
from wallet_service.api.schemas.payments import ReceiptReply
from wallet_service.credit_note_bodies import show_credit_notes
from wallet_service.document_forms import File, Form
from wallet_service.documents.document import Kind
from wallet_service.invoice_bodies import show_invoice

Asked: TypeAlias = Request[Any, Any, Any]
Syntax: TypeAlias = Annotated[
    Literal["cii", "ubl"],
    QueryParameter(description="Of `document.xml`: the syntax of EN 16931 that it is in."),
]


class InvoiceDocuments(Controller):
    """Invoices as files."""

    path = "/invoices"
    tags = ("documents",)
    opt = {"resource": "documents"}  # noqa: RUF012

    @post(
        ["/{invoice_id:str}/download", "/{invoice_id:str}/download_pdf"],
        status_code=200,
        summary="Make an invoice's PDF",
    )
    async def pdf(
        self,
        invoice_id: FromPath[str],
        request: Asked,
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> InvoiceReply:
        """Make the PDF and answer where it is: `file_url` opens it, for a day."""
        found = read_id(invoice_id, "invoice")
        link = await _link(request, services, tenant, Kind.INVOICE, found, Form.PDF, now)
        return await _invoice(services, tenant, found, now=now, file_url=link)

    @post("/{invoice_id:str}/download_xml", status_code=200, summary="Make an e-invoice")
    async def xml(
        self,
        invoice_id: FromPath[str],
        request: Asked,
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> InvoiceReply:
        """Make the e-invoice (EN 16931, CII) and answer where it is: `xml_url`."""
        found = read_id(invoice_id, "invoice")
        link = await _link(request, services, tenant, Kind.INVOICE, found, Form.XML, now)
        return await _invoice(services, tenant, found, now=now, xml_url=link)

    @get(
        [
            "/{invoice_id:str}/document.pdf",
            "/{invoice_id:str}/document.xml",
            "/{invoice_id:str}/document.csv",
            "/{invoice_id:str}/document.json",
        ],
        summary="An invoice as a file",
        media_type="application/octet-stream",
    )
    async def file(
        self,
        invoice_id: FromPath[str],
        request: Asked,
        tenant: Tenant,
        services: Services,
        syntax: FromQuery[Syntax] = "cii",
    ) -> Response[bytes]:
        """The file itself, in the form that the address ends with."""
        found = read_id(invoice_id, "invoice")
        return await _file(request, services, tenant, Kind.INVOICE, found, syntax)


class CreditNoteDocuments(Controller):
    """Credit notes as files."""

    path = "/credit_notes"
    tags = ("documents",)
    opt = {"resource": "documents"}  # noqa: RUF012

    @post(
        ["/{note_id:str}/download", "/{note_id:str}/download_pdf"],
        status_code=200,
        summary="Make a credit note's PDF",
    )
    async def pdf(
        self, note_id: FromPath[str], request: Asked, tenant: Tenant, services: Services, now: Now
    ) -> CreditNoteReply:
        """Make the PDF and answer where it is: `file_url` opens it, for a day."""
        found = read_id(note_id, "credit_note")
        link = await _link(request, services, tenant, Kind.CREDIT_NOTE, found, Form.PDF, now)
        return await _credit_note(services, tenant, found, now=now, file_url=link)

    @post("/{note_id:str}/download_xml", status_code=200, summary="Make an e-credit-note")
    async def xml(
        self, note_id: FromPath[str], request: Asked, tenant: Tenant, services: Services, now: Now
    ) -> CreditNoteReply:
        """Make the credit note as EN 16931 (CII) and answer where it is: `xml_url`."""
        found = read_id(note_id, "credit_note")
        link = await _link(request, services, tenant, Kind.CREDIT_NOTE, found, Form.XML, now)
        return await _credit_note(services, tenant, found, now=now, xml_url=link)

    @get(
        [
            "/{note_id:str}/document.pdf",
            "/{note_id:str}/document.xml",
            "/{note_id:str}/document.csv",
            "/{note_id:str}/document.json",
        ],
        summary="A credit note as a file",
        media_type="application/octet-stream",
    )
    async def file(
        self,
        note_id: FromPath[str],
        request: Asked,
        tenant: Tenant,
        services: Services,
        syntax: FromQuery[Syntax] = "cii",
    ) -> Response[bytes]:
        """The file itself, in the form that the address ends with."""
        found = read_id(note_id, "credit_note")
        return await _file(request, services, tenant, Kind.CREDIT_NOTE, found, syntax)


class PaymentReceiptDocuments(Controller):
    """Payment receipts as files."""

    path = "/payment_receipts"
    tags = ("documents",)
    opt = {"resource": "documents"}  # noqa: RUF012

    @post(
        ["/{receipt_id:str}/download", "/{receipt_id:str}/download_pdf"],
        status_code=200,
        summary="Make a receipt's PDF",
    )
    async def pdf(
        self,
        receipt_id: FromPath[str],
        request: Asked,
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> ReceiptReply:
        """Make the PDF and answer where it is: `file_url` opens it, for a day."""
        found = read_id(receipt_id, "payment_receipt")
        link = await _link(request, services, tenant, Kind.PAYMENT_RECEIPT, found, Form.PDF, now)
        async with services.database.tenant(tenant.organization_id) as connection:
            receipt = await payment_receipts.get(connection, tenant.organization_id, found)
            (body,) = await show_receipts(connection, [receipt])
            body.file_url = link
            await news.tell(connection, "payment_receipt.generated", receipt, body, now=now)
        return ReceiptReply(body)

    @get(
        [
            "/{receipt_id:str}/document.pdf",
            "/{receipt_id:str}/document.csv",
            "/{receipt_id:str}/document.json",
        ],
        summary="A receipt as a file",
        media_type="application/octet-stream",
    )
    async def file(
        self, receipt_id: FromPath[str], request: Asked, tenant: Tenant, services: Services
    ) -> Response[bytes]:
        """The file itself, in the form that the address ends with."""
        found = read_id(receipt_id, "payment_receipt")
        return await _file(request, services, tenant, Kind.PAYMENT_RECEIPT, found)


@get(
    f"{LINK_PATH}/{{token:str}}",
    summary="Open a link to a document",
    responses={
        status: ResponseSpec(ErrorBody, description=text, generate_examples=False)
        for status, text in (
            (400, "The address cannot be read."),
            (404, "No link, or one that has ended."),
            (405, "What the thing has become forbids this."),
            (422, "The document cannot be made in this form any more."),
            (503, "Not now; the same request may succeed later."),
        )
    },
    tags=["documents"],
    media_type="application/octet-stream",
)
async def open_link(token: FromPath[str], state: State) -> Response[bytes]:
    """The document that a `file_url` or `xml_url` leads to. No key: the link is signed."""
    opened: services.Services = state.services
    return _answer(await opened.documents.open(token, now=state.clock()))


async def _invoice(
    services: services.Services,
    tenant: Tenant,
    invoice_id: UUID,
    *,
    now: Now,
    file_url: str | None = None,
    xml_url: str | None = None,
) -> InvoiceReply:
    async with services.database.tenant(tenant.organization_id, as_snapshot=True) as connection:
        invoice = await invoices.get(connection, tenant.organization_id, invoice_id)
        body = await show_invoice(connection, invoice)
        body.file_url, body.xml_url = file_url, xml_url
        if file_url:
            await news.tell(connection, "invoice.generated", invoice, body, now=now)
    return InvoiceReply(body)


async def _credit_note(
    services: services.Services,
    tenant: Tenant,
    note_id: UUID,
    *,
    now: Now,
    file_url: str | None = None,
    xml_url: str | None = None,
) -> CreditNoteReply:
    async with services.database.tenant(tenant.organization_id) as connection:
        note = await credit_notes.get(connection, tenant.organization_id, note_id)
        (body,) = await show_credit_notes(connection, tenant.organization_id, [note])
        body.file_url, body.xml_url = file_url, xml_url
        if file_url:
            await news.tell(connection, "credit_note.generated", note, body, now=now)
    return CreditNoteReply(body)


async def _file(
    request: Asked,
    services: services.Services,
    tenant: Tenant,
    kind: Kind,
    document_id: UUID,
    syntax: Literal["cii", "ubl"] = "cii",
) -> Response[bytes]:
    """The document, in the form that the address ends with."""
    ending = request.url.path.rpartition(".")[2]
    form = Form.UBL if ending == Form.XML and syntax == "ubl" else Form(ending)
    made = await services.documents.file(tenant.organization_id, kind, document_id, form=form)
    return _answer(made)


async def _link(
    request: Asked,
    services: services.Services,
    tenant: Tenant,
    kind: Kind,
    document_id: UUID,
    form: Form,
    now: Now,
) -> str:
    token = await services.documents.link(
        tenant.organization_id, kind, document_id, form=form, now=now
    )
    return f"{base_url(request, services.settings.public_url)}{LINK_PATH}/{token}"


def _answer(made: File) -> Response[bytes]:
    headers = {"Content-Disposition": f'inline; filename="{made.name}"'}
    return Response(made.content, media_type=made.media_type, headers=headers)
