"""What the world is told of an invoice."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from invoicing.invoices import Invoice

__all__ = ["WEBHOOKS", "payload_of"]

WEBHOOKS: Final[Mapping[str, str]] = {
    "subscription": "invoice.created",
    "one_off": "invoice.one_off_created",
    "credit": "invoice.paid_credit_added",
    "advance_charges": "invoice.created",
    "progressive_billing": "invoice.created",
}
"""What the end of an invoice's making is called, by its type."""

_HIDDEN: Final = frozenset({"organization_id", "settlement", "content_hash", "sealed_xact_id"})


def payload_of(invoice: Invoice) -> dict[str, Any]:
    """The invoice, as it is sent."""
    known = msgspec.to_builtins(invoice, builtin_types=(bytes,))
    return {"lago_id": known["id"]} | {
        name: value for name, value in known.items() if name not in _HIDDEN and name != "id"
    }
