"""What the world is told of subscriptions, left in the outbox with what it is about."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from invoicing import outbox
from invoicing.records import Connection
from invoicing.subscriptions import Subscription
from wallet_service.api.schemas.subscriptions import SubscriptionBody

__all__ = ["teller"]


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
