"""Usage of one bucket as it is counted event by event, in any order: what summaries are made of.

Millions of events take the room of a few numbers; a unique count, that of its members.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from rating.events import Event, lateness
from rating.exact import EXACT, ZERO
from rating.summaries import Summary, microseconds


class Tally:
    """A summary that grows by one event at a time.

    >>> from datetime import UTC
    >>> tally = Tally()
    >>> for units in (3, 5):
    ...     tally.add(Event(timestamp=datetime(2026, 6, 1, tzinfo=UTC), units=Decimal(units)))
    >>> tally.summary().events, tally.summary().units
    (2, Decimal('8'))
    """

    __slots__ = ("_corrections", "_events", "_last", "_max", "_moment", "_precise", "_units")

    def __init__(self) -> None:
        self._events = self._corrections = 0
        self._units = self._moment = self._precise = ZERO
        self._max: Decimal | None = None
        self._last: Event | None = None

    def add(self, event: Event) -> None:
        """Count one event in."""
        units, last = event.units, self._last
        self._events += 1
        self._units = EXACT.add(self._units, units)
        self._moment = EXACT.fma(units, microseconds(event.timestamp), self._moment)
        if event.precise_amount_cents:
            self._precise = EXACT.add(self._precise, event.precise_amount_cents)
        if self._max is None or units > self._max:
            self._max = units
        if last is None or lateness(event) > lateness(last):
            self._last = event
        self._corrections += event.is_correction

    def summary(self) -> Summary:
        """All that was counted."""
        last = self._last
        return Summary(
            events=self._events,
            units=self._units,
            max_units=self._max,
            last_units=last.units if last else None,
            last_at=last.timestamp if last else None,
            last_order=last.order if last else 0,
            moment=self._moment,
            precise_amount_cents=self._precise,
            corrections=self._corrections,
        )


def summarize(events: Iterable[Event]) -> Summary:
    """What the events come to, in whatever order they are given."""
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally.summary()


class Members:
    """The members of a unique count: a member is there if the last that happened to it added it.

    >>> from datetime import UTC
    >>> june = datetime(2026, 6, 1, tzinfo=UTC)
    >>> members = Members()
    >>> members.add(Event(timestamp=june, order=1, member="ada", removes=True))
    >>> members.add(Event(timestamp=june, order=0, member="ada"))
    >>> members.add(Event(timestamp=june, order=0, member="bob"))
    >>> len(members)
    1
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, tuple[datetime, int, bool]] = {}

    def add(self, event: Event) -> None:
        """Take note of what happens to the event's member, if it has one."""
        if event.member is not None:
            self._note(event.member, (event.timestamp, event.order, event.removes))

    def merge(self, other: Members) -> None:
        """Take note of all that others know."""
        for member, operation in other._last.items():
            self._note(member, operation)

    def _note(self, member: str, operation: tuple[datetime, int, bool]) -> None:
        self._last[member] = max(self._last.get(member, operation), operation)

    def __len__(self) -> int:
        """How many are there now."""
        return sum(1 for _, _, removes in self._last.values() if not removes)
