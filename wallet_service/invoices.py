"""What is done with invoices: billed, computed anew, finalised, voided, made again, made by hand.

Whatever moves money is three steps: the intent is stored, the book is asked under a key that is
the invoice's own, and the outcome is stored. A step that was made is not made again, so each may
be repeated by whoever comes next (`wallet_service/jobs/billing.py`).
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from invoicing import invoices
from invoicing.errors import NotAllowed, NotFound
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.tax_services import TaxService
from wallet_service import request_keys
from wallet_service.advance_billing import AdvanceBilling
from wallet_service.billing import Billing
from wallet_service.billing_rounds import Progress, Run, Scope
from wallet_service.credit_notes import CreditNotes
from wallet_service.database import Database
from wallet_service.errors import Unavailable
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_previews import InvoicePreviews, Preview, PreviewRequest
from wallet_service.invoice_recomputing import InvoiceRecomputer
from wallet_service.invoice_voiding import InvoiceVoider
from wallet_service.invoice_writing import total_all
from wallet_service.one_off_invoices import OneOffRequest, build_one_off
from wallet_service.progressive_billing import ProgressiveBilling
from wallet_service.request_keys import RequestKey
from wallet_service.tax_services import ask
from wallet_service.unused_credits import UnusedCredits

__all__ = ["Invoices"]


class Invoices:
    """Everything that changes an invoice."""

    def __init__(
        self,
        *,
        database: Database,
        book: InvoiceBook,
        credit_notes: CreditNotes,
        tax_service: TaxService | None = None,
    ) -> None:
        self._database = database
        self._tax_service = tax_service
        self.finisher = InvoiceFinisher(book=book)
        self.billing = Billing(
            database=database,
            finisher=self.finisher,
            unused=UnusedCredits(credit_notes=credit_notes),
            tax_service=tax_service,
        )
        self.progressive = ProgressiveBilling(
            billing=self.billing, finisher=self.finisher, tax_service=tax_service
        )
        self.advance = AdvanceBilling(finisher=self.finisher, tax_service=tax_service)
        self._recomputer = InvoiceRecomputer(
            database=database, billing=self.billing, tax_service=tax_service
        )
        self._voider = InvoiceVoider(database=database, book=book, recomputer=self._recomputer)
        self._previews = InvoicePreviews(
            database=database, billing=self.billing, tax_service=tax_service
        )

    async def bill(
        self,
        opened: Opening,
        *,
        until: datetime,
        now: datetime,
        organization_id: UUID | None = None,
        scope: Scope = "all",
        on_progress: Callable[[Progress], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> Progress:
        """Bill what is paid in advance, then all that is due by `until` (`Billing.run`)."""
        await self.advance.run(opened, now=now, check=check)
        return await self.billing.run(
            opened,
            until=until,
            now=now,
            organization_id=organization_id,
            scope=scope,
            on_progress=on_progress,
            check=check,
        )

    # -- drafts

    async def refresh(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Compute a draft anew. Raises NotFound, NotAllowed (`invalid_status`), Unavailable."""
        return await self._recomputer.recompute(organization_id, invoice_id, final=False, now=now)

    async def finalize(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Make a draft final. Raises NotFound, NotAllowed (`invalid_status`) or Unavailable.

        Where the book cannot be asked now, the worker goes on with it.
        """
        found = await self._find(organization_id, invoice_id)
        if found.status != "finalizing":
            found = await self._recomputer.recompute(
                organization_id, invoice_id, final=True, now=now
            )
        return await self._finish(found, now=now)

    async def retry(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Go on with an invoice that could not be finished. Raises NotFound or NotAllowed.

        One that failed is computed anew, and its taxes are asked for once more.
        """
        found = await self._find(organization_id, invoice_id)
        if found.status not in {"finalizing", "failed"}:
            raise NotAllowed("invalid_status")
        if found.status == "failed":
            found = await self._recomputer.recompute(
                organization_id, invoice_id, final=True, now=now, status="failed"
            )
        return await self._finish(found, now=now)

    async def _finish(self, invoice: Invoice, *, now: datetime) -> Invoice:
        organization_id = invoice.organization_id
        if invoice.status != "finalizing":
            return invoice
        done = await self.finisher.finish(self._opening(organization_id), [invoice], now=now)
        if done:
            return done[0]
        found = await self._find(organization_id, invoice.id)
        if found.status == "finalizing":
            raise Unavailable("the invoice is fixed, and will be settled in a moment")
        return found

    def _opening(self, organization_id: UUID) -> Opening:
        @asynccontextmanager
        async def opened() -> AsyncGenerator[Connection]:
            async with self._database.tenant(organization_id) as connection:
                yield connection

        return opened

    async def _made(self, organization_id: UUID, key: RequestKey | None) -> Invoice | None:
        """What was made under a key before. Raises KeyReused."""
        if key is None:
            return None
        async with self._database.tenant(organization_id) as connection:
            made = await request_keys.find(connection, organization_id, key)
        return None if made is None else await self._find(organization_id, made)

    async def _find(self, organization_id: UUID, invoice_id: UUID) -> Invoice:
        async with self._database.tenant(organization_id) as connection:
            found = await invoices.find(connection, organization_id, invoice_id)
        if found is None:
            raise NotFound("invoice")
        return found

    # -- final ones

    async def void(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Take a final invoice back that nobody has paid (`InvoiceVoider.void`)."""
        return await self._voider.void(organization_id, invoice_id, key=key, now=now)

    async def finish_void(self, invoice: Invoice, *, now: datetime) -> Invoice:
        """Go on with an invoice that is being voided. Raises Unavailable."""
        return await self._voider.finish(invoice, now=now)

    async def regenerate(
        self,
        organization_id: UUID,
        voided_invoice_id: UUID,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Bill again what a voided invoice had billed, as it is known now.

        Under a key, a repeat gets the first one's. Raises NotFound, NotAllowed (`invalid_status`,
        `already_regenerated`), KeyReused or Unavailable.
        """
        made = await self._made(organization_id, key)
        if made is None:
            new_id = await self._recomputer.regenerate(
                organization_id, voided_invoice_id, key=key, now=now
            )
            made = await self._find(organization_id, new_id)
        return await self._finish(made, now=now)

    # -- not made, and made by hand

    async def preview(
        self, organization_id: UUID, request: PreviewRequest, *, now: datetime
    ) -> Preview:
        """The next invoice of a customer, as it would be; nothing is stored.

        Raises NotFound (customer, plan, subscription, coupon), Invalid, or Unavailable where a tax
        service does not say the taxes.
        """
        return await self._previews.preview(organization_id, request, now=now)

    async def create_one_off(
        self,
        organization_id: UUID,
        request: OneOffRequest,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Bill add-ons by hand. Under a key, a repeat gets the invoice that there is.

        Raises NotFound (customer), Invalid, KeyReused or Unavailable.
        """
        made = await self._made(organization_id, key)
        if made is not None:
            return await self._finish(made, now=now)
        run = Run(until=now, now=now, organization_id=organization_id)
        async with self._database.tenant(organization_id) as connection:
            built = await build_one_off(
                connection, organization_id, request, run.catalogue, now=now
            )
        (built,) = await ask(self._tax_service, [built])
        invoice_id = built.invoice.id
        async with self._database.tenant(organization_id) as connection:
            first = await request_keys.claim(connection, organization_id, key, invoice_id, now=now)
            if first == invoice_id:
                await total_all(connection, run.taxes, [built], locks=True, now=now)
        return await self._finish(await self._find(organization_id, first), now=now)
