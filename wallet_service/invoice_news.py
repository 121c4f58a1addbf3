"""What the world is told of an invoice after it was made."""

from datetime import datetime
from typing import Any

from invoicing import outbox
from invoicing.invoices import Invoice
from invoicing.records import Connection

__all__ = ["tell_payment_status"]


async def tell_payment_status(
    connection: Connection, *, before: Invoice, after: Invoice, now: datetime
) -> None:
    """Leave word of a payment status that has changed, in the transaction that changes it."""
    if before.payment_status != after.payment_status:
        await outbox.add(
            connection,
            after.organization_id,
            "invoice.payment_status_updated",
            object_type="invoice",
            object_id=after.id,
            payload=_payload(after),
            now=now,
        )


def _payload(invoice: Invoice) -> dict[str, Any]:
    return {
        "lago_id": str(invoice.id),
        "number": invoice.number,
        "status": invoice.status,
        "payment_status": invoice.payment_status,
        "currency": invoice.currency,
        "total_amount_cents": invoice.total_amount_cents,
        "total_paid_amount_cents": invoice.total_paid_amount_cents,
        "total_due_amount_cents": invoice.total_due_amount_cents,
    }
