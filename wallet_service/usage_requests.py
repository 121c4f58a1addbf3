"""Usage events as they come in: their fields, keys and times, checked."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from wallet_service.errors import Invalid
from wallet_service.operations import RESERVED_PREFIX, check_key
from wallet_service.stored_properties import check_properties

__all__ = [
    "BadBatch",
    "EventRequest",
    "ReverseRequest",
    "check_event",
    "client_key",
    "key_of_event",
    "read_timestamp",
]

_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP_MAX: Final = 253_402_300_799
_DIGITS_MAX: Final = 31
_GIANT: Final = 10**_DIGITS_MAX


class EventRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as Lago's clients send it.

    Unknown fields are ignored, and nulls mean nothing was said.
    """

    transaction_id: str | None = None
    code: str | None = None
    external_subscription_id: Annotated[str, Meta(max_length=255)] | None = None
    external_customer_id: Annotated[str, Meta(max_length=255)] | None = None
    timestamp: Any = None
    properties: dict[str, Any] | None = None
    precise_total_amount_cents: Any = None


class ReverseRequest(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Which part of an event's charge goes back: all of it without an amount."""

    transaction_id: str | None = None
    amount: Annotated[str, Meta(max_length=100)] | None = None
    external_subscription_id: Annotated[str, Meta(max_length=255)] | None = None


class BadBatch(Invalid):
    """Events of a batch are malformed, and nothing was stored.

    ``problems`` names field and code by index.
    """

    def __init__(self, problems: dict[str, dict[str, list[str]]]) -> None:
        super().__init__("events", "validation_errors")
        self.problems = problems


def check_event(request: EventRequest) -> None:
    """Raise Invalid where an event is malformed, but for its time."""
    if not request.code:
        raise Invalid("code", "value_is_mandatory")
    if len(request.code) > 255:  # noqa: PLR2004 (as every code)
        raise Invalid("code", "value_is_too_long")
    check_properties(request.properties or {}, place="properties")


def client_key(transaction_id: str | None) -> str:
    """The key of an event, which no capture may have. Raises Invalid."""
    key = check_key(transaction_id)
    if key.startswith(RESERVED_PREFIX):
        raise Invalid("transaction_id", "value_is_invalid", f"{RESERVED_PREFIX} is for captures")
    return key


def key_of_event(external_subscription_id: str | None, transaction_id: str) -> str:
    """Event keys are a subscription's, as in Lago."""
    return f"{external_subscription_id or ''}\n{transaction_id}"


def read_timestamp(given: object) -> datetime | None:
    """When something was used, given in Unix seconds.

    A number or its text, with decimals or without. Raises Invalid.
    """
    if given is None:
        return None
    text = _number_text(given)
    if not _TIMESTAMP.fullmatch(text):
        raise Invalid("timestamp", "invalid_format", "seconds since 1970, as a number")
    seconds = Decimal(text)
    if seconds > _TIMESTAMP_MAX:
        raise Invalid("timestamp", "value_is_out_of_range")
    return _EPOCH + timedelta(microseconds=int(seconds * 1_000_000))


def _number_text(given: object) -> str:
    """A number, or the text of one, as text.

    Anything else (and giants) as something that is no number.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        return ""
    if isinstance(given, int):
        return str(given) if abs(given) < _GIANT else ""
    return f"{given:f}" if given.is_finite() and abs(given.adjusted()) < _DIGITS_MAX else ""
