"""What lowered an invoice: coupons, credit notes, and progressive invoices for the same usage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from invoicing.records import Connection, Record, load_queries, to_json

__all__ = ["InvoiceCredit", "delete_of_invoice", "insert_all", "of_invoices"]

_queries: Final[Any] = load_queries(__file__)


class InvoiceCredit(Record, frozen=True, kw_only=True):
    """One of them, as stored."""

    organization_id: UUID
    id: UUID
    invoice_id: UUID
    kind: str
    source_id: UUID
    """The applied coupon, the credit note, or the progressive invoice."""
    item_code: str
    item_name: str
    amount_cents: int
    amount_currency: str
    before_taxes: bool
    created_at: datetime


async def insert_all(connection: Connection, credits_: Sequence[InvoiceCredit]) -> None:
    """Store new ones."""
    if credits_:
        await _queries.insert_credits(connection, rows=to_json(credits_))


async def of_invoices(
    connection: Connection, organization_id: UUID, invoice_ids: Sequence[UUID]
) -> dict[UUID, list[InvoiceCredit]]:
    """Those of invoices, in the order in which they were taken off."""
    found: dict[UUID, list[InvoiceCredit]] = {invoice_id: [] for invoice_id in invoice_ids}
    rows = _queries.credits_of_invoices(
        connection, organization_id=organization_id, invoice_ids=list(invoice_ids)
    )
    async for row in rows:
        credit = InvoiceCredit.of(row)
        found[credit.invoice_id].append(credit)
    return found


async def delete_of_invoice(
    connection: Connection, organization_id: UUID, invoice_id: UUID
) -> None:
    """Forget those of a draft that is computed anew."""
    await _queries.delete_credits_of_invoice(
        connection, organization_id=organization_id, invoice_id=invoice_id
    )
