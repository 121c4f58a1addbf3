"""What the world is told of an invoice."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from invoicing.invoices import Invoice
from wallet_service.invoice_bodies import invoice_body

__all__ = ["WEBHOOKS", "payload_of"]

WEBHOOKS: Final[Mapping[str, str]] = {
    "subscription": "invoice.created",
    "one_off": "invoice.one_off_created",
    "credit": "invoice.paid_credit_added",
    "advance_charges": "invoice.created",
    "progressive_billing": "invoice.created",
}
"""What the end of an invoice's making is called, by its type."""


def payload_of(invoice: Invoice) -> dict[str, Any]:
    """The invoice as lists of invoices show it: its lines are asked for under its id."""
    return msgspec.to_builtins(invoice_body(invoice))
