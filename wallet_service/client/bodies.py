"""What is sent: the fields of a body, with what was not given left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from .inputs import Amount, Event, Item, ProviderUsage, amount_text, property_values

__all__ = ["amount_of", "event_body", "known", "used"]


def known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not given: the service refuses null."""
    return {name: value for name, value in fields.items() if value is not None}


def used(
    items: Sequence[Item] | None, usage: ProviderUsage | None, amount: Amount | None
) -> dict[str, Any]:
    """What is to be paid for, in one of the ways to say it; the service refuses several."""
    reported = {} if usage is None else _reported(usage)
    return reported | {"items": _items(items), "amount": amount_of(amount)}


def _reported(usage: ProviderUsage) -> dict[str, Any]:
    return {
        "provider": usage.provider,
        "usage": usage.usage,
        "model": usage.model,
        "service_tier": usage.service_tier,
        "properties": property_values(usage.properties) or None,
    }


def _items(items: Sequence[Item] | None) -> list[dict[str, Any]] | None:
    if items is None:
        return None
    return [{"code": item.code, "properties": property_values(item.properties)} for item in items]


def amount_of(amount: Amount | None) -> str | None:
    """An amount as the API reads it, if there is one."""
    return None if amount is None else amount_text(amount)


def event_body(event: Event) -> dict[str, Any]:
    """An event as the API reads it."""
    timestamp = None if event.timestamp is None else f"{event.timestamp.timestamp():.3f}"
    return known(
        {
            "transaction_id": event.transaction_id,
            "code": event.code,
            "properties": property_values(event.properties),
            "external_customer_id": event.customer,
            "external_subscription_id": event.subscription,
            "timestamp": timestamp,
        }
    )
