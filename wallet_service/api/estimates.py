"""`/events/estimate_fees` and its like: what an event would be billed. Hot, as events are."""

from collections.abc import Iterable

from litestar import Controller, post
from litestar.params import JSONBody

from wallet_service.api.bodies import BodyDecoder
from wallet_service.api.errors import ApiError, invalid
from wallet_service.api.events import EventEnvelope, EventsEnvelope, read_batch
from wallet_service.api.hot_routes import HOT, HotRequest
from wallet_service.api.schemas.estimates import EstimatedFeesReply, estimated_fee_body
from wallet_service.estimates import EstimatedFee
from wallet_service.replies import encode
from wallet_service.usage_requests import BadBatch, EventRequest

_event = BodyDecoder(EventEnvelope)


async def _event_of(request: HotRequest) -> EventRequest:
    body = await request.body()
    return _event.decode(body).event


def _reply(fees: Iterable[EstimatedFee]) -> bytes:
    return encode(EstimatedFeesReply([estimated_fee_body(fee) for fee in fees]))


async def estimate_fees(request: HotRequest) -> bytes:
    """Price an event after all that was used so far."""
    return _reply(
        await request.services.estimates.fees(
            request.tenant.organization_id, await _event_of(request), now=request.now
        )
    )


async def estimate_instant_fees(request: HotRequest) -> bytes:
    """Price an event as the first of its period."""
    return _reply(
        await request.services.estimates.instant_fees(
            request.tenant.organization_id, await _event_of(request), now=request.now
        )
    )


async def estimate_batch(request: HotRequest) -> bytes:
    """Price events, each as the first of its period."""
    given = await read_batch(request)
    try:
        fees = await request.services.estimates.all_instant_fees(
            request.tenant.organization_id, given, now=request.now
        )
    except BadBatch as error:
        raise ApiError(invalid(error.problems)) from None
    return _reply(fees)


class EventEstimates(Controller):
    """What events would be billed in advance."""

    path = "/events"
    tags = ("events",)
    opt = {"resource": "events"}  # noqa: RUF012

    @post(
        "/estimate_fees",
        status_code=200,
        summary="Estimate the fees of an event",
        opt={HOT: estimate_fees},
    )
    async def estimate_fees(self, data: JSONBody[EventEnvelope]) -> EstimatedFeesReply:
        """A fee a charge that is paid in advance, after all that was used so far. Stores nothing.

        `transaction_id` may be left out.
        """
        raise AssertionError("answered by the hot route")

    @post(
        "/estimate_instant_fees",
        status_code=200,
        summary="Estimate the fees of an event without usage",
        opt={HOT: estimate_instant_fees},
    )
    async def estimate_instant_fees(self, data: JSONBody[EventEnvelope]) -> EstimatedFeesReply:
        """The same as if the event were the first of its period: no usage is looked up."""
        raise AssertionError("answered by the hot route")

    @post(
        "/batch_estimate_instant_fees",
        status_code=200,
        summary="Estimate the fees of events without usage",
        opt={HOT: estimate_batch},
    )
    async def estimate_batch(self, data: JSONBody[EventsEnvelope]) -> EstimatedFeesReply:
        """The fees of up to 1,000 events, each as if it were the first, in their order.

        A malformed one refuses all, by its index.
        """
        raise AssertionError("answered by the hot route")
