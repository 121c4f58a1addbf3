"""Items: what a caller says will be, or was, used, and what that is worth under an agreement."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from rating import quotes
from rating.errors import InvalidQuantity, RatingError, UnknownCode
from rating.exact import ZERO
from rating.quantities import quantity
from rating.rate_cards import PRECISE_AMOUNT, Line, RateCard
from wallet_service.decision.commands import Item, PricedLine
from wallet_service.errors import Invalid
from wallet_service.rate_card_cache import CustomerCard, PricedAgreement

__all__ = [
    "ItemRequest",
    "agreement_for",
    "agreements_named",
    "common_assets",
    "negative",
    "rate_item",
    "rate_items",
    "read_precise_amount",
]

CodeText = Annotated[str, Meta(min_length=1, max_length=255)]

_FIELDS_OF_PROPERTIES: Final = "properties"


class ItemRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Usage of one billable metric: its code, and the properties that say how much and of what."""

    code: CodeText
    properties: dict[str, Any] = {}
    precise_total_amount_cents: Any = None
    """The price that the usage itself names, for charges of the dynamic model."""


def agreement_for(
    card: CustomerCard, codes: Sequence[str], external_subscription_id: str | None
) -> PricedAgreement:
    """The one agreement that prices all these codes.

    Raises Invalid: the subscription is unknown, several price the same code, or nothing prices one
    of them.
    """
    agreements = agreements_named(card, external_subscription_id)
    fitting = [one for one in agreements if one.card.codes.issuperset(codes)]
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


def agreements_named(
    card: CustomerCard, external_subscription_id: str | None
) -> tuple[PricedAgreement, ...]:
    """A customer's agreements, or the one that is meant; raises Invalid where there is none."""
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
    return agreements


def common_assets(codes: Sequence[str], card: RateCard) -> tuple[str, ...]:
    """The assets in which all of these codes are priced, in the first one's order of preference.

    Raises Invalid: a code has no price, or there is no such asset.
    """
    common: tuple[str, ...] | None = None
    for position, code in enumerate(codes):
        try:
            assets = card.assets(code)
        except UnknownCode:
            raise Invalid(f"items.{position}.code", "billable_metric_not_found") from None
        if common is None:
            common = assets
        elif common != assets:
            common = tuple([asset for asset in common if asset in assets])
    if not common:
        named = sorted({asset for code in codes for asset in card.assets(code)})
        raise Invalid("items", "mixed_assets", f"priced in {', '.join(named)}")
    return common


def rate_items(
    requests: Sequence[ItemRequest], card: RateCard, asset_code: str
) -> tuple[Item, ...]:
    """Items with their prices in one asset.

    Raises Invalid, which names the item and the field: a code or value without a price, a property
    that is missing or no quantity, or a negative quantity.
    """
    items: list[Item] = []
    for position, request in enumerate(requests):
        amount = request.precise_total_amount_cents
        if amount is not None:
            amount = read_precise_amount(amount, f"items.{position}.precise_total_amount_cents")
        try:
            item = rate_item(
                request.code, request.properties, card, asset_code, precise_amount_cents=amount
            )
        except UnknownCode:
            raise Invalid(f"items.{position}.code", "billable_metric_not_found") from None
        except RatingError as error:
            raise _invalid(error, f"items.{position}") from None
        for priced in item.lines:
            if priced.line.units < 0:
                raise negative(priced.line, card, f"items.{position}.{_FIELDS_OF_PROPERTIES}")
        items.append(item)
    return tuple(items)


def rate_item(
    code: str,
    properties: dict[str, Any],
    card: RateCard,
    asset_code: str,
    *,
    precise_amount_cents: Decimal | None = None,
) -> Item:
    """One item with its lines; linear ones are priced here, where no lock is held.

    Raises RatingError.
    """
    priced: list[PricedLine] = []
    for line in card.lines(
        code, properties, asset_code=asset_code, precise_amount_cents=precise_amount_cents
    ):
        timing = line.bucket.timing
        if timing == "linear":
            exact = quotes.linear(line)
        else:
            exact = ZERO if timing == "deferred" else None
        priced.append(PricedLine(line, exact))
    return Item(code, properties, tuple(priced))


def read_precise_amount(given: object, field: str) -> Decimal | None:
    """An amount in cents that usage names itself: a number or its text. Raises Invalid."""
    if given is None:
        return None
    try:
        return quantity(given, field=field)
    except InvalidQuantity as error:
        raise Invalid(field, "value_is_invalid", str(error)) from None


def negative(line: Line, card: RateCard, place: str) -> Invalid:
    """Only a sum can be negative, so there is a property to name."""
    name = next(
        charge.field_name
        for charge in card.charges
        if line.charge_id in {charge.id, *(one.id for one in charge.alternatives)}
    )
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
    if error.field != PRECISE_AMOUNT:
        place = f"{place}.{_FIELDS_OF_PROPERTIES}"
    return Invalid(f"{place}.{error.field}", code, str(error))
