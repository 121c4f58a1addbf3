"""What callers hand in: usage, amounts of money, and keys that make repeating a call safe."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

__all__ = [
    "Amount",
    "Event",
    "Item",
    "ProviderUsage",
    "Reported",
    "amount_text",
    "new_key",
    "property_values",
]

Amount = Decimal | int | str
"""An exact number: Decimal("12.5"), 75 or "0.005935". A float is refused, since it is not exact."""


def new_key() -> str:
    """Make a transaction_id: unique, and in order of time, which databases like."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


@dataclass(frozen=True, slots=True, init=False)
class Item:
    """Usage of one billable metric: ``Item("llm_input_tokens", model="gpt-4o", tokens=374)``."""

    code: str
    properties: Mapping[str, Any]

    def __init__(self, code: str, /, **properties: Any) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "properties", properties)


class Reported(Protocol):
    """A response, or its usage, as the providers' own Python packages return them."""

    def model_dump(self, *, mode: str, by_alias: bool, exclude_none: bool) -> dict[str, Any]:
        """Return what the provider sent."""
        ...


@dataclass(frozen=True, slots=True, init=False)
class ProviderUsage:
    """What a model's provider says was used: ``ProviderUsage("openai", response)``.

    The response, or its usage object, in the provider's own words; the service makes items of it.
    ``model`` is needed if the response does not name it. ``properties`` are your own, for every
    item. ``service_tier`` says how the call was served where the response does not.
    """

    provider: str
    usage: Mapping[str, Any]
    model: str | None
    service_tier: str | None
    properties: Mapping[str, Any]

    def __init__(
        self,
        provider: str,
        usage: Mapping[str, Any] | Reported,
        /,
        *,
        model: str | None = None,
        service_tier: str | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(usage, Mapping):
            usage = usage.model_dump(mode="json", by_alias=True, exclude_none=True)
        object.__setattr__(self, "provider", provider)
        object.__setattr__(self, "usage", usage)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "service_tier", service_tier)
        object.__setattr__(self, "properties", properties or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Usage that is charged at once, for a customer or for one subscription.

    The key is made with the event, so that sending the same event twice charges it once.
    """

    code: str
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    customer: str | None = None
    subscription: str | None = None
    transaction_id: str = field(default_factory=new_key)
    timestamp: datetime | None = None


def amount_text(amount: Amount) -> str:
    """Write an amount as the API reads it, digit by digit.

    >>> amount_text(Decimal("1E+3"))
    '1000'
    """
    if isinstance(amount, Decimal):
        if not amount.is_finite():
            message = f"not an amount: {amount}"
            raise ValueError(message)
        return f"{amount:f}"
    if isinstance(amount, (bool, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"an amount is a Decimal, an int or a str, not {type(amount).__name__}"
        raise TypeError(message)
    return str(amount)


def property_values(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Write the Decimals among properties without an exponent; leave the rest as it is."""
    return {
        name: amount_text(value) if isinstance(value, Decimal) else value
        for name, value in properties.items()
    }
