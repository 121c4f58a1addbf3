"""What a request asks to be paid for: items, the short form of one, or a provider's own usage."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from rating.rate_cards import RateCard
from wallet_service import provider_usage
from wallet_service.errors import Invalid
from wallet_service.items import ItemRequest, agreement_for, agreements_named
from wallet_service.provider_usage import ProviderUsage
from wallet_service.rate_card_cache import CustomerCard, PricedAgreement
from wallet_service.stored_properties import check_properties

__all__ = ["RequestedItems", "UsedFields", "agreed", "requested"]

AmountText = Annotated[str, Meta(max_length=100)]
NameText = Annotated[str, Meta(max_length=255)]


class UsedFields(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The ways to say what is, or was, used.

    Items; `code` and `properties`, the short form of one; an `amount`; or `usage`, a provider's own
    usage object or whole response, with `properties` of the caller's for each item it becomes.
    """

    items: list[ItemRequest] | None = None
    code: str | None = None
    properties: dict[str, Any] | None = None
    amount: AmountText | None = None
    usage: dict[str, Any] | None = None
    provider: NameText | None = None
    model: NameText | None = None
    service_tier: NameText | None = None


class RequestedItems(Struct, frozen=True):
    """What was asked for, before it is known which prices it has."""

    items: Sequence[ItemRequest] = ()
    usage: ProviderUsage | None = None
    properties: dict[str, Any] = {}

    def under(self, card: RateCard) -> Sequence[ItemRequest]:
        """The items, as these prices tell usage apart; raises Invalid."""
        if self.usage is None:
            return self.items
        return provider_usage.items_of(self.usage, card, self.properties)


async def requested(request: UsedFields, *, items_max: int) -> RequestedItems | None:
    """What a request asks for; None if that is an amount, or nothing. Raises Invalid."""
    if request.usage is not None:
        return await _usage(request, request.usage)
    for field in ("provider", "model", "service_tier"):
        if getattr(request, field) is not None:
            raise Invalid("usage", "value_is_mandatory", f"{field} is about a usage")
    items = _items(request, items_max=items_max)
    if items is None:
        return None
    if request.amount is not None:
        raise Invalid("amount", "value_is_invalid", "items or an amount, not both")
    for position, item in enumerate(items):
        check_properties(item.properties, place=f"items.{position}.properties")
    return RequestedItems(items)


def agreed(
    card: CustomerCard, wanted: RequestedItems, external_subscription_id: str | None
) -> tuple[PricedAgreement, Sequence[ItemRequest]]:
    """The one agreement that prices it, and the items; raises Invalid."""
    if wanted.usage is None:
        codes = [item.code for item in wanted.items]
        return agreement_for(card, codes, external_subscription_id), wanted.items
    fitting: list[tuple[PricedAgreement, Sequence[ItemRequest]]] = []
    refusals: list[Invalid] = []
    for agreement in agreements_named(card, external_subscription_id):
        try:
            fitting.append((agreement, wanted.under(agreement.card)))
        except Invalid as refusal:
            refusals.append(refusal)
    if not fitting:
        raise refusals[0]
    if len(fitting) > 1:
        raise Invalid(
            "external_subscription_id",
            "value_is_mandatory",
            "several subscriptions of the customer price this",
        )
    return fitting[0]


async def _usage(request: UsedFields, usage: dict[str, Any]) -> RequestedItems:
    for field in ("items", "code", "amount"):
        if getattr(request, field) is not None:
            raise Invalid(field, "value_is_invalid", f"usage or {field}, not both")
    check_properties(request.properties or {}, place="properties")
    if not provider_usage.is_loaded():
        await asyncio.to_thread(provider_usage.load)
    read = provider_usage.read_usage(
        usage, provider=request.provider, model=request.model, service_tier=request.service_tier
    )
    return RequestedItems(usage=read, properties=request.properties or {})


def _items(request: UsedFields, *, items_max: int) -> Sequence[ItemRequest] | None:
    items, code, properties = request.items, request.code, request.properties
    if items is not None and code is not None:
        raise Invalid("code", "value_is_invalid", "items or the short form, not both")
    if code is not None:
        if not code:
            raise Invalid("code", "value_is_mandatory")
        return [ItemRequest(code, properties or {})]
    if properties is not None:
        raise Invalid("code", "value_is_mandatory")
    if items is not None and not 1 <= len(items) <= items_max:
        raise Invalid("items", "invalid_count", f"1 to {items_max} items")
    return items
