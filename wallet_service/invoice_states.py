"""What is said of final invoices by those who send them: paid, not paid, or not owed after all."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct, structs

from invoicing import credit_notes, crediting, fees, invoice_changes, invoices, outbox, payments
from invoicing.credit_note_amounts import Item, Parts
from invoicing.crediting import Terms
from invoicing.errors import Invalid, NotAllowed
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.records import Connection
from wallet_service import request_keys
from wallet_service.credit_notes import CreditNotes
from wallet_service.database import Database
from wallet_service.invoice_news import tell_payment_status
from wallet_service.invoice_payloads import payload_of
from wallet_service.payments import Payments
from wallet_service.request_keys import RequestKey

__all__ = ["PAYMENT_STATUSES", "CreditedParts", "InvoiceStates"]

log: Final = structlog.get_logger("wallet_service.invoices")

PAYMENT_STATUSES: Final = ("pending", "succeeded", "failed")
_REFERENCE: Final = "payment_status"
_NOT_BY_NOTE: Final = frozenset({"credit", "progressive_billing"})
"""A note would give back as well what was debited of usage that its period bills yet."""
"""What a payment refers to that is only said to have been made."""


class CreditedParts(Struct, frozen=True, kw_only=True):
    """What becomes of an invoice's amount that is voided by a credit note; None: all that is left.

    What is still due of the invoice is offset, always.
    """

    credit_cents: int | None = None
    refund_cents: int | None = None


class InvoiceStates:
    """Everything that is said of an invoice and changes no line of it."""

    def __init__(
        self, *, database: Database, payments: Payments, credit_notes: CreditNotes
    ) -> None:
        self._database = database
        self._payments = payments
        self._credit_notes = credit_notes

    async def set_payment_status(
        self, organization_id: UUID, invoice_id: UUID, status: str, *, now: datetime
    ) -> Invoice:
        """Say whether an invoice is paid. `succeeded` books a payment of all that is due of it.

        Raises NotFound, NotAllowed and Invalid; what is paid stays so, but for a credit note.
        """
        if status not in PAYMENT_STATUSES:
            raise Invalid.field("payment_status", "value_is_invalid")
        async with self._database.tenant(organization_id) as connection:
            before = await invoices.get(connection, organization_id, invoice_id, locks=True)
            if before.status == "draft":
                raise NotAllowed("payment_status_update_on_draft_invoice")
            if status == before.payment_status:
                return before
            if before.payment_status == "succeeded":
                raise Invalid.field("payment_status", "value_is_invalid", "it has been paid")
            if status != "succeeded":
                after = structs.replace(before, payment_status=status, updated_at=now)
                await invoices.save(connection, after)
                await tell_payment_status(connection, before=before, after=after, now=now)
                return after
        await self._payments.pay_rest(organization_id, invoice_id, reference=_REFERENCE, now=now)
        async with self._database.tenant(organization_id) as connection:
            return await invoices.get(connection, organization_id, invoice_id)

    async def lose_dispute(
        self, organization_id: UUID, invoice_id: UUID, *, now: datetime
    ) -> Invoice:
        """Note that a dispute about an invoice is lost. Raises NotFound and NotAllowed."""
        async with self._database.tenant(organization_id) as connection:
            invoice, is_news = await invoice_changes.lose_dispute(
                connection, organization_id, invoice_id, now=now
            )
            if is_news:
                await _tell(connection, invoice, "invoice.payment_dispute_lost", now=now)
        return invoice

    async def delete_draft(
        self, organization_id: UUID, invoice_id: UUID, *, now: datetime
    ) -> Invoice:
        """Put a draft away. Raises NotFound and NotAllowed."""
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoice_changes.delete_draft(
                connection, organization_id, invoice_id, now=now
            )
            await _tell(connection, invoice, "invoice.deleted", now=now)
        return invoice

    async def void_by_credit_note(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        parts: CreditedParts,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Void an invoice that may have been paid: a credit note gives back all that is left of it.

        May be repeated: what was credited is not credited again, and under a key the repeat gets
        the voided invoice. Raises NotFound, Invalid, KeyReused, and NotAllowed (`not_voidable`).
        """
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            is_repeat = await request_keys.find(connection, organization_id, key) is not None
            if is_repeat and invoice.status == "voided":
                return invoice
            if invoice.status != "finalized" or invoice.invoice_type in _NOT_BY_NOTE:
                raise NotAllowed("not_voidable")
            await request_keys.claim(connection, organization_id, key, invoice_id, now=now)
            await _credit_all(connection, invoice, parts, now=now)
            notes = await credit_notes.of_invoice(connection, organization_id, invoice_id)
        for note in notes:
            if note.step is not None:  # this one's, or that of who asks the same at once
                await self._credit_notes.finish(organization_id, note.id, now=now)
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            if invoice.status == "voided":
                return invoice
            if invoice.total_due_amount_cents:  # paid or credited otherwise meanwhile
                raise NotAllowed("not_voidable")
            voided = structs.replace(invoice, status="voided", voided_at=now, updated_at=now)
            await invoices.save(connection, voided)
            await _tell(connection, voided, "invoice.voided", now=now)
        return voided


async def _credit_all(
    connection: Connection, invoice: Invoice, parts: CreditedParts, *, now: datetime
) -> None:
    """Decide on a note of all that is left of an invoice, if anything is.

    Raises NotAllowed where more is due than is left to be credited: nothing could pay that.
    """
    organization_id, invoice_id = invoice.organization_id, invoice.id
    lines = (await fees.of_invoices(connection, organization_id, [invoice_id]))[invoice_id]
    items = await _left_of(connection, invoice, lines)
    due = await payments.free_due(connection, invoice)
    if not items and not due:
        return
    found = await crediting.estimate(connection, invoice, items)
    if due > found.amounts.total_cents:
        raise NotAllowed("not_voidable")
    offset = due
    left = found.amounts.total_cents - offset
    refund = parts.refund_cents
    credit = left - (refund or 0) if parts.credit_cents is None else parts.credit_cents
    refund = left - credit if refund is None else refund
    if credit < 0 or refund < 0 or credit + refund != left:
        named = "credit_amount" if parts.credit_cents is not None else "refund_amount"
        raise Invalid.field(named, "value_is_out_of_range", f"both are to come to {left}")
    await crediting.create(
        connection,
        invoice,
        items,
        Parts(credit_cents=credit, refund_cents=refund, offset_cents=offset),
        Terms(reason="other"),
        now=now,
    )


async def _left_of(connection: Connection, invoice: Invoice, lines: Sequence[Fee]) -> list[Item]:
    """What no note has credited of an invoice's lines."""
    before = await crediting.credited_before(connection, invoice)
    left = {fee.id: before.left_of(fee) for fee in lines}
    return [
        Item(fee_id=fee_id, amount_cents=cents, precise_amount_cents=Decimal(cents))
        for fee_id, cents in left.items()
        if cents
    ]


async def _tell(
    connection: Connection, invoice: Invoice, webhook_type: str, *, now: datetime
) -> None:
    await outbox.add(
        connection,
        invoice.organization_id,
        webhook_type,
        object_type="invoice",
        object_id=invoice.id,
        payload=payload_of(invoice),
        now=now,
    )
