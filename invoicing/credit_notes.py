"""Credit notes: what is given back of an invoice, to later invoices, to the payer, or against it.

draft ─► finalizing ─► finalized        credit: available ─► consumed | voided
                                        refund: pending ─► succeeded | failed

`step` says what the ledger is being asked (to issue, to void, to refund) until its answer is
stored, so that whoever finds a step asks again. A note whose invoice is a draft is one too.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import Struct, field, structs

from invoicing import number_series
from invoicing.errors import NotFound
from invoicing.invoices import Invoice
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, from_json, load_queries

_queries: Final = load_queries(__file__)

REASONS: Final = (
    "duplicated_charge",
    "product_unsatisfactory",
    "order_change",
    "order_cancellation",
    "fraudulent_charge",
    "other",
)
MODES: Final = ("credit", "refund", "offset", "skip")
"""What becomes of the days that an ended subscription had paid for and did not use."""


class CreditNote(Record, frozen=True, kw_only=True):
    """A credit note as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("applied_taxes", "metadata", "settlement")

    organization_id: UUID
    id: UUID
    invoice_id: UUID
    customer_id: UUID
    billing_entity_id: UUID
    status: str
    step: str | None = None
    number: str = ""
    sequential_id: int | None = None
    credit_status: str | None = None
    refund_status: str | None = None
    reason: str
    description: str | None = None
    currency: str
    issuing_date: date
    total_amount_cents: int
    credit_amount_cents: int
    balance_amount_cents: int = 0
    refund_amount_cents: int
    offset_amount_cents: int
    voided_amount_cents: int = 0
    taxes_amount_cents: int
    taxes_rate: Decimal
    sub_total_excluding_taxes_amount_cents: int
    coupons_adjustment_amount_cents: int
    applied_taxes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metadata: dict[str, str | None] = field(default_factory=dict[str, str | None])
    settlement: dict[str, Any] | None = None
    request_hash: bytes | None = None
    refunded_at: datetime | None = None
    voided_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def books_nothing(self) -> bool:
        """Whether its credit came about with the balance in the book: there are no items."""
        return not (
            self.sub_total_excluding_taxes_amount_cents
            or self.coupons_adjustment_amount_cents
            or self.taxes_amount_cents
        )


class CreditNoteItem(Record, frozen=True, kw_only=True):
    """How much of a fee a note credits, before coupons and taxes."""

    organization_id: UUID
    id: UUID
    credit_note_id: UUID
    fee_id: UUID
    amount_cents: int
    precise_amount_cents: Decimal
    amount_currency: str
    created_at: datetime


class Surroundings(Struct, frozen=True, kw_only=True):
    """What is shown with a note of its invoice, and whose it is."""

    invoice_number: str
    purchase_order_number: str | None
    self_billed: bool
    billing_entity_code: str
    external_customer_id: str
    customer_as_billed: dict[str, Any] | None
    timezone: str


class CreditNoteFilter(Struct, frozen=True, kw_only=True):
    """Which notes are asked for; None means all. Only final ones are shown."""

    customer_id: UUID | None = None
    invoice_number: str | None = None
    reasons: list[str] | None = None
    credit_statuses: list[str] | None = None
    refund_statuses: list[str] | None = None
    currency: str | None = None
    issuing_date_from: date | None = None
    issuing_date_to: date | None = None
    amount_from: int | None = None
    amount_to: int | None = None
    billing_entity_codes: list[str] | None = None
    self_billed: bool | None = None
    search_term: str | None = None


async def take_number(connection: Connection, note: CreditNote, invoice: Invoice) -> CreditNote:
    """Give a note its number, the next of its invoice: `ACM-001-007-CN001`."""
    taken = await number_series.take(
        connection, note.organization_id, f"credit_notes:{note.invoice_id}"
    )
    base = invoice.number
    if invoice.status == "closed":  # it was nothing, and has no number of its own
        base = invoice.id.hex[-8:].upper()
    return structs.replace(note, sequential_id=taken, number=f"{base}-CN{taken:03d}")


async def insert(connection: Connection, note: CreditNote) -> None:
    """Store a new note."""
    await _queries.insert_credit_note(connection, **note.columns())


async def insert_item(connection: Connection, item: CreditNoteItem) -> None:
    """Store an item of a note."""
    await _queries.insert_item(connection, **item.columns())


async def delete_items(connection: Connection, note: CreditNote) -> None:
    """Forget the items of a draft that is computed anew."""
    await _queries.delete_items(
        connection, organization_id=note.organization_id, credit_note_id=note.id
    )


async def save(connection: Connection, note: CreditNote) -> None:
    """Store what has become of a note."""
    await _queries.update_credit_note(connection, **note.columns())


async def find(
    connection: Connection, organization_id: UUID, note_id: UUID, *, locks: bool = False
) -> CreditNote | None:
    """A note by its id, whatever its status; `locks` keeps it from being changed by others."""
    query = _queries.lock_credit_note if locks else _queries.find_credit_note
    row = await query(connection, organization_id=organization_id, id=note_id)
    return None if row is None else CreditNote.of(row)


async def get(
    connection: Connection, organization_id: UUID, note_id: UUID, *, locks: bool = False
) -> CreditNote:
    """A final note. Raises NotFound."""
    note = await find(connection, organization_id, note_id, locks=locks)
    if note is None or note.status != "finalized":
        raise NotFound("credit_note")
    return note


async def find_all(
    connection: Connection, organization_id: UUID, wanted: CreditNoteFilter, *, window: Window
) -> Page[CreditNote]:
    """A page of final notes, the newest first."""
    found = {"organization_id": organization_id, **structs.asdict(wanted)}
    rows = _queries.list_credit_notes(connection, **found, limit=window.size, offset=window.offset)
    items = [CreditNote.of(row) async for row in rows]
    return Page(items, await _queries.count_credit_notes(connection, **found))


async def of_invoice(
    connection: Connection, organization_id: UUID, invoice_id: UUID
) -> list[CreditNote]:
    """All notes of an invoice, drafts and those under way too, the oldest first."""
    rows = _queries.notes_of_invoice(
        connection, organization_id=organization_id, invoice_id=invoice_id
    )
    return [CreditNote.of(row) async for row in rows]


async def items_of(
    connection: Connection, organization_id: UUID, note_ids: Sequence[UUID]
) -> dict[UUID, list[CreditNoteItem]]:
    """The items of notes, in their order."""
    found: dict[UUID, list[CreditNoteItem]] = {note_id: [] for note_id in note_ids}
    rows = _queries.items_of_notes(
        connection, organization_id=organization_id, credit_note_ids=list(note_ids)
    )
    async for row in rows:
        item = CreditNoteItem.of(row)
        found[item.credit_note_id].append(item)
    return found


async def mode_of(connection: Connection, note: CreditNote) -> str:
    """How a draft was to be given, as the ended subscription says: one of MODES.

    Its parts do not tell: what was not due or paid of the draft invoice may be of the final one.
    """
    mode: str | None = await _queries.mode_of_note(
        connection, organization_id=note.organization_id, credit_note_id=note.id
    )
    return mode or ("offset" if note.offset_amount_cents else "credit")


async def surroundings(
    connection: Connection, organization_id: UUID, invoice_ids: Sequence[UUID]
) -> dict[UUID, Surroundings]:
    """What is shown with notes, by their invoice."""
    rows = _queries.surroundings(
        connection, organization_id=organization_id, ids=list(set(invoice_ids))
    )
    return {
        row["id"]: Surroundings(
            invoice_number=row["number"],
            purchase_order_number=row["purchase_order_number"],
            self_billed=row["self_billed"],
            billing_entity_code=row["billing_entity_code"],
            external_customer_id=row["external_id"],
            customer_as_billed=from_json(row["customer_as_billed"])
            if row["customer_as_billed"]
            else None,
            timezone=row["timezone"],
        )
        async for row in rows
    }


async def invoices_with_drafts(
    connection: Connection, of: Sequence[Invoice]
) -> set[tuple[UUID, UUID]]:
    """Which of these invoices have drafts of notes, as (organization, invoice)."""
    rows = _queries.invoices_with_drafts(
        connection,
        organization_ids=[invoice.organization_id for invoice in of],
        ids=[invoice.id for invoice in of],
    )
    return {(row["organization_id"], row["invoice_id"]) async for row in rows}


async def unfinished(
    connection: Connection,
    *,
    before: datetime,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[tuple[UUID, tuple[datetime, UUID]]]:
    """Notes of which the ledger is being asked, the oldest step first.

    As (organization, (since when, note)); `after` is the second part of the last one that the
    caller has been given.
    """
    rows = _queries.unfinished(
        connection,
        before=before,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )
    return [(row["organization_id"], (row["updated_at"], row["id"])) async for row in rows]
