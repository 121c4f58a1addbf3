"""Payments of invoices: money that came in beside the wallets, told by hand or by a provider.

processing ─► succeeded      `processing`: the ledger is being asked, and will be asked again
         └──► failed

An invoice takes no more than is due of it, payments and set-offs that are under way included.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import invoices
from invoicing.errors import Invalid, NotAllowed, NotFound
from invoicing.invoices import Invoice
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

REFERENCE_LENGTH_MAX: Final = 40


class Payment(Record, frozen=True, kw_only=True):
    """A payment as stored."""

    organization_id: UUID
    id: UUID
    invoice_id: UUID
    customer_id: UUID
    amount_cents: int
    amount_currency: str
    payment_status: str
    payment_type: str = "manual"
    provider: str = "manual"
    reference: str
    external_payment_id: str | None = None
    request_hash: bytes | None = None
    paid_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class NewPayment(Struct, frozen=True, kw_only=True):
    """A payment that is told of."""

    amount_cents: int
    reference: str
    paid_at: datetime | None = None
    provider: str = "manual"
    id: UUID | None = None
    request_hash: bytes | None = None


class PaymentFilter(Struct, frozen=True, kw_only=True):
    """Which payments are asked for; None means all."""

    customer_id: UUID | None = None
    invoice_id: UUID | None = None
    billing_entity_codes: list[str] | None = None
    search_term: str | None = None


async def create(
    connection: Connection, invoice: Invoice, new: NewPayment, *, now: datetime
) -> Payment:
    """Take down a payment that is to be booked; the caller has locked the invoice.

    Raises NotAllowed where nothing is to be paid yet, or any more, and Invalid.
    """
    if not invoice.stands:
        raise NotAllowed("invalid_status")
    _check(new)
    due = await free_due(connection, invoice)
    # Credits are bought as a whole: a part of them would belong to nobody.
    is_whole = invoice.invoice_type != "credit" or new.amount_cents == due
    if new.amount_cents > due or not is_whole:
        raise Invalid.field(
            "amount_cents", "higher_than_remaining_invoice_amount", f"{due} are still due"
        )
    payment = Payment(
        organization_id=invoice.organization_id,
        id=new.id or new_uuid(now),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        amount_cents=new.amount_cents,
        amount_currency=invoice.currency,
        payment_status="processing",
        payment_type="manual" if new.provider == "manual" else "provider",
        provider=new.provider,
        reference=new.reference,
        request_hash=new.request_hash,
        paid_at=new.paid_at or now,
        created_at=now,
        updated_at=now,
    )
    await _queries.insert_payment(connection, **payment.columns())
    return payment


async def succeed(connection: Connection, payment: Payment, *, now: datetime) -> Payment:
    """It is in the book."""
    changed = structs.replace(payment, payment_status="succeeded", updated_at=now)
    await _queries.update_payment(connection, **changed.columns())
    return changed


async def fail(connection: Connection, payment: Payment, *, now: datetime) -> None:
    """It cannot be booked, ever: what it was for is gone."""
    await _queries.fail_payment(
        connection, organization_id=payment.organization_id, id=payment.id, now=now
    )


async def count_as_paid(
    connection: Connection,
    invoice: Invoice,
    *,
    paid_cents: int = 0,
    offset_cents: int = 0,
    now: datetime,
) -> Invoice:
    """Lower what is due of an invoice; with nothing left it is paid, and so are its lines.

    The caller has locked the invoice.
    """
    changed = structs.replace(
        invoice,
        total_paid_amount_cents=invoice.total_paid_amount_cents + paid_cents,
        total_offsetted_credit_note_amount_cents=(
            invoice.total_offsetted_credit_note_amount_cents + offset_cents
        ),
        updated_at=now,
    )
    assert changed.total_due_amount_cents >= 0, "nobody pays more than is due"
    if not changed.total_due_amount_cents:
        changed = structs.replace(changed, payment_status="succeeded", payment_overdue=False)
        await _queries.pay_fees(
            connection, organization_id=invoice.organization_id, invoice_id=invoice.id, now=now
        )
    await invoices.save(connection, changed)
    return changed


async def free_due(connection: Connection, invoice: Invoice) -> int:
    """What is due of an invoice, less what is being paid or set off just now."""
    reserved: int = await _queries.reserved(
        connection, organization_id=invoice.organization_id, invoice_id=invoice.id
    )
    return max(0, invoice.total_due_amount_cents - reserved)


async def find(connection: Connection, organization_id: UUID, payment_id: UUID) -> Payment | None:
    """A payment by its id."""
    row = await _queries.find_payment(connection, organization_id=organization_id, id=payment_id)
    return None if row is None else Payment.of(row)


async def get(connection: Connection, organization_id: UUID, payment_id: UUID) -> Payment:
    """As `find`, or raise NotFound."""
    payment = await find(connection, organization_id, payment_id)
    if payment is None:
        raise NotFound("payment")
    return payment


async def processing_of(
    connection: Connection, organization_id: UUID, invoice_id: UUID
) -> list[UUID]:
    """Payments of an invoice of which the ledger is being asked."""
    rows = _queries.processing_of_invoice(
        connection, organization_id=organization_id, invoice_id=invoice_id
    )
    return [row["id"] async for row in rows]


async def find_many(
    connection: Connection, organization_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, Payment]:
    """Payments by their ids."""
    rows = _queries.find_payments(connection, organization_id=organization_id, ids=list(ids))
    return {row["id"]: Payment.of(row) async for row in rows}


async def find_all(
    connection: Connection, organization_id: UUID, wanted: PaymentFilter, *, window: Window
) -> Page[Payment]:
    """A page of payments, the newest first."""
    found = {"organization_id": organization_id, **structs.asdict(wanted)}
    rows = _queries.list_payments(connection, **found, limit=window.size, offset=window.offset)
    items = [Payment.of(row) async for row in rows]
    return Page(items, await _queries.count_payments(connection, **found))


async def invoice_numbers(
    connection: Connection, organization_id: UUID, invoice_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """The numbers of invoices."""
    rows = _queries.numbers_of_invoices(
        connection, organization_id=organization_id, ids=list(invoice_ids)
    )
    return {row["id"]: row["number"] async for row in rows}


async def unfinished(
    connection: Connection,
    *,
    before: datetime,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[tuple[UUID, tuple[datetime, UUID]]]:
    """Payments that the ledger is being asked of, the oldest step first.

    As (organization, (since when, payment)); `after` is the second part of the last one that the
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


def _check(new: NewPayment) -> None:
    if not new.reference.strip():
        raise Invalid.field("reference", "value_is_mandatory")
    if len(new.reference) > REFERENCE_LENGTH_MAX:
        raise Invalid.field("reference", "value_is_too_long")
    if new.amount_cents <= 0:
        raise Invalid.field("amount_cents", "value_is_out_of_range")
