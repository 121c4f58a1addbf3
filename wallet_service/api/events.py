"""`/events`: reading what was reported."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from invoicing import events
from invoicing.events import Event, EventFilter
from invoicing.records import Connection
from wallet_service import assets
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import field_error
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.events import EventsReply, event_body
from wallet_service.api.schemas.formats import Code, ExternalId, Word, read_time
from wallet_service.replies import EventReply

_RATING_STATUSES = frozenset({"rated", "unrated", "postpaid"})
_Time: TypeAlias = Annotated[Word | None, QueryParameter(description="ISO 8601.")]


class Events(Controller):
    """Usage as it was reported, and what it was charged."""

    path = "/events"
    tags = ("events",)
    opt = {"resource": "events"}  # noqa: RUF012

    @get("/", summary="List events")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        code: FromQuery[Code | None] = None,
        external_subscription_id: FromQuery[ExternalId | None] = None,
        external_customer_id: FromQuery[ExternalId | None] = None,
        rating_status: FromQuery[Word | None] = None,
        timestamp_from: _Time = None,
        timestamp_to: _Time = None,
    ) -> EventsReply:
        """All events, the latest received first. The count stops at 100,000."""
        if rating_status is not None and rating_status not in _RATING_STATUSES:
            raise field_error("rating_status", "value_is_invalid")
        wanted = EventFilter(
            code=code,
            external_subscription_id=external_subscription_id,
            external_customer_id=external_customer_id,
            rating_status=rating_status,
            timestamp_from=_optional_time(timestamp_from, "timestamp_from"),
            timestamp_to=_optional_time(timestamp_to, "timestamp_to"),
        )
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await events.find_all(connection, tenant.organization_id, wanted, window=window)
            scales = await _scales(connection, tenant.organization_id, page.items, now=now)
        return EventsReply(
            [event_body(item, scales=scales) for item in page.items], meta(page, window)
        )

    @get("/{transaction_id:str}", summary="Find an event")
    async def find(
        self,
        transaction_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        external_subscription_id: FromQuery[ExternalId | None] = None,
    ) -> EventReply:
        """The newest event with this `transaction_id`; other subscriptions may have one too."""
        async with services.database.tenant(tenant.organization_id) as connection:
            event = await events.get(
                connection,
                tenant.organization_id,
                transaction_id,
                external_subscription_id=external_subscription_id,
            )
            scales = await _scales(connection, tenant.organization_id, [event], now=now)
        return EventReply(event_body(event, scales=scales))


def _optional_time(text: str | None, field: str) -> datetime | None:
    return read_time(text, field=field) if text else None


async def _scales(
    connection: Connection, organization_id: UUID, found: Sequence[Event], *, now: datetime
) -> dict[str, int]:
    codes = {event.asset_code for event in found if event.asset_code}
    return {
        code: (await assets.find(connection, organization_id, code, now=now)).scale
        for code in codes
    }
