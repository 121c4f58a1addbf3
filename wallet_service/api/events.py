"""`/events`: usage, stored and charged at once."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, TypedDict
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from invoicing import events
from invoicing.events import Event, EventFilter
from invoicing.records import Connection
from wallet_service import assets
from wallet_service.api.bodies import BodyDecoder
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import ApiError, field_error, invalid, of_wire
from wallet_service.api.hot_routes import HOT, HotRequest
from wallet_service.api.idempotency import IdempotencyKey, keyed
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.events import EventsReply, event_body
from wallet_service.api.schemas.formats import Code, ExternalId, Word
from wallet_service.errors import Denied, Invalid
from wallet_service.replies import EventBody, EventReply, encode
from wallet_service.texts import read_time
from wallet_service.usage_requests import BadBatch, EventRequest, ReverseRequest

_RATING_STATUSES = frozenset({"rated", "unrated", "postpaid"})
_Time: TypeAlias = Annotated[Word | None, QueryParameter(description="ISO 8601.")]


class EventEnvelope(Struct):
    """`{"event": …}`; fields of newer clients are ignored."""

    event: EventRequest


class EventsEnvelope(Struct):
    """`{"events": […]}`."""

    events: list[EventRequest]


class ReverseEnvelope(Struct, forbid_unknown_fields=True):
    """`{"reverse": …}`."""

    reverse: ReverseRequest


class RejectedEvent(Struct):
    """An event of a batch that its wallet refuses to charge; it was not stored."""

    transaction_id: str | None
    code: str | None
    status: str
    error_code: str
    error_details: dict[str, Any]


class EventBatchReply(TypedDict):
    """What became of each event of a batch, in order."""

    events: list[EventBody | RejectedEvent]


_event = BodyDecoder(EventEnvelope)
_events = BodyDecoder(EventsEnvelope)
_reverse = BodyDecoder(ReverseEnvelope, lax=False)

_OPENING: Final = b'{"event":'


async def record(request: HotRequest) -> bytes:
    """Store and charge one event."""
    body = await request.body()
    return await request.services.usage.record(
        request.tenant.organization_id,
        _event.decode(body).event,
        now=request.now,
        api_key_id=request.tenant.api_key_id,
    )


async def record_batch(request: HotRequest) -> bytes:
    """Store and charge events; malformed ones refuse all of them."""
    given = await read_batch(request)
    try:
        outcomes = await request.services.usage.record_all(
            request.tenant.organization_id,
            given,
            now=request.now,
            api_key_id=request.tenant.api_key_id,
        )
    except BadBatch as error:
        raise ApiError(invalid(error.problems)) from None
    return b'{"events":[%b]}' % b",".join(_shown(given, outcomes))


async def read_batch(request: HotRequest) -> Sequence[EventRequest]:
    """The events of a request: some, but not too many. Raises ApiError."""
    settings = request.services.settings
    given = _decoded(await request.body(bytes_max=settings.batch_body_bytes_max))
    if not given:
        raise field_error("events", "no_events")
    if len(given) > settings.events_per_batch_max:
        raise field_error(
            "events", "too_many_events", f"at most {settings.events_per_batch_max} events"
        )
    return given


def _decoded(body: bytes) -> Sequence[EventRequest]:
    """The events of a batch. What is wrong with one is named under its index."""
    try:
        return _events.decode(body).events
    except msgspec.ValidationError as error:
        refusal = of_wire(error)
        by_index: dict[str, Any] = {}
        for path, codes in (refusal.details or {}).items():
            index, _, field = path.partition(".")
            by_index[index] = {field: codes} if field else codes
        raise ApiError(msgspec.structs.replace(refusal, details=by_index)) from None


def _shown(given: Sequence[EventRequest], outcomes: Sequence[bytes | Exception]) -> Iterator[bytes]:
    """Each event's own reply without its envelope.

    Raises what is wrong with the batch as a whole.
    """
    reused: dict[str, Any] = {}
    for position, outcome in enumerate(outcomes):
        if isinstance(outcome, Invalid):
            reused[str(position)] = {outcome.field: [outcome.code]}
        elif isinstance(outcome, BaseException) and not isinstance(outcome, Denied):
            raise outcome
    if reused:
        raise ApiError(invalid(reused))
    for event, outcome in zip(given, outcomes, strict=True):
        if isinstance(outcome, Denied):
            yield encode(
                RejectedEvent(
                    event.transaction_id, event.code, "rejected", outcome.code, outcome.details
                )
            )
        elif isinstance(outcome, bytes):
            assert outcome.startswith(_OPENING)
            yield outcome[len(_OPENING) : -1]


async def reverse(request: HotRequest) -> bytes:
    """Take back what an event was charged."""
    body = await request.body()
    given = _reverse.decode(body).reverse
    given = keyed(given, request.header(b"idempotency-key"))
    return await request.services.usage.reverse(
        request.tenant.organization_id,
        request.parameters["transaction_id"],
        given,
        now=request.now,
    )


class Events(Controller):
    """Usage as it was reported, and what it was charged."""

    path = "/events"
    tags = ("events",)
    opt = {"resource": "events"}  # noqa: RUF012

    @post("/", status_code=200, summary="Send an event", opt={HOT: record})
    async def record(self, data: JSONBody[EventEnvelope]) -> EventReply:
        """Store one event and charge it at once; the answer says what was debited from what.

        An event that nothing can rate yet is stored all the same, with `rating_status: "unrated"`.
        """
        raise AssertionError("answered by the hot route")

    @post("/batch", status_code=200, summary="Send events", opt={HOT: record_batch})
    async def record_batch(self, data: JSONBody[EventsEnvelope]) -> EventBatchReply:
        """Store and charge up to 1,000 events. A malformed one refuses the batch, by its index."""
        raise AssertionError("answered by the hot route")

    @post(
        "/{transaction_id:str}/reverse",
        status_code=200,
        summary="Reverse an event",
        opt={HOT: reverse},
    )
    async def reverse(
        self,
        transaction_id: FromPath[str],
        data: JSONBody[ReverseEnvelope],
        idempotency_key: IdempotencyKey = None,
    ) -> EventReply:
        """Take back what an event was charged, all or an amount: a negative usage line."""
        raise AssertionError("answered by the hot route")

    @get("/", summary="List events")
    async def list(  # noqa: PLR0913, PLR0917 (a filter a parameter)
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
