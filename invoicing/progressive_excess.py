"""What was billed ahead of a period beyond the usage that it came to: it comes back as a credit.

Usage may cost less when there is more of it (a volume price), or be taken back.
Source: Lago, progressive billing: the excess is credited.
"""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final

from invoicing import crediting, fees, invoices
from invoicing.credit_note_amounts import Item
from invoicing.crediting import Terms
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.progressive_billing import excess_notes
from invoicing.records import Connection, load_queries
from rating.exact import EXACT

__all__ = ["credit_excess"]

_queries: Final = load_queries(__file__)
_HALF: Final = Fraction(1, 2)


async def credit_excess(connection: Connection, final: Sequence[Invoice], *, now: datetime) -> None:
    """Decide on notes of progressive invoices whose periods these invoices have billed.

    What follows is that the book is asked (step `issue`).
    """
    meant = [one for one in final if one.invoice_type == "subscription"]
    if not meant:
        return
    rows = _queries.find_excess(
        connection,
        organization_ids=[one.organization_id for one in meant],
        invoice_ids=[one.id for one in meant],
    )
    beyond = [row async for row in rows]
    notes = await excess_notes(
        connection,
        [(row["organization_id"], row["invoice_id"], row["subscription_id"]) for row in beyond],
    )
    for row in beyond:
        organization_id, given = row["organization_id"], notes[row["invoice_id"]]
        excess_cents = row["excess_cents"] - given.amount_cents
        if excess_cents <= 0:
            continue
        invoice = await invoices.find(connection, organization_id, row["invoice_id"], locks=True)
        assert invoice is not None, "a billed period has an invoice"
        lines = await fees.of_invoices(connection, organization_id, [invoice.id])
        net = invoice.fees_amount_cents - invoice.progressive_billing_credit_amount_cents
        items = items_of(lines[invoice.id], Fraction(excess_cents, net))
        await crediting.create_for_unused(
            connection, invoice, items, "credit", Terms(id=given.next_id), now=now
        )


def items_of(lines: Sequence[Fee], part: Fraction) -> list[Item]:
    """A part of each line in whole cents; together they are that part of all of them, rounded."""
    items: list[Item] = []
    wanted, given = Fraction(0), 0
    for fee in lines:
        wanted += fee.amount_cents * part
        cents = (wanted + _HALF).__floor__() - given
        given += cents
        if cents > 0:
            items.append(
                Item(
                    fee_id=fee.id,
                    amount_cents=cents,
                    precise_amount_cents=EXACT.create_decimal(cents),
                )
            )
    return items
