"""Receipts: one for each payment that has succeeded, numbered without a gap by billing entity."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import billing_entities, number_series
from invoicing.errors import NotFound
from invoicing.invoices import Invoice
from invoicing.pages import Page, Window
from invoicing.payments import Payment
from invoicing.records import Connection, Record, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)


class PaymentReceipt(Record, frozen=True, kw_only=True):
    """A receipt as stored."""

    organization_id: UUID
    id: UUID
    payment_id: UUID
    billing_entity_id: UUID
    number: str
    created_at: datetime


class ReceiptFilter(Struct, frozen=True, kw_only=True):
    """Which receipts are asked for; None means all."""

    invoice_id: UUID | None = None
    customer_id: UUID | None = None
    billing_entity_codes: list[str] | None = None
    search_term: str | None = None


async def create(
    connection: Connection, payment: Payment, invoice: Invoice, *, now: datetime
) -> PaymentReceipt:
    """Write the receipt of a payment that the caller's transaction lets succeed.

    Its number is the next of the billing entity: `ACM-RCPT-000042`. The series is held until the
    commit, so this comes last.
    """
    entity = await billing_entities.get_by_id(
        connection, invoice.organization_id, invoice.billing_entity_id
    )
    taken = await number_series.take(
        connection, invoice.organization_id, f"payment_receipts:{invoice.billing_entity_id}"
    )
    receipt = PaymentReceipt(
        organization_id=invoice.organization_id,
        id=new_uuid(now),
        payment_id=payment.id,
        billing_entity_id=invoice.billing_entity_id,
        number=f"{entity.document_number_prefix}-RCPT-{taken:06d}",
        created_at=now,
    )
    await _queries.insert_receipt(connection, **receipt.columns())
    return receipt


async def get(connection: Connection, organization_id: UUID, receipt_id: UUID) -> PaymentReceipt:
    """A receipt by its id. Raises NotFound."""
    row = await _queries.find_receipt(connection, organization_id=organization_id, id=receipt_id)
    if row is None:
        raise NotFound("payment_receipt")
    return PaymentReceipt.of(row)


async def find_all(
    connection: Connection, organization_id: UUID, wanted: ReceiptFilter, *, window: Window
) -> Page[PaymentReceipt]:
    """A page of receipts, the newest first."""
    found = {"organization_id": organization_id, **structs.asdict(wanted)}
    rows = _queries.list_receipts(connection, **found, limit=window.size, offset=window.offset)
    items = [PaymentReceipt.of(row) async for row in rows]
    return Page(items, await _queries.count_receipts(connection, **found))
