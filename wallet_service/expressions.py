"""Expressions of metrics at the door: a property that is computed stands where it would be sent."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from msgspec import structs

from rating.errors import ExpressionFailed
from rating.exact import EXACT
from rating.rate_cards import RateCard
from wallet_service.errors import Invalid
from wallet_service.items import ItemRequest

__all__ = ["compute", "compute_all", "to_seconds"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def compute(
    card: RateCard, code: str, properties: dict[str, Any], *, at: datetime, place: str = ""
) -> dict[str, Any]:
    """The properties of usage at a time, with the one that the metric's expression computes.

    Raises Invalid, which names the property at fault, behind `place`.
    """
    if not card.has_expressions:
        return properties
    try:
        return card.computed(code, properties, timestamp=to_seconds(at))
    except ExpressionFailed as error:
        field = f"properties.{error.field}" if error.field else "properties"
        raise Invalid(f"{place}{field}", error.reason, str(error)) from None


def compute_all(
    card: RateCard, requests: Sequence[ItemRequest], *, at: datetime
) -> Sequence[ItemRequest]:
    """The same for items; raises Invalid, which names the item and the property."""
    if not card.has_expressions:
        return requests
    computed: list[ItemRequest] = []
    for position, request in enumerate(requests):
        properties = compute(
            card, request.code, request.properties, at=at, place=f"items.{position}."
        )
        is_as_it_was = properties is request.properties
        computed.append(
            request if is_as_it_was else structs.replace(request, properties=properties)
        )
    return computed


def to_seconds(at: datetime) -> Decimal:
    """A time as expressions know it: seconds since 1970, to the microsecond."""
    return EXACT.scaleb(Decimal((at - _EPOCH) // timedelta(microseconds=1)), -6)
