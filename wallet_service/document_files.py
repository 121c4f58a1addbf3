"""Documents on demand: read what is stored, set it, and give links to it.

Setting a page costs some tens of milliseconds of CPU, so it happens in threads, few at once; who
comes when too many wait is told to come again. What sets pages is loaded with the first of them.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wallet_service import document_links, document_sources
from wallet_service.database import Database
from wallet_service.document_forms import MEDIA_TYPES, File, Form, file_name
from wallet_service.document_links import Link
from wallet_service.document_sources import Paper
from wallet_service.documents.document import Kind, State
from wallet_service.errors import Busy, Invalid, NotAllowed, NotFound

if TYPE_CHECKING:
    from wallet_service.documents.pdf import Renderer

__all__ = ["Documents"]

AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 32
LINES_MAX: Final = 2000
"""Lines of a PDF; an invoice that has more can be had as CSV and JSON."""

_SOURCES: Final = {
    Kind.INVOICE: document_sources.invoice_paper,
    Kind.CREDIT_NOTE: document_sources.credit_note_paper,
    Kind.PAYMENT_RECEIPT: document_sources.receipt_paper,
}
_EINVOICES: Final = frozenset({Form.XML, Form.UBL})


class Documents:
    """Makes documents of what is stored."""

    def __init__(self, database: Database, *, fonts: str, link_lifetime_s: int) -> None:
        self._database = database
        self._fonts = [Path(fonts)] if fonts else []
        self._lifetime = timedelta(seconds=link_lifetime_s)
        self._renderer: Renderer | None = None
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def file(
        self, organization_id: UUID, kind: Kind, document_id: UUID, *, form: Form
    ) -> File:
        """A document in a form. Raises NotFound, Invalid, NotAllowed, Busy."""
        async with self._database.tenant(organization_id, as_snapshot=True) as connection:
            paper = await _SOURCES[kind](connection, organization_id, document_id)
        _check(paper, form)
        if self._waiting >= WAITING_MAX:
            raise Busy("too many documents are being made")
        self._waiting += 1
        try:
            async with self._turns:
                content = await asyncio.to_thread(self._made, paper, form)
        finally:
            self._waiting -= 1
        return File(
            name=file_name(paper.document, form),
            media_type=MEDIA_TYPES[form],
            content=content,
        )

    async def link(
        self,
        organization_id: UUID,
        kind: Kind,
        document_id: UUID,
        *,
        form: Form,
        now: datetime,
    ) -> str:
        """The word that opens a document without a key, as the last part of an address.

        The document is made once, so that what is answered can be had.
        """
        await self.file(organization_id, kind, document_id, form=form)
        async with self._database.tenant(organization_id) as connection:
            secret = await document_links.secret_of(connection, organization_id, now=now)
        opened = Link(
            organization_id=organization_id,
            kind=kind,
            form=form,
            document_id=document_id,
            expires_at=now + self._lifetime,
        )
        return document_links.sign(opened, secret)

    async def open(self, token: str, *, now: datetime) -> File:
        """What a link opens. Raises NotFound where it is none of ours, or too old."""
        claimed = document_links.read(token)
        if claimed is None or claimed[0].expires_at <= now:
            raise NotFound("document")
        link, said, signature = claimed
        async with self._database.tenant(link.organization_id) as connection:
            secret = await document_links.find_secret(connection, link.organization_id)
        if secret is None or not document_links.is_signed(said, signature, secret):
            raise NotFound("document")
        return await self.file(link.organization_id, link.kind, link.document_id, form=link.form)

    def _made(self, paper: Paper, form: Form) -> bytes:
        """Make the bytes; runs in a thread."""
        from wallet_service.documents import einvoices, tables  # noqa: PLC0415

        document = paper.document
        if form is Form.CSV:
            return tables.as_csv(document)
        if form is Form.JSON:
            return tables.as_json(document)
        if form in _EINVOICES:
            syntax = einvoices.Syntax.UBL if form is Form.UBL else einvoices.Syntax.CII
            return einvoices.einvoice(document, syntax)
        carries_data = paper.einvoicing and document.state is State.FINAL
        if carries_data and not einvoices.missing(document):
            xml = einvoices.einvoice(document, einvoices.Syntax.CII)
            return self._pages().facturx(document, xml)
        return self._pages().pdf(document)

    def _pages(self) -> "Renderer":
        if self._renderer is None:
            from wallet_service.documents.pdf import Renderer  # noqa: PLC0415

            self._renderer = Renderer(self._fonts)
        return self._renderer


def _check(paper: Paper, form: Form) -> None:
    """Refuse what cannot be made, by name."""
    if form is Form.PDF and len(paper.document.lines) > LINES_MAX:
        raise Invalid("fees", "too_many_lines", f"a PDF has {LINES_MAX} lines at most")
    if form not in _EINVOICES:
        return
    if paper.document.state is State.DRAFT:
        raise NotAllowed("is_draft")
    from wallet_service.documents import einvoices  # noqa: PLC0415

    lacking = einvoices.missing(paper.document)
    if lacking:
        raise Invalid(lacking[0], "value_is_mandatory", f"an e-invoice needs: {', '.join(lacking)}")
