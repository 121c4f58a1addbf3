"""Items: what a caller says will be, or was, used, and what that is worth under an agreement."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from rating import quotes
from rating.errors import RatingError, UnknownCode
from rating.exact import ZERO
from rating.rate_cards import Line, RateCard
from wallet_service.decision.commands import Item, PricedLine
from wallet_service.errors import Invalid
from wallet_service.rate_card_cache import CustomerCard, PricedAgreement

__all__ = ["ItemRequest", "agreement_for", "negative", "rate_item", "rate_items"]

CodeText = Annotated[str, Meta(min_length=1, max_length=255)]

_FIELDS_OF_PROPERTIES: Final = "properties"


class ItemRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Usage of one billable metric: its code, and the properties that say how much and of what."""

    code: CodeText
    properties: dict[str, Any] = {}


def agreement_for(
    card: CustomerCard, codes: Sequence[str], external_subscription_id: str | None
) -> PricedAgreement:
    """The one agreement that prices all these codes.

    Raises Invalid: the subscription is unknown, several price the same code, or nothing prices one
    of them.
    """
    agreements = card.agreements
    if external_subscription_id is not None:
        agreements = tuple(
            one for one in agreements if one.agreement.external_id == external_subscription_id
        )
    if not agreements:
        raise Invalid(
            "external_subscription_id",
            "subscription_not_found",
            "the customer has no such subscription, or none at all and there is no default plan",
        )
    fitting = [one for one in agreements if all(code in one.card.codes for code in codes)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Invalid(
            "external_subscription_id",
            "value_is_mandatory",
            "several subscriptions of the customer price this",
        )
    for position, code in enumerate(codes):
        if not any(code in one.card.codes for one in agreements):
            raise Invalid(f"items.{position}.code", "billable_metric_not_found")
    raise Invalid("items", "value_is_invalid", "no single subscription prices all of these items")


def rate_items(requests: Sequence[ItemRequest], card: RateCard) -> tuple[tuple[Item, ...], str]:
    """Items with their prices, and the one asset that they are priced in.

    Raises Invalid, which names the item and the field: a code or value without a price, a property
    that is missing or no quantity, a negative quantity, or items that resolve to different assets.
    """
    items: list[Item] = []
    asset_codes: dict[str, int] = {}
    for position, request in enumerate(requests):
        place = f"items.{position}"
        try:
            item = rate_item(request.code, request.properties, card)
        except UnknownCode:
            raise Invalid(f"{place}.code", "billable_metric_not_found") from None
        except RatingError as error:
            raise _invalid(error, place) from None
        for priced in item.lines:
            if priced.line.units < 0:
                raise negative(priced.line, card, f"{place}.{_FIELDS_OF_PROPERTIES}")
            asset_codes.setdefault(priced.line.asset_code, position)
        items.append(item)
    if len(asset_codes) > 1:
        raise Invalid("items", "mixed_assets", f"priced in {', '.join(sorted(asset_codes))}")
    return tuple(items), next(iter(asset_codes))


def rate_item(code: str, properties: dict[str, Any], card: RateCard) -> Item:
    """One item with its lines; linear ones are priced here, where no lock is held.

    Raises RatingError.
    """
    return Item(code, properties, tuple([_priced(line) for line in card.lines(code, properties)]))


def _priced(line: Line) -> PricedLine:
    if line.timing == "linear":
        return PricedLine(line, quotes.linear(line))
    return PricedLine(line, ZERO if line.timing == "deferred" else None)


def negative(line: Line, card: RateCard, place: str) -> Invalid:
    """Only a sum can be negative, so there is a property to name."""
    name = next(charge.field_name for charge in card.charges if charge.id == line.charge_id)
    return Invalid(
        f"{place}.{name}",
        "value_is_out_of_range",
        f"{name!r} is negative; give money back with a refund or a reversal",
    )


def _invalid(error: RatingError, place: str) -> Invalid:
    code = {
        "MissingProperty": "value_is_mandatory",
        "UnknownPrice": "price_not_found",
    }.get(type(error).__name__, "value_is_invalid")
    return Invalid(f"{place}.{_FIELDS_OF_PROPERTIES}.{error.field}", code, str(error))
