"""Stored events on the wire: in the words of the reply that each got when it came in."""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from invoicing.events import Event
from wallet_service.api.pagination import Meta
from wallet_service.decision.case import debit_bodies
from wallet_service.decision.state import Paid
from wallet_service.replies import DebitBody, EventBody, iso_milliseconds

_read_paid: Final = msgspec.json.Decoder(list[Paid]).decode


class EventsReply(Struct):
    """A page of events."""

    events: list[EventBody]
    meta: Meta


def event_body(event: Event, *, scales: Mapping[str, int]) -> EventBody:
    """Show an event; `scales` has those of the assets that events were charged in."""
    amount = event.precise_total_amount_cents
    return EventBody(
        lago_id=event.id,
        transaction_id=event.transaction_id,
        lago_customer_id=event.customer_id,
        lago_subscription_id=event.subscription_id,
        external_subscription_id=event.external_subscription_id or "",
        code=event.code,
        timestamp=iso_milliseconds(event.timestamp),
        precise_total_amount_cents=None if amount is None else format(amount, "f"),
        properties=cast("dict[str, Any]", Raw(event.properties)),  # numbers as they were sent
        created_at=iso_milliseconds(event.created_at),
        rating_status=event.rating_status,
        unrated_reason=event.unrated_reason,
        debits=_debits(event, scales),
    )


def _debits(event: Event, scales: Mapping[str, int]) -> list[DebitBody]:
    paid = _read_paid(event.paid)
    if not paid or event.asset_code is None:
        return []
    return debit_bodies(paid, event.asset_code, scale=scales[event.asset_code])
