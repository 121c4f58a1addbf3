"""Making credit notes: by hand, for days that were not used, and with a draft invoice.

All of it stands in the caller's transaction, which has locked the invoice: what is credited of it
is counted under that lock, notes that are under way included.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct, field, structs

from invoicing import credit_notes, payments
from invoicing import fees as fee_lines
from invoicing.credit_note_amounts import (
    Amounts,
    Before,
    Item,
    Limits,
    Parts,
    TaxKey,
    amounts_of,
    check_parts,
    limits_of,
    parts_of,
    within,
)
from invoicing.credit_notes import CreditNote, CreditNoteItem
from invoicing.errors import NotAllowed, NotFound
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.records import Connection
from ledger.ids import new_uuid

_NOTHING: Final = Amounts(
    items=[],
    coupons_adjustment_amount_cents=0,
    sub_total_excluding_taxes_amount_cents=0,
    taxes_amount_cents=0,
    taxes_rate=Decimal(0),
    applied_taxes=[],
)


class Terms(Struct, frozen=True, kw_only=True):
    """What is said of a note beside its amounts."""

    reason: str = "other"
    description: str | None = None
    metadata: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    id: UUID | None = None
    request_hash: bytes | None = None


class Estimate(Struct, frozen=True, kw_only=True):
    """What items would come to, and what could become of that."""

    amounts: Amounts
    limits: Limits


async def estimate(connection: Connection, invoice: Invoice, items: Sequence[Item]) -> Estimate:
    """What crediting these items would give. Raises NotAllowed, NotFound (a fee) and Invalid."""
    _check_creditable(invoice)
    fees = await _fees_of(connection, invoice)
    _check_fees(items, fees)
    before = await credited_before(connection, invoice)
    amounts = amounts_of(items, invoice=invoice, fees=fees, before=before)
    limits = limits_of(amounts.total_cents, invoice=invoice, before=before)
    due = await payments.free_due(connection, invoice)
    return Estimate(
        amounts=amounts,
        limits=structs.replace(limits, offsettable_cents=min(limits.offsettable_cents, due)),
    )


async def create(
    connection: Connection,
    invoice: Invoice,
    items: Sequence[Item],
    parts: Parts,
    terms: Terms,
    *,
    now: datetime,
) -> CreditNote:
    """Decide on a note; what follows is that the book is asked (step `issue`).

    The caller has locked the invoice. Raises NotAllowed, NotFound (a fee) and Invalid.
    """
    found = await estimate(connection, invoice, items)
    check_parts(parts, found.amounts.total_cents, found.limits)
    return await _insert(connection, invoice, found.amounts, parts, terms, now=now)


async def create_for_unused(
    connection: Connection,
    invoice: Invoice,
    items: Sequence[Item],
    mode: str,
    terms: Terms,
    *,
    now: datetime,
) -> CreditNote | None:
    """Give back what an ended subscription had been billed for and did not use, as `mode` says.

    Lowers the items to what is left of their fees; None where nothing is. The caller has locked
    the invoice: one that is a draft gets a draft, which `finalize_drafts` makes final with it.
    """
    fees = await _fees_of(connection, invoice)
    before = await credited_before(connection, invoice)
    items = within(items, fees=fees, before=before)
    if mode == "skip" or not items:
        return None
    amounts = amounts_of(items, invoice=invoice, fees=fees, before=before)
    limits = limits_of(amounts.total_cents, invoice=invoice, before=before)
    if amounts.total_cents > limits.creditable_cents or not amounts.total_cents:
        return None
    due = await payments.free_due(connection, invoice)
    limits = structs.replace(limits, offsettable_cents=min(limits.offsettable_cents, due))
    parts = parts_of(mode, amounts.total_cents, invoice=invoice, limits=limits)
    return await _insert(connection, invoice, amounts, parts, terms, now=now)


async def create_booked(
    connection: Connection, invoice: Invoice, cents: int, terms: Terms, *, now: datetime
) -> CreditNote:
    """A note for what the book has credited already: what no grant was left to take back."""
    parts = Parts(credit_cents=cents)
    return await _insert(connection, invoice, _NOTHING, parts, terms, now=now)


async def finalize_drafts_of(
    connection: Connection, final: Sequence[Invoice], *, now: datetime
) -> None:
    """`finalize_drafts` of many invoices, of which few have any."""
    having = await credit_notes.invoices_with_drafts(connection, final)
    for invoice in final:
        if (invoice.organization_id, invoice.id) in having:
            await finalize_drafts(connection, invoice, now=now)


async def finalize_drafts(
    connection: Connection, invoice: Invoice, *, now: datetime
) -> list[CreditNote]:
    """Compute an invoice's drafts anew, now that its amounts are final; they are to be issued.

    The caller has locked the invoice. A draft that nothing is left for goes without a number, and
    each is stored before the next is computed: what one sets off is no longer due to another.
    """
    final: list[CreditNote] = []
    for note in await credit_notes.of_invoice(connection, invoice.organization_id, invoice.id):
        if note.status == "draft":
            changed = await _computed_anew(connection, invoice, note, now=now)
            if changed.step is not None:
                final.append(changed)
    return final


async def _computed_anew(
    connection: Connection, invoice: Invoice, note: CreditNote, *, now: datetime
) -> CreditNote:
    fees = await _fees_of(connection, invoice)
    before = await credited_before(connection, invoice, but=note.id)
    rows = (await credit_notes.items_of(connection, note.organization_id, [note.id]))[note.id]
    known = {fee.id for fee in fees}
    items = within([_item(row) for row in rows if row.fee_id in known], fees=fees, before=before)
    amounts = amounts_of(items, invoice=invoice, fees=fees, before=before)
    limits = limits_of(amounts.total_cents, invoice=invoice, before=before)
    due = await payments.free_due(connection, invoice)
    limits = structs.replace(limits, offsettable_cents=min(limits.offsettable_cents, due))
    mode = await credit_notes.mode_of(connection, note)
    parts = parts_of(mode, amounts.total_cents, invoice=invoice, limits=limits)
    changed = structs.replace(_with_amounts(note, amounts, parts), updated_at=now)
    if parts.total_cents:
        changed = structs.replace(changed, status="finalizing", step="issue")
    await credit_notes.delete_items(connection, note)
    await _insert_items(connection, changed, items, now=now)
    await credit_notes.save(connection, changed)
    return changed


def _item(row: CreditNoteItem) -> Item:
    return Item(
        fee_id=row.fee_id,
        amount_cents=row.amount_cents,
        precise_amount_cents=row.precise_amount_cents,
    )


async def credited_before(
    connection: Connection, invoice: Invoice, *, but: UUID | None = None
) -> Before:
    """What notes have credited of an invoice, those under way and drafts included.

    Of a note that was voided in part, the part that stays counts, rounded up.
    """
    notes = [
        note
        for note in await credit_notes.of_invoice(connection, invoice.organization_id, invoice.id)
        if note.id != but and not note.books_nothing
    ]
    items = await credit_notes.items_of(
        connection, invoice.organization_id, [note.id for note in notes]
    )
    fees: dict[UUID, int] = {}
    taxes: dict[TaxKey, int] = {}
    coupons = total = 0
    for note in notes:
        kept = note.total_amount_cents - note.voided_amount_cents
        for item in items[note.id]:
            part = _part(item.amount_cents, kept, note)
            fees[item.fee_id] = fees.get(item.fee_id, 0) + part
        for tax in note.applied_taxes:
            key = tax["tax_code"], Decimal(tax["tax_rate"])
            taxes[key] = taxes.get(key, 0) + _part(tax["amount_cents"], kept, note)
        coupons += _part(note.coupons_adjustment_amount_cents, kept, note)
        total += kept
    return Before(
        fees=fees,
        taxes=taxes,
        coupons_cents=coupons,
        total_cents=total,
        refunded_cents=sum(note.refund_amount_cents for note in notes),
    )


def _part(cents: int, kept: int, note: CreditNote) -> int:
    """The part of an amount that a note still credits."""
    if not note.voided_amount_cents:
        return cents
    return -(-cents * kept // note.total_amount_cents)


def _check_creditable(invoice: Invoice) -> None:
    """Raise NotAllowed for what no note may be made of: a draft, or credits that were bought."""
    if not invoice.stands or invoice.invoice_type == "credit":
        raise NotAllowed("invalid_type_or_status")


def _check_fees(items: Iterable[Item], fees: Iterable[Fee]) -> None:
    known = {fee.id for fee in fees}
    if any(item.fee_id not in known for item in items):
        raise NotFound("fee")


async def _fees_of(connection: Connection, invoice: Invoice) -> list[Fee]:
    found = await fee_lines.of_invoices(connection, invoice.organization_id, [invoice.id])
    return found[invoice.id]


async def _insert(
    connection: Connection,
    invoice: Invoice,
    amounts: Amounts,
    parts: Parts,
    terms: Terms,
    *,
    now: datetime,
) -> CreditNote:
    is_draft = invoice.status not in {"finalized", "voided", "closed"}
    blank = CreditNote(
        organization_id=invoice.organization_id,
        id=terms.id or new_uuid(now),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        billing_entity_id=invoice.billing_entity_id,
        status="draft" if is_draft else "finalizing",
        step=None if is_draft else "issue",
        reason=terms.reason,
        description=terms.description,
        metadata=dict(terms.metadata),
        request_hash=terms.request_hash,
        currency=invoice.currency,
        issuing_date=now.astimezone(ZoneInfo(invoice.timezone)).date(),
        total_amount_cents=0,
        credit_amount_cents=0,
        refund_amount_cents=0,
        offset_amount_cents=0,
        taxes_amount_cents=0,
        taxes_rate=Decimal(0),
        sub_total_excluding_taxes_amount_cents=0,
        coupons_adjustment_amount_cents=0,
        created_at=now,
        updated_at=now,
    )
    note = _with_amounts(blank, amounts, parts)
    await credit_notes.insert(connection, note)
    await _insert_items(connection, note, amounts.items, now=now)
    return note


def _with_amounts(note: CreditNote, amounts: Amounts, parts: Parts) -> CreditNote:
    return structs.replace(
        note,
        total_amount_cents=parts.total_cents,
        credit_amount_cents=parts.credit_cents,
        refund_amount_cents=parts.refund_cents,
        offset_amount_cents=parts.offset_cents,
        taxes_amount_cents=amounts.taxes_amount_cents,
        taxes_rate=amounts.taxes_rate,
        sub_total_excluding_taxes_amount_cents=amounts.sub_total_excluding_taxes_amount_cents,
        coupons_adjustment_amount_cents=amounts.coupons_adjustment_amount_cents,
        applied_taxes=[structs.asdict(tax) for tax in amounts.applied_taxes],
    )


async def _insert_items(
    connection: Connection, note: CreditNote, items: Iterable[Item], *, now: datetime
) -> None:
    for item in items:
        row = CreditNoteItem(
            organization_id=note.organization_id,
            id=new_uuid(now),
            credit_note_id=note.id,
            fee_id=item.fee_id,
            amount_cents=item.amount_cents,
            precise_amount_cents=item.precise_amount_cents,
            amount_currency=note.currency,
            created_at=now,
        )
        await credit_notes.insert_item(connection, row)
