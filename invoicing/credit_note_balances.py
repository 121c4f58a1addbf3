"""What credit notes still have to give: taken by invoices as they become final, the oldest first.

Both functions lock the notes, always in the same order; so invoices that become final at the same
time never spend a balance twice, and never wait for each other in a circle.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import credit_notes
from invoicing.credit_notes import CreditNote
from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


class Taken(Struct, frozen=True, kw_only=True):
    """What one note pays of an invoice."""

    credit_note_id: UUID
    number: str
    amount_cents: int


async def take(
    connection: Connection,
    organization_id: UUID,
    customer_id: UUID,
    *,
    currency: str,
    up_to_cents: int,
    now: datetime,
) -> list[Taken]:
    """Take at most so much from the customer's notes, for the invoice that the caller finalises.

    What is taken is gone when the caller commits; the caller keeps the parts with the invoice.
    """
    taken: list[Taken] = []
    if up_to_cents <= 0:
        return taken
    left = up_to_cents
    rows: list[Any] = [
        row
        async for row in _queries.lock_available(
            connection,
            organization_id=organization_id,
            customer_id=customer_id,
            currency=currency,
        )
    ]
    for row in rows:
        note = CreditNote.of(row)
        amount = min(note.balance_amount_cents, left)
        if not amount:
            break
        rest = note.balance_amount_cents - amount
        await credit_notes.save(
            connection,
            structs.replace(
                note,
                balance_amount_cents=rest,
                credit_status="available" if rest else "consumed",
                updated_at=now,
            ),
        )
        taken.append(Taken(credit_note_id=note.id, number=note.number, amount_cents=amount))
        left -= amount
    return taken


async def available_cents(
    connection: Connection, organization_id: UUID, customer_id: UUID, *, currency: str
) -> int:
    """What the customer's notes could pay now; nothing is taken. For drafts and previews."""
    return await _queries.available_cents(
        connection, organization_id=organization_id, customer_id=customer_id, currency=currency
    )


async def give_back(
    connection: Connection,
    organization_id: UUID,
    taken: Mapping[UUID, int],
    *,
    now: datetime,
) -> None:
    """Return to notes what an invoice that is voided had taken, by note.

    A note whose rest was voided meanwhile has this much to give again.
    """
    rows: list[Any] = [
        row
        async for row in _queries.lock_notes(
            connection, organization_id=organization_id, ids=list(taken)
        )
    ]
    for row in rows:
        note = CreditNote.of(row)
        balance = note.balance_amount_cents + taken[note.id]
        assert balance <= note.credit_amount_cents, "a note gives no more than it had"
        await credit_notes.save(
            connection,
            structs.replace(
                note, balance_amount_cents=balance, credit_status="available", updated_at=now
            ),
        )
