"""Final invoices that nobody has paid are taken back: the intent, the book, the outcome."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import structs

from invoicing import (
    credit_notes,
    crediting,
    deductions,
    invoice_credits,
    invoices,
    outbox,
    payments,
    progressive_billing,
)
from invoicing.crediting import Terms
from invoicing.errors import InvoicingError, NotAllowed
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.settlements import Settlement, VoidRequest
from wallet_service import request_keys
from wallet_service.database import Database
from wallet_service.errors import WalletError
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_payloads import payload_of
from wallet_service.invoice_recomputing import InvoiceRecomputer
from wallet_service.request_keys import RequestKey

__all__ = ["InvoiceVoider"]


class InvoiceVoider:
    """Takes invoices back, with all that the book had booked for them."""

    def __init__(
        self, *, database: Database, book: InvoiceBook, recomputer: InvoiceRecomputer
    ) -> None:
        self._database = database
        self._book = book
        self._recomputer = recomputer

    async def void(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Take a final invoice back that nobody has paid, with all that the book had booked.

        Coupons and credit notes may be used again, grants get back what they paid. Under a key, a
        repeat gets the invoice that it has voided. Raises NotFound, NotAllowed (`not_voidable`),
        KeyReused or Unavailable.
        """
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            is_repeat = await request_keys.find(connection, organization_id, key) is not None
            if is_repeat and invoice.status == "voided":
                return invoice
            if not await _is_voidable(connection, invoice):
                raise NotAllowed("not_voidable")
            await request_keys.claim(connection, organization_id, key, invoice_id, now=now)
            assert invoice.settlement is not None, "final"
            voiding = {**invoice.settlement, "voiding": True}
            invoice = structs.replace(invoice, settlement=voiding, updated_at=now)
            await invoices.save(connection, invoice)
        return await self.finish(invoice, now=now)

    async def finish(self, invoice: Invoice, *, now: datetime) -> Invoice:
        """Go on with an invoice that is being voided. Raises Unavailable."""
        organization_id = invoice.organization_id
        assert invoice.settlement is not None, "final"
        request = VoidRequest(
            invoice_id=invoice.id,
            currency=invoice.currency,
            settlement=msgspec.convert(invoice.settlement, Settlement),
        )
        voided = await self._book.void(organization_id, invoice.customer_id, request, now=now)
        async with self._database.tenant(organization_id) as connection:
            locked = await invoices.get(connection, organization_id, invoice.id, locks=True)
            if locked.status == "voided":
                return locked
            kept = {**(locked.settlement or {}), "voided": msgspec.to_builtins(voided)}
            kept.pop("voiding", None)
            result = structs.replace(
                locked, status="voided", voided_at=now, settlement=kept, updated_at=now
            )
            await invoices.save(connection, result)
            if voided.credited_cents:  # no grant was left to take back what it had paid
                await crediting.create_booked(
                    connection, result, voided.credited_cents, Terms(), now=now
                )
            used = await invoice_credits.of_invoices(connection, organization_id, [invoice.id])
            await deductions.give_back(
                connection, organization_id, invoice.id, used[invoice.id], now=now
            )
            await outbox.add(
                connection,
                organization_id,
                "invoice.voided",
                object_type="invoice",
                object_id=invoice.id,
                payload=payload_of(result),
                now=now,
            )
            drafts = await progressive_billing.drafts_taking_off(connection, result)
        for draft_id in drafts:  # they are computed anew when they become final, too
            with suppress(InvoicingError, WalletError):
                await self._recomputer.recompute(organization_id, draft_id, final=False, now=now)
        return result


async def _is_voidable(connection: Connection, invoice: Invoice) -> bool:
    """Whether nobody has paid an invoice, nor credited anything of it, nor is just doing so.

    What its settlement credited is reversed with it, so a note of that keeps it as it is: voided,
    the note has taken that credit back already.
    """
    if invoice.status != "finalized" or invoice.total_paid_amount_cents:
        return False
    if await payments.free_due(connection, invoice) != invoice.total_due_amount_cents:
        return False
    if invoice.invoice_type == "progressive_billing" and await progressive_billing.is_taken_off(
        connection, invoice.organization_id, invoice.id
    ):
        return False
    notes = await credit_notes.of_invoice(connection, invoice.organization_id, invoice.id)
    return all(
        note.voided_amount_cents == note.total_amount_cents
        and (not note.books_nothing or not note.total_amount_cents)
        for note in notes
    )
