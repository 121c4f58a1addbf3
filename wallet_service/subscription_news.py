"""What the world is told of subscriptions, left in the outbox with what it is about."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from invoicing import outbox, subscriptions
from invoicing.records import Connection
from invoicing.subscriptions import Subscription
from wallet_service.api.schemas.subscriptions import SubscriptionBody

__all__ = ["tell_ended", "teller"]


def teller(
    connection: Connection, *, now: datetime
) -> Callable[[str, Subscription], Awaitable[None]]:
    """Who leaves word on this connection: `subscription.started` and the like."""

    async def tell(webhook_type: str, subscription: Subscription) -> None:
        payload: dict[str, Any] = SubscriptionBody.of(subscription, now=now).as_json()
        await outbox.add(
            connection,
            subscription.organization_id,
            webhook_type,
            object_type="subscription",
            object_id=subscription.id,
            payload=payload,
            now=now,
        )

    return tell


async def tell_ended(
    connection: Connection, organization_id: UUID, ids: Sequence[UUID], *, now: datetime
) -> None:
    """Leave word of subscriptions that ended with their customer or plan."""
    tell = teller(connection, now=now)
    found = await subscriptions.of_ids(connection, [(organization_id, one) for one in ids])
    for one in found.values():
        await tell(f"subscription.{one.status}", one)
