"""Unused days are credited before the end of their subscription is billed, which uses them."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from invoicing import credit_notes
from invoicing.billing_schedule import DueMoment
from invoicing.records import Connection
from invoicing.unused_days import credit_unused
from wallet_service.credit_notes import CreditNotes
from wallet_service.invoice_finishing import Opening

__all__ = ["UnusedCredits"]


class UnusedCredits:
    """Gives back what was paid in advance and not used."""

    def __init__(self, *, credit_notes: CreditNotes) -> None:
        self._credit_notes = credit_notes

    async def give(self, opened: Opening, due: Sequence[DueMoment], *, now: datetime) -> int:
        """Issue the notes of these moments; says how many. A repeat issues none twice.

        Where the invoice that had billed them is not final yet, the note waits for it as a draft.
        Raises Unavailable.
        """
        owed = [one for one in due if one.moment.issues_credit_for is not None]
        if not owed:
            return 0
        async with opened() as connection:
            notes = [
                note
                for one in owed
                if (note := await credit_unused(connection, one, now=now)) is not None
            ]
        for note in notes:
            if note.step is not None:
                await self._credit_notes.finish(note.organization_id, note.id, now=now)
        return len(notes)

    async def foresee(
        self, connection: Connection, due: Sequence[DueMoment], *, now: datetime
    ) -> None:
        """Let the credit of these moments be there until the caller undoes all that it has read.

        As if the book had been asked: what is only looked at asks it nothing.
        """
        for one in due:
            if one.moment.issues_credit_for is None:
                continue
            note = await credit_unused(connection, one, now=now)
            if note is not None and note.step == "issue" and note.credit_amount_cents:
                given = structs.replace(
                    note,
                    status="finalized",
                    step=None,
                    credit_status="available",
                    balance_amount_cents=note.credit_amount_cents,
                )
                await credit_notes.save(connection, given)
