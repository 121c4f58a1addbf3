"""I12: an invoice is what its lines are, what the book has, and what it was when it was sent.

Whatever an invoice asks for beyond its lines (what was debited in real time, the true-up, roundings
below a cent) is listed in its settlement, so that lines and legs differ by nothing else.
"""

from typing import Any, Final

import msgspec

from invoicing import fees, invoice_credits
from invoicing.currencies import CURRENCIES
from invoicing.invoice_conclusion import content_digest, with_hash
from invoicing.invoices import Invoice
from invoicing.records import load_queries
from wallet_service.assets import MONEY_SCALE
from wallet_service.checks.findings import SHOWN_MAX, Finding
from wallet_service.checks.snapshot import Snapshot

__all__ = ["check_invoices_tie_out"]

_queries: Final[Any] = load_queries(__file__)

_PORTION: Final = 500
_CODES: Final = list(CURRENCIES)
_CENTS: Final = [10 ** (MONEY_SCALE - digits) for digits in CURRENCIES.values()]


async def check_invoices_tie_out(snapshot: Snapshot) -> Finding:
    """I12. Invoices are their lines and legs, as sent, gapless, billed once; dues add up."""
    breaches: list[str] = []
    for query in (
        _queries.invoices_otherwise_than_lines,
        _queries.voided_otherwise_than_booked,
        _queries.series_with_gaps,
        _queries.billed_twice,
    ):
        breaches += await snapshot.breaches(query.sql)
    for query in (
        _queries.invoices_otherwise_than_booked,
        _queries.receivable_otherwise_than_dues,
        _queries.customer_credit_otherwise_than_notes,
    ):
        rows: list[Any] = await snapshot.connection.fetch(query.sql, _CODES, _CENTS, SHOWN_MAX)
        breaches += [row["breach"] for row in rows]
    breaches += await _changed(snapshot)
    return Finding(
        invariant="I12",
        checked=await snapshot.count(_queries.invoices_checked.sql),
        breaches=breaches[:SHOWN_MAX],
    )


async def _changed(snapshot: Snapshot) -> list[str]:
    """Final invoices whose content is not what was hashed when they were sent."""
    breaches: list[str] = []
    cursor = await snapshot.connection.cursor(_queries.final_invoices.sql)
    while len(breaches) < SHOWN_MAX and (rows := await cursor.fetch(_PORTION)):
        found = [Invoice.of(row) for row in rows]
        for organization_id in dict.fromkeys(invoice.organization_id for invoice in found):
            own = [one for one in found if one.organization_id == organization_id]
            ids = [invoice.id for invoice in own]
            lines = await fees.of_invoices(snapshot.connection, organization_id, ids)
            lowered = await invoice_credits.of_invoices(snapshot.connection, organization_id, ids)
            breaches += [
                f"invoice {invoice.id}: it is not what was sent as {invoice.number}"
                for invoice in own
                if not _is_unchanged(invoice, lines[invoice.id], lowered[invoice.id])
            ]
    return breaches


def _is_unchanged(
    invoice: Invoice, lines: list[fees.Fee], lowered: list[invoice_credits.InvoiceCredit]
) -> bool:
    """Whether both hashes are what the rows come to now."""
    if invoice.settlement is None or "content" not in invoice.settlement:
        return False
    content = content_digest(invoice, lines, lowered).hex()
    said = msgspec.structs.replace(invoice, settlement={**invoice.settlement, "content": content})
    return with_hash(said).content_hash == invoice.content_hash
