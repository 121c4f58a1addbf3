"""Credit notes, each change of one in three steps: decided, booked, concluded.

What is decided stands in the note as its `step`; the book is asked under a key of the note's own;
what it answered is stored with the number, the news and what it means for the invoice. Each step
may be repeated, so a process that dies between them loses nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

from msgspec import Struct, structs, to_builtins

from invoicing import credit_notes, crediting, invoices, outbox, payments
from invoicing.credit_note_amounts import Item, Parts
from invoicing.credit_notes import CreditNote, CreditNoteFilter
from invoicing.crediting import Terms
from invoicing.errors import Invalid, NotAllowed
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.settlements import CreditNoteRequest
from wallet_service.credit_note_bodies import EstimateBody, show_credit_notes
from wallet_service.database import Database
from wallet_service.errors import Busy, KeyReused
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_news import tell_payment_status
from wallet_service.operations import body_hash
from wallet_service.payments import keyed_id
from wallet_service.unfinished import finish_each
from wallet_service.wallet_terms import METADATA_MAX

__all__ = ["CreditNoteFilter", "CreditNotes", "Wanted"]

REFUND_STATUSES: Final = ("pending", "succeeded", "failed")
_TRIES_MAX: Final = 10
"""How often others may be first with a step of a note before a change of it is refused."""


class Wanted(Struct, frozen=True, kw_only=True):
    """A note that is asked for."""

    items: Sequence[Item]
    parts: Parts
    reason: str = "other"
    description: str | None = None
    metadata: Mapping[str, str | None] = {}


class CreditNotes:
    """Issues, refunds and voids credit notes, and finishes what others have begun."""

    def __init__(self, *, database: Database, book: InvoiceBook) -> None:
        self._database = database
        self._book = book

    async def create(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        wanted: Wanted,
        *,
        key: str | None = None,
        request: Struct | None = None,
        now: datetime,
    ) -> CreditNote:
        """Make a note of an invoice. Under a key, a repeat with the same request gets the first.

        Raises NotFound, NotAllowed, Invalid, KeyReused.
        """
        asked = None if request is None else body_hash(request)
        note_id = keyed_id("credit_note", organization_id, key)
        if wanted.reason not in credit_notes.REASONS:
            raise Invalid.field("reason", "value_is_invalid")
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            note = None
            if note_id is not None:
                note = await credit_notes.find(connection, organization_id, note_id)
                if note is not None and note.request_hash != asked:
                    raise KeyReused("Idempotency-Key")
            if note is None:
                terms = Terms(
                    reason=wanted.reason,
                    description=wanted.description,
                    metadata=wanted.metadata,
                    id=note_id,
                    request_hash=asked,
                )
                note = await crediting.create(
                    connection, invoice, wanted.items, wanted.parts, terms, now=now
                )
        return await self.finish(organization_id, note.id, now=now)

    async def estimate(
        self, organization_id: UUID, invoice_id: UUID, items: Sequence[Item]
    ) -> EstimateBody:
        """What a note of these items would come to. Raises NotFound, NotAllowed and Invalid."""
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id)
            found = await crediting.estimate(connection, invoice, items)
        return EstimateBody.of(invoice, found)

    async def void(self, organization_id: UUID, note_id: UUID, *, now: datetime) -> CreditNote:
        """Take back what nobody has used of a note's credit. Raises NotFound and NotAllowed."""

        def voided(note: CreditNote) -> CreditNote:
            # A key of the book's is for one voiding: what comes back later can only be used.
            is_voidable = note.credit_status == "available" and not note.voided_amount_cents
            if not is_voidable or not note.balance_amount_cents:
                raise NotAllowed("no_voidable_amount")
            return structs.replace(
                note,
                step="void",
                balance_amount_cents=0,
                voided_amount_cents=note.balance_amount_cents,
                updated_at=now,
            )

        return await self._change(organization_id, note_id, voided, now=now)

    async def set_refund_status(
        self, organization_id: UUID, note_id: UUID, status: str, *, now: datetime
    ) -> CreditNote:
        """Say what has become of a refund; one that has succeeded is booked, and stays so.

        Raises NotFound and Invalid.
        """

        def with_status(note: CreditNote) -> CreditNote:
            if status not in REFUND_STATUSES or note.refund_status is None:
                raise Invalid.field("refund_status", "value_is_invalid")
            if note.refund_status == status:
                return note
            if note.refund_status == "succeeded":
                raise Invalid.field("refund_status", "value_is_invalid", "it has been refunded")
            if status == "succeeded":
                return structs.replace(note, step="refund", updated_at=now)
            return structs.replace(note, refund_status=status, updated_at=now)

        return await self._change(organization_id, note_id, with_status, now=now)

    async def _change(
        self,
        organization_id: UUID,
        note_id: UUID,
        change: Callable[[CreditNote], CreditNote],
        *,
        now: datetime,
    ) -> CreditNote:
        """Change a final note. What the book is being asked of it is brought to its end before.

        So of many who ask the same at once one does it, and the others come after it. Raises
        NotFound, what `change` raises, and Busy.
        """
        for _ in range(_TRIES_MAX):
            async with self._database.tenant(organization_id) as connection:
                note = await credit_notes.get(connection, organization_id, note_id, locks=True)
                if note.step is None:
                    changed = change(note)
                    if changed is note:
                        return note
                    await credit_notes.save(connection, changed)
                    break
            await self.finish(organization_id, note_id, now=now)
        else:
            raise Busy
        return await self.finish(organization_id, note_id, now=now)

    async def change_metadata(
        self,
        organization_id: UUID,
        note_id: UUID,
        new: Callable[[dict[str, str | None]], dict[str, str | None]],
        *,
        now: datetime,
    ) -> CreditNote:
        """Replace what is remembered by what `new` makes of it. Raises NotFound and Invalid."""
        async with self._database.tenant(organization_id) as connection:
            note = await credit_notes.get(connection, organization_id, note_id, locks=True)
            metadata = new(note.metadata)
            if len(metadata) > METADATA_MAX:
                raise Invalid.field("metadata", "invalid_count")
            note = structs.replace(note, metadata=metadata, updated_at=now)
            await credit_notes.save(connection, note)
        return note

    async def finish(self, organization_id: UUID, note_id: UUID, *, now: datetime) -> CreditNote:
        """Ask the book what a note's step asks, and conclude it; without a step nothing is done."""
        async with self._database.tenant(organization_id) as connection:
            note = await credit_notes.find(connection, organization_id, note_id)
            assert note is not None, "notes are not deleted"
            invoice = await invoices.find(connection, organization_id, note.invoice_id)
            assert invoice is not None, "a note has an invoice"
            items = (await credit_notes.items_of(connection, organization_id, [note_id]))[note_id]
        if note.step is None:
            return note
        request = _request(note, invoice, sum(item.amount_cents for item in items))
        booked: list[UUID] = []
        if note.step == "refund":
            answer = await self._book.refund_credit_note(
                organization_id, note.customer_id, request, now=now
            )
            booked = answer.transfers
        elif note.step == "void":
            answer = await self._book.void_credit_note(
                organization_id,
                note.customer_id,
                request,
                balance_cents=note.voided_amount_cents,
                now=now,
            )
            booked = answer.transfers
        elif not note.books_nothing:
            answer = await self._book.issue_credit_note(
                organization_id, note.customer_id, request, now=now
            )
            booked = answer.transfers
        async with self._database.tenant(organization_id) as connection:
            return await _conclude(connection, note, booked, now=now)

    async def finish_due(self, *, now: datetime) -> int:
        """Go on with notes that nobody has finished for a while; says with how many."""
        return await finish_each(
            self._database, "credit_note", credit_notes.unfinished, self.finish, now=now
        )


def _request(note: CreditNote, invoice: Invoice, items_cents: int) -> CreditNoteRequest:
    """What the book is asked for.

    What a progressive invoice had billed of the items was its revenue, and no discount of this one.
    """
    lowered = invoice.coupons_amount_cents + invoice.progressive_billing_credit_amount_cents
    adjustment = note.coupons_adjustment_amount_cents
    coupons = adjustment
    if adjustment and invoice.progressive_billing_credit_amount_cents:
        share = Fraction(adjustment * invoice.coupons_amount_cents, lowered)
        coupons = int(share + Fraction(1, 2))
    return CreditNoteRequest(
        credit_note_id=note.id,
        invoice_id=note.invoice_id,
        currency=note.currency,
        # Without items the credit came about with its balance: all of it is revenue's.
        items_cents=note.credit_amount_cents
        if note.books_nothing
        else items_cents - adjustment + coupons,
        coupons_cents=coupons,
        taxes_cents=note.taxes_amount_cents,
        credit_cents=note.credit_amount_cents,
        refund_cents=note.refund_amount_cents,
        offset_cents=note.offset_amount_cents,
    )


async def _conclude(
    connection: Connection, asked: CreditNote, booked: Sequence[UUID], *, now: datetime
) -> CreditNote:
    """Store what the book has answered, once. The invoice is locked before the note, always."""
    organization_id = asked.organization_id
    invoice = await invoices.find(connection, organization_id, asked.invoice_id, locks=True)
    note = await credit_notes.find(connection, organization_id, asked.id, locks=True)
    assert invoice is not None, "a note has an invoice"
    assert note is not None, "notes are not deleted"
    if note.step != asked.step:
        return note
    known = dict(note.settlement or {})
    known[str(note.step)] = [str(transfer) for transfer in booked]
    changed = structs.replace(note, step=None, settlement=known, updated_at=now)
    if note.step == "refund":
        changed = structs.replace(changed, refund_status="succeeded", refunded_at=now)
    elif note.step == "void":
        # An invoice that was voided meanwhile has given back what it had used.
        status = "available" if note.balance_amount_cents else "voided"
        changed = structs.replace(changed, credit_status=status, voided_at=now)
    else:
        return await _issue(connection, changed, invoice, now=now)
    await credit_notes.save(connection, changed)
    return changed


async def _issue(
    connection: Connection, note: CreditNote, invoice: Invoice, *, now: datetime
) -> CreditNote:
    """Make a note final: with its number, its credit to be used, and less due of the invoice."""
    note = await credit_notes.take_number(connection, note, invoice)
    note = structs.replace(
        note,
        status="finalized",
        credit_status="available" if note.credit_amount_cents else None,
        balance_amount_cents=note.credit_amount_cents,
        refund_status="pending" if note.refund_amount_cents else None,
    )
    await credit_notes.save(connection, note)
    if note.offset_amount_cents:
        after = await payments.count_as_paid(
            connection, invoice, offset_cents=note.offset_amount_cents, now=now
        )
        await tell_payment_status(connection, before=invoice, after=after, now=now)
    (body,) = await show_credit_notes(connection, note.organization_id, [note])
    await outbox.add(
        connection,
        note.organization_id,
        "credit_note.created",
        object_type="credit_note",
        object_id=note.id,
        payload=to_builtins(body),
        now=now,
    )
    return note
