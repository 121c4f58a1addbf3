"""What becomes of subscriptions with time: they start, follow each other, end, and are paid for.

Each function moves all that are due, of every organization, and says which: safe to repeat, since
what has moved is not due any more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import catalogue_changes, catalogue_versions, subscriptions
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
    versions = {
        organization_id: await catalogue_versions.bump(connection, organization_id)
        for organization_id in sorted([row["organization_id"] async for row in rows])
    }
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
    moves = [Move(word, found[place, one]) for word, place, one in moved]
    await _say_whom(connection, versions, moves)
    return moves


async def _say_whom(
    connection: Connection, versions: Mapping[UUID, int], moves: Sequence[Move]
) -> None:
    """Nobody is concerned by what is not due after all; one more may have come due just now."""
    external_ids: dict[UUID, list[str]] = {organization_id: [] for organization_id in versions}
    for move in moves:
        if move.changes_prices:
            one = move.subscription
            external_ids.setdefault(one.organization_id, []).append(one.external_id)
    for organization_id in sorted(external_ids):
        version = versions.get(organization_id)
        if version is None:
            version = await catalogue_versions.bump(connection, organization_id)
        await catalogue_changes.concern_subscriptions(
            connection, organization_id, version, external_ids[organization_id]
        )


def _moved(rows: Sequence[Any]) -> list[tuple[str, UUID, UUID]]:
    return [(row["word"], row["organization_id"], row["id"]) for row in rows]
