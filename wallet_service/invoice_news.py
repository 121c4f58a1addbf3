"""What the world is told of an invoice after it was made."""

from datetime import datetime

from invoicing import outbox
from invoicing.invoices import Invoice
from invoicing.records import Connection
from wallet_service.invoice_payloads import payload_of

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
            payload=payload_of(after),
            now=now,
        )
