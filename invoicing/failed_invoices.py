"""Invoices whose taxes nobody said: asked for again, at growing intervals."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing.invoices import Invoice
from invoicing.records import Connection, load_queries

__all__ = ["FailedInvoice", "find_due", "note"]

_queries: Final = load_queries(__file__)


class FailedInvoice(Struct, frozen=True, kw_only=True):
    """One that is to be tried again."""

    organization_id: UUID
    id: UUID
    try_again_at: datetime

    @property
    def key(self) -> tuple[datetime, UUID]:
        """Where who looks at them in order goes on."""
        return self.try_again_at, self.id


async def note(connection: Connection, invoices: Sequence[Invoice], *, now: datetime) -> None:
    """Say when those of these that have failed are tried again.

    After a minute, and after twice as long each time, a quarter of a day at most.
    """
    failed = [one for one in invoices if one.status == "failed"]
    if failed:
        await _queries.note_failed(
            connection,
            organization_ids=[one.organization_id for one in failed],
            ids=[one.id for one in failed],
            now=now,
        )


async def find_due(
    connection: Connection, *, now: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> list[FailedInvoice]:
    """Those that are to be tried again by now, the longest waiting first."""
    rows = _queries.find_failed(
        connection, now=now, after_at=after and after[0], after_id=after and after[1], limit=limit
    )
    return [
        FailedInvoice(
            organization_id=row["organization_id"],
            id=row["id"],
            try_again_at=row["try_again_at"],
        )
        async for row in rows
    ]
