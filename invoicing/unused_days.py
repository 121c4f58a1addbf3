"""Days that were paid for in advance and not used: they come back as a credit note.

Source: Lago, termination and upgrade of plans that are paid in advance: a day costs the plan's
amount by the days of its whole period.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from invoicing import credit_notes, crediting, invoices
from invoicing.billing_schedule import DueMoment
from invoicing.credit_note_amounts import Item
from invoicing.credit_notes import CreditNote
from invoicing.crediting import Terms
from invoicing.derived_ids import timed_id
from invoicing.records import Connection, load_queries
from invoicing.subscription_fees import unused_amount

__all__ = ["credit_unused"]

_queries: Final = load_queries(__file__)

_ON_THEIR_WAY: Final = frozenset({"generating", "draft", "failed", "finalizing"})
"""The statuses of invoices whose notes are drafts, and become final with them."""


async def credit_unused(
    connection: Connection, one: DueMoment, *, now: datetime
) -> CreditNote | None:
    """Give back what a moment says that it gives back, once: a repeat finds the first note.

    As `on_termination_credit_note` says, and no more than is left of the line that had billed it.
    None where there is nothing to give back, or the invoice that billed it is taken back itself.
    """
    unused, subscription = one.moment.issues_credit_for, one.subscription
    if unused is None:
        return None
    organization_id = subscription.organization_id
    note_id = _note_id(one)
    known = await credit_notes.find(connection, organization_id, note_id)
    if known is not None:
        return known
    row = await _queries.fee_in_advance(
        connection,
        organization_id=organization_id,
        subscription_id=subscription.id,
        at=unused.part.start,
    )
    if row is None:
        return None
    invoice = await invoices.find(connection, organization_id, row["invoice_id"], locks=True)
    assert invoice is not None, "a fee of an invoice has one"
    if not invoice.stands and invoice.status not in _ON_THEIR_WAY:
        return None  # it is being voided, or was until it could be locked: nobody owes it
    amount = unused_amount(subscription.amount_cents, unused)
    return await crediting.create_for_unused(
        connection,
        invoice,
        [Item.of_days(row["id"], amount.precise_amount_cents)],
        subscription.on_termination_credit_note or "credit",
        Terms(id=note_id, reason="order_change"),
        now=now,
    )


def _note_id(one: DueMoment) -> UUID:
    """Always the same for a moment."""
    at = one.moment.billing_at
    subscription = one.subscription
    return timed_id(at, "unused", subscription.organization_id, subscription.id, at.isoformat())
