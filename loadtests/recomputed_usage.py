"""Usage as its events tell it, one after the other: what the answers from rollups are judged by."""

from datetime import datetime
from uuid import UUID

from invoicing import usage_events
from invoicing.records import Connection
from invoicing.usage_events import UsageLine
from invoicing.usage_rollups import NIL, StoredUsage, UsageKey
from rating.exact import EXACT, ZERO
from rating.tallies import Members, Tally


async def recompute(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    start: datetime,
    end: datetime,
) -> dict[UsageKey, StoredUsage]:
    """What `usage_rollups.read` says, from the events themselves: slow, and the judge of it.

    Takes memory by keys and by members of unique counts, not by events. Needs a transaction.
    """
    found: dict[UsageKey, _Recomputed] = {}
    portions = usage_events.lines(
        connection, organization_id, subscription_id, start=start, end=end
    )
    async for portion in portions:
        for line in portion:
            one = found.get(line.key)
            if one is None:
                one = found[line.key] = _Recomputed()
            one.add(line)
    return {key: one.stored() for key, one in found.items()}


class _Recomputed:
    """The usage of one key, line by line."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[UUID | None, str], Tally] = {}
        self._members = Members()
        self._exact = ZERO
        self._debited_minor = 0

    def add(self, line: UsageLine) -> None:
        """Count one line in."""
        event = line.event
        part = event.plan_version_id, line.presented_by
        tally = self._tallies.get(part)
        if tally is None:
            tally = self._tallies[part] = Tally()
        tally.add(event)
        self._members.add(event)
        self._exact = EXACT.add(self._exact, line.exact)
        self._debited_minor += line.debited_minor

    def stored(self) -> StoredUsage:
        """All that was counted."""
        usage = StoredUsage(
            exact=self._exact,
            debited_minor=self._debited_minor,
            members=len(self._members),
        )
        for (version, presented_by), tally in self._tallies.items():
            usage.add(version or NIL, presented_by, tally.summary())
        return usage
