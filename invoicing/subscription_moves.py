"""What becomes of subscriptions with time: they start, follow each other, end, and are paid for.

Each function moves all that are due, of every organization, and says which: safe to repeat, since
what has moved is not due any more.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import catalogue_versions, subscriptions
from invoicing.records import Connection, load_queries
from invoicing.subscriptions import Subscription

__all__ = ["ALERT_DAYS", "Move", "move_due"]

_queries: Final = load_queries(__file__)

ALERT_DAYS: Final = (45, 15)
"""How many days before its end the owner of a subscription is told of it. Source: Lago."""


class Move(Struct, frozen=True):
    """What has become of a subscription."""

    word: str
    """started, terminated, canceled, incomplete, trial_ended or termination_alert."""
    subscription: Subscription

    @property
    def changes_prices(self) -> bool:
        """Whether usage is priced otherwise from now on."""
        return self.word not in {"trial_ended", "termination_alert"}


async def move_due(connection: Connection, *, now: datetime) -> list[Move]:
    """Let everything happen that was agreed for a time that has come, in order."""
    rows = _queries.organizations_with_moves(connection, now=now)
    for organization_id in sorted([row["organization_id"] async for row in rows]):
        await catalogue_versions.bump(connection, organization_id)
    moved: list[tuple[str, UUID, UUID]] = []
    for query in (
        _queries.end_due,
        _queries.end_switched,
        _queries.start_switched,
        _queries.start_due,
        _queries.activate_paid,
        _queries.give_up_failed,
        _queries.give_up_due,
        _queries.end_trials,
    ):
        moved += _moved([row async for row in query(connection, now=now)])
    for days in ALERT_DAYS:
        moved += _moved([row async for row in _queries.alert_due(connection, now=now, days=days)])
    found = await subscriptions.of_ids(connection, [(place, one) for _, place, one in moved])
    return [Move(word, found[place, one]) for word, place, one in moved]


def _moved(rows: Sequence[Any]) -> list[tuple[str, UUID, UUID]]:
    return [(row["word"], row["organization_id"], row["id"]) for row in rows]
