"""One event's part in one bucket: what a period's price is computed from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rating.exact import ONE


class Event(Struct, frozen=True, kw_only=True):
    """What one event means to one charge, filter and group.

    Whoever reads the events leaves out those that were reversed, and their reversals: they are as
    if they had never been.
    """

    timestamp: datetime
    """When it happened: an aware time."""
    order: int = 0
    """Which of several events of the same instant came in first."""
    units: Decimal = ONE
    """What the event itself carries; 1 where events or members are counted."""
    member: str | None = None
    """Of a unique count: what is counted once."""
    removes: bool = False
    """Of a unique count: the member is taken out instead of added."""
    precise_amount_cents: Decimal | None = None
    """The price that the event itself names (dynamic model)."""
    plan_version_id: UUID | None = None
    """The prices it was rated with, at its time or pinned by its hold."""

    @property
    def is_correction(self) -> bool:
        """Whether it takes something away."""
        return self.removes or self.units < 0


def lateness(event: Event) -> tuple[datetime, int, Decimal]:
    """What events are ordered by: time, and of the same instant how they came in.

    Of two that came in as one, the greater is the last, as in `rating.summaries`.
    """
    return (event.timestamp, event.order, event.units)


def in_order(events: Iterable[Event]) -> list[Event]:
    """The events as they count."""
    return sorted(events, key=lateness)
