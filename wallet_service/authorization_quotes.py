"""Quotes: what is asked for, with its prices, before anybody decides about it."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from invoicing.access import Access
from ledger import money
from ledger.errors import InvalidAmount
from wallet_service.authorization_facts import Facts, spender_of
from wallet_service.authorization_requests import CaptureRequest, ExtendRequest, QuoteRequest
from wallet_service.budget_scopes import Spender
from wallet_service.decision import Asset
from wallet_service.decision.commands import AMOUNT_CODE, Authorize, Choice, Item, Pricing
from wallet_service.errors import Invalid, NotFound
from wallet_service.expressions import compute_all
from wallet_service.items import common_assets, rate_items
from wallet_service.rate_card_cache import CustomerCard, RateCardCache
from wallet_service.requested_items import RequestedItems, agreed, requested

__all__ = ["Quote", "Quotes", "amount_item"]


class Quote(Struct, frozen=True):
    """Items with their prices, for one customer in one asset."""

    card: CustomerCard
    asset: Asset
    items: tuple[Item, ...]
    pricing: Pricing | None
    others: tuple[Choice, ...] = ()
    access: Access | None = None

    def trial(self, request: QuoteRequest) -> Authorize:
        """The authorization that nobody asks for, to see what would become of it."""
        return Authorize(
            self.card.external_id,
            "estimate",
            self.asset,
            self.items,
            1,
            self.pricing,
            others=self.others,
            features=tuple(request.features or ()),
            access=self.access,
        )

    def spender(self, api_key_id: UUID | None) -> Spender:
        """On whose behalf, and through which key, it is asked for."""
        return spender_of(self.card.customer_id, self.pricing, api_key_id)


class Quotes:
    """Prices what requests name, by what customers have agreed to."""

    def __init__(self, *, rates: RateCardCache, items_max: int) -> None:
        self._rates = rates
        self._items_max = items_max

    async def quote(self, organization_id: UUID, request: QuoteRequest, *, now: datetime) -> Quote:
        """The items of a request with their prices, in each asset they have prices in.

        Raises Invalid and NotFound.
        """
        card = await self._rates.customer(organization_id, request.external_customer_id, now=now)
        wanted = await requested(request, items_max=self._items_max)
        if wanted is None:
            if request.amount is None:
                raise Invalid("items", "value_is_mandatory", "items, or an amount and its asset")
            if request.asset_code is None:
                raise Invalid("asset_code", "value_is_mandatory")
            asset = await self._asset(organization_id, request.asset_code, now=now)
            item = amount_item(request.amount, asset, is_positive=True)
            access = await self._access_of_amount(card, request)
            return Quote(card, asset, (item,), None, access=access)
        agreement, requests = agreed(card, wanted, request.external_subscription_id)
        requests = compute_all(agreement.card, requests, at=now)
        codes = common_assets([item.code for item in requests], agreement.card)
        if request.asset_code is not None:
            if request.asset_code not in codes:
                raise Invalid(
                    "asset_code",
                    "value_is_invalid",
                    f"these items are priced in {', '.join(codes)}",
                )
            codes = (request.asset_code,)
        choices: list[Choice] = []
        for code in codes:
            asset = await self._rates.asset(organization_id, code, now=now)
            choices.append(Choice(asset, rate_items(requests, agreement.card, code)))
        first, *others = choices
        return Quote(
            card, first.asset, first.items, agreement.pricing, tuple(others), agreement.access
        )

    async def items_again(
        self,
        organization_id: UUID,
        facts: Facts,
        request: CaptureRequest | ExtendRequest,
        *,
        is_positive: bool = False,
        now: datetime,
    ) -> tuple[Item, ...] | None:
        """The items, or the amount, that a command on a hold names; None if it names neither."""
        wanted = await requested(request, items_max=self._items_max)
        if wanted is None:
            if request.amount is None:
                return None
            return (amount_item(request.amount, facts.asset, is_positive=is_positive),)
        return await self._rate_again(organization_id, facts, wanted, now=now)

    async def _access_of_amount(self, card: CustomerCard, request: QuoteRequest) -> Access | None:
        """What the customer may use of the features that it asks for with an amount.

        That of its subscription, if it has one. Raises Invalid where it has several and names none.
        """
        if not request.features:
            return None
        agreements = [
            one
            for one in card.agreements
            if request.external_subscription_id in {None, one.agreement.external_id}
        ]
        if len(agreements) > 1:
            raise Invalid(
                "external_subscription_id", "value_is_mandatory", "the customer has several"
            )
        if not agreements and request.external_subscription_id is not None:
            raise Invalid("external_subscription_id", "subscription_not_found")
        if agreements:
            return agreements[0].access
        return await self._rates.access(card.organization_id, None)

    async def _asset(self, organization_id: UUID, code: str, *, now: datetime) -> Asset:
        try:
            return await self._rates.asset(organization_id, code, now=now)
        except NotFound:
            raise Invalid("asset_code", "asset_not_found") from None

    async def _rate_again(
        self,
        organization_id: UUID,
        facts: Facts,
        wanted: RequestedItems,
        *,
        now: datetime,
    ) -> tuple[Item, ...]:
        """Items at the price version that the hold has pinned."""
        if facts.pricing is None:
            raise Invalid("items", "value_is_invalid", "this hold is of an amount, not of items")
        card = await self._rates.card(organization_id, facts.pricing.plan_version_id)
        requests = compute_all(card, wanted.under(card), at=now)
        if facts.asset.code not in common_assets([item.code for item in requests], card):
            raise Invalid("items", "mixed_assets", f"the hold is in {facts.asset.code}")
        return rate_items(requests, card, facts.asset.code)


def amount_item(text: str, asset: Asset, *, is_positive: bool = False) -> Item:
    """An amount as an item that needs no price. Raises Invalid."""
    try:
        amount = money.parse_amount(text, money.Asset(asset.code, asset.scale))
    except InvalidAmount as error:
        raise Invalid("amount", error.reason, str(error)) from None
    if is_positive and amount == 0:
        raise Invalid("amount", "value_is_out_of_range", "more than nothing")
    return Item(AMOUNT_CODE, {}, amount_minor=amount)
