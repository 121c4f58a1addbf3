"""What becomes of subscriptions with time: they start, follow each other, end, and are paid for.

Each function moves all that are due, of every organization, and says which: safe to repeat, since
what has moved is not due any more.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import catalogue_versions, subscriptions
from invoicing.records import Connection, load_queries
from invoicing.subscriptions import Subscription

__all__ = ["ALERT_DAYS", "Move", "activate", "give_up", "move_due"]

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
        _queries.give_up_due,
        _queries.end_trials,
    ):
        moved += _moved([row async for row in query(connection, now=now)])
    for days in ALERT_DAYS:
        moved += _moved([row async for row in _queries.alert_due(connection, now=now, days=days)])
    found = await subscriptions.of_ids(connection, [(place, one) for _, place, one in moved])
    return [Move(word, found[place, one]) for word, place, one in moved]


async def activate(
    connection: Connection, organization_id: UUID, subscription_id: UUID, *, now: datetime
) -> Subscription | None:
    """What was to be paid first has been: usage is priced from now on; None if it did not wait.

    The caller commits this with the payment, and leaves word of `subscription.started`.
    """
    subscription = await _incomplete(connection, organization_id, subscription_id)
    if subscription is None:
        return None
    rules = [rule | {"status": "satisfied"} for rule in subscription.activation_rules]
    active = structs.replace(
        subscription, status="active", activated_at=now, activation_rules=rules, updated_at=now
    )
    return await subscriptions.save(connection, active)


async def give_up(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    reason: str = "payment_failed",
    now: datetime,
) -> Subscription | None:
    """What was to be paid first will not be: it never begins. None if it did not wait."""
    subscription = await _incomplete(connection, organization_id, subscription_id)
    if subscription is None:
        return None
    rules = [rule | {"status": "failed"} for rule in subscription.activation_rules]
    canceled = structs.replace(
        subscription,
        status="canceled",
        canceled_at=now,
        cancellation_reason=reason,
        activation_rules=rules,
        updated_at=now,
    )
    return await subscriptions.save(connection, canceled)


async def _incomplete(
    connection: Connection, organization_id: UUID, subscription_id: UUID
) -> Subscription | None:
    await catalogue_versions.bump(connection, organization_id)
    row = await _queries.find_incomplete(
        connection, organization_id=organization_id, id=subscription_id
    )
    if row is None:
        return None
    key = organization_id, subscription_id
    return (await subscriptions.of_ids(connection, [key]))[key]


def _moved(rows: Sequence[Any]) -> list[tuple[str, UUID, UUID]]:
    return [(row["word"], row["organization_id"], row["id"]) for row in rows]
