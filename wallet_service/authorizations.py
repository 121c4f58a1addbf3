"""Authorizations: whether a customer may spend this.

Quoted here, decided in the committer (see decision/holds.py).

held ──capture (final)──► captured ◄──late capture──┐
 │ ▲                                                │
 │ └─ capture (partial), extend                     │
 ├────────void──────────► voided                    │
 └────────time────────────────────────► expired ────┘
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing.access import Access
from invoicing.pages import Page, Window
from invoicing.records import load_queries
from ledger import money
from ledger.errors import InvalidAmount
from wallet_service.batched_read import BatchedRead
from wallet_service.budget_counters import read_buckets
from wallet_service.budget_scopes import Spender
from wallet_service.committer import Committer
from wallet_service.database import Database
from wallet_service.decision import (
    Asset,
    CustomerState,
)
from wallet_service.decision.budget_state import BucketState, BudgetKey
from wallet_service.decision.budgets import buckets_of
from wallet_service.decision.case import authorization_body
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Authorize,
    Capture,
    Choice,
    Cycle,
    Extend,
    Item,
    Pricing,
    Refund,
    Void,
)
from wallet_service.decision.pricing import WantedTotal, wanted_totals
from wallet_service.decision.state import TotalKey
from wallet_service.decision.trial import try_authorize
from wallet_service.errors import Invalid, NotFound
from wallet_service.expressions import compute_all
from wallet_service.hot_customers import HotCustomers
from wallet_service.items import common_assets, rate_items
from wallet_service.operation_reading import hold_of
from wallet_service.operations import check_key, operation
from wallet_service.rate_card_cache import CustomerCard, RateCardCache
from wallet_service.replies import (
    AuthorizationBody,
    ItemAmount,
    PassedBudget,
)
from wallet_service.requested_items import RequestedItems, UsedFields, agreed, requested
from wallet_service.running_totals import learn_totals
from wallet_service.settings import Settings

__all__ = [
    "AuthorizationFilter",
    "AuthorizationRequest",
    "Authorizations",
    "CaptureRequest",
    "EstimateBody",
    "ExtendRequest",
    "QuoteRequest",
    "RefundRequest",
]

AmountText = Annotated[str, Meta(max_length=100)]
AssetText = Annotated[str, Meta(min_length=2, max_length=32)]
IdText = Annotated[str, Meta(min_length=1, max_length=255)]
FeatureText = Annotated[str, Meta(min_length=1, max_length=255)]

COUNT_MAX: Final = 100_000
_FACTS_MAX: Final = 50_000

_queries: Final[Any] = load_queries(__file__)


class QuoteRequest(
    UsedFields, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What is to be paid for, and by whom."""

    external_customer_id: IdText
    external_subscription_id: IdText | None = None
    asset_code: AssetText | None = None
    features: Annotated[list[FeatureText], Meta(max_length=100)] | None = None


class AuthorizationRequest(
    QuoteRequest, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """A hold that is asked for. ``partial`` takes what there is; ``expires_in`` is in seconds."""

    transaction_id: str | None = None
    partial: bool = False
    expires_in: int | None = None


class CaptureRequest(
    UsedFields, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What was really used. ``final`` false keeps the rest of the hold."""

    transaction_id: str | None = None
    final: bool = True


class ExtendRequest(
    UsedFields, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """More money, more time, or both."""

    transaction_id: str | None = None
    expires_in: int | None = None


class RefundRequest(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Captured money that goes back; all of it without an amount."""

    transaction_id: str | None = None
    amount: AmountText | None = None


class EstimateBody(Struct):
    """What an authorization would say, without a hold; ``code`` tells why it would be refused."""

    amount: str
    asset_code: str
    available: str
    sufficient: bool
    items: list[ItemAmount]
    code: str | None = None
    error_details: dict[str, Any] | None = None
    budget_warnings: list[PassedBudget] | UnsetType = UNSET
    """Soft budgets that it would pass."""


class EstimateReply(Struct):
    """The envelope of an estimate."""

    estimate: EstimateBody


class AuthorizationFilter(Struct, frozen=True, kw_only=True):
    """Which authorizations are wanted; None means all."""

    external_customer_id: str | None = None
    transaction_id: str | None = None
    status: str | None = None


class _Facts(Struct, frozen=True):
    """What never changes of an authorization."""

    id: UUID
    customer_id: UUID
    asset: Asset
    pricing: Pricing | None
    api_key_id: UUID | None

    @property
    def spender(self) -> Spender:
        """On whose behalf, and through which key, it was asked for."""
        return _spender(self.customer_id, self.pricing, self.api_key_id)


class _Quote(Struct, frozen=True):
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
        return _spender(self.card.customer_id, self.pricing, api_key_id)


class Authorizations:
    """Asks the committer for holds, captures, extensions, voids and refunds, and shows them."""

    def __init__(
        self,
        *,
        database: Database,
        committer: Committer,
        rates: RateCardCache,
        hot: HotCustomers,
        settings: Settings,
    ) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates
        self._hot = hot
        self._items_max = settings.items_max
        self._expires_in_s_default = settings.hold_expires_in_s_default
        self._expires_in_s_max = settings.hold_expires_in_s_max
        self._facts: OrderedDict[tuple[UUID, UUID], _Facts] = OrderedDict()
        self._facts_reader = BatchedRead(self._read_facts)

    # -- commands ----------------------------------------------------------------------------------

    async def authorize(
        self,
        organization_id: UUID,
        request: AuthorizationRequest,
        *,
        now: datetime,
        api_key_id: UUID | None = None,
    ) -> bytes:
        """Hold what the items may cost, in the budgets of the key too.

        Raises Denied (nothing changed), Invalid, NotFound, Unavailable.
        """
        key = check_key(request.transaction_id)
        quote = await self._quote(organization_id, request, now=now)
        command = Authorize(
            quote.card.external_id,
            key,
            quote.asset,
            quote.items,
            self._expires_in_s(request.expires_in),
            quote.pricing,
            request.partial,
            quote.others,
            api_key_id,
            features=tuple(request.features or ()),
            access=quote.access,
        )
        budgets = await self._rates.budgets(organization_id)
        command = budgets.count(command, quote.spender(api_key_id))
        asked = operation(
            organization_id,
            "authorization",
            key,
            command,
            customer_id=quote.card.customer_id,
            body=request,
            now=now,
        )
        reply = await self._committer.submit(asked)
        if not quote.others:
            # Whoever asked will soon capture it, over the same connection as a rule.
            self._keep_facts(
                organization_id,
                _Facts(asked.id, quote.card.customer_id, quote.asset, quote.pricing, api_key_id),
            )
        return reply

    async def capture(
        self,
        organization_id: UUID,
        authorization_id: UUID,
        request: CaptureRequest,
        *,
        now: datetime,
    ) -> bytes:
        """Settle a hold with what was used. Raises NotFound, NotAllowed, Invalid, Unavailable."""
        facts = await self._find_facts(organization_id, authorization_id, now=now)
        key: str | None = None
        if request.transaction_id is not None or not request.final:
            key = check_key(request.transaction_id)
        items = await self._items_again(organization_id, facts, request, now=now)
        if items is None and facts.pricing is not None:
            raise Invalid("items", "value_is_mandatory", "say what was used: items or an amount")
        command = Capture(authorization_id, key, facts.asset, items, request.final, facts.pricing)
        budgets = await self._rates.budgets(organization_id)
        command = budgets.count(command, facts.spender)
        return await self._submit(organization_id, facts, "capture", key, command, request, now=now)

    async def extend(
        self,
        organization_id: UUID,
        authorization_id: UUID,
        request: ExtendRequest,
        *,
        now: datetime,
    ) -> bytes:
        """Hold more, or longer. Raises Denied, NotFound, NotAllowed, Invalid, Unavailable."""
        facts = await self._find_facts(organization_id, authorization_id, now=now)
        key = check_key(request.transaction_id)
        items = await self._items_again(organization_id, facts, request, is_positive=True, now=now)
        if items is None and request.expires_in is None:
            raise Invalid(
                "expires_in", "value_is_mandatory", "extend the amount, the time, or both"
            )
        expires_in_s = (
            None if request.expires_in is None else self._expires_in_s(request.expires_in)
        )
        access = None
        if items and facts.pricing is not None:
            access = await self._rates.access(organization_id, facts.pricing.subscription_id)
        command = Extend(
            authorization_id, facts.asset, items or (), expires_in_s, facts.pricing, access
        )
        budgets = await self._rates.budgets(organization_id)
        command = budgets.count(command, facts.spender)
        return await self._submit(organization_id, facts, "extend", key, command, request, now=now)

    async def void(self, organization_id: UUID, authorization_id: UUID, *, now: datetime) -> bytes:
        """End a hold and give all back. Raises NotFound, NotAllowed, Unavailable."""
        facts = await self._find_facts(organization_id, authorization_id, now=now)
        return await self._submit(
            organization_id,
            facts,
            "void",
            None,
            Void(authorization_id, facts.asset),
            RefundRequest(),
            now=now,
        )

    async def refund(
        self,
        organization_id: UUID,
        authorization_id: UUID,
        request: RefundRequest,
        *,
        now: datetime,
    ) -> bytes:
        """Give captured money back. Raises NotFound, NotAllowed, Invalid, Unavailable."""
        facts = await self._find_facts(organization_id, authorization_id, now=now)
        key = check_key(request.transaction_id)
        amount = None
        if request.amount is not None:
            amount = _amount_item(request.amount, facts.asset, is_positive=True).amount_minor
        command = Refund(authorization_id, facts.asset, key, amount, facts.pricing)
        return await self._submit(organization_id, facts, "refund", key, command, request, now=now)

    # -- questions ---------------------------------------------------------------------------------

    async def estimate(
        self,
        organization_id: UUID,
        request: QuoteRequest,
        *,
        now: datetime,
        api_key_id: UUID | None = None,
    ) -> EstimateReply:
        """What it would cost and whether it would pass, budgets included, from the ledger.

        Holds nothing.
        """
        quote = await self._quote(organization_id, request, now=now)
        key = organization_id, quote.card.customer_id
        customer = await self._hot.load_one(key)
        budgets = await self._rates.budgets(organization_id)
        command = budgets.count(quote.trial(request), quote.spender(api_key_id))
        buckets = await self._buckets(organization_id, command, now=now)
        return await self._would_be(command, quote, customer, now=now, buckets=buckets)

    async def check(
        self, organization_id: UUID, request: QuoteRequest, *, now: datetime
    ) -> EstimateReply:
        """The same from the hot balances: one read of Redis, not binding. Knows of no budgets."""
        quote = await self._quote(organization_id, request, now=now)
        customer = await self._hot.get((organization_id, quote.card.customer_id))
        command = quote.trial(request)
        return await self._would_be(command, quote, customer, now=now, buckets={})

    async def get(
        self, organization_id: UUID, authorization_id: UUID, *, now: datetime
    ) -> AuthorizationBody:
        """An authorization as it stands. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            row = await _queries.find_authorization(
                connection, organization_id=organization_id, id=authorization_id
            )
        if row is None:
            raise NotFound("authorization")
        return await self._body(organization_id, row, now=now)

    async def find_all(
        self,
        organization_id: UUID,
        wanted: AuthorizationFilter,
        *,
        window: Window,
        now: datetime,
    ) -> Page[AuthorizationBody]:
        """A page of authorizations, newest first; counts stop at COUNT_MAX."""
        values = {
            "organization_id": organization_id,
            "external_customer_id": wanted.external_customer_id,
            "transaction_id": wanted.transaction_id,
            "status": wanted.status,
        }
        async with self._database.tenant(organization_id) as connection:
            rows = [
                row
                async for row in _queries.list_authorizations(
                    connection, **values, limit=window.size, offset=window.offset
                )
            ]
            count = await _queries.count_authorizations(connection, **values, count_max=COUNT_MAX)
        bodies: list[AuthorizationBody] = []
        for row in rows:
            hold = hold_of(row)
            asset = await self._rates.asset(organization_id, hold.asset_code, now=now)
            bodies.append(authorization_body(hold, asset, available_minor=None))
        return Page(bodies, count)

    # -- parts -------------------------------------------------------------------------------------

    async def _body(self, organization_id: UUID, row: Any, *, now: datetime) -> AuthorizationBody:
        hold = hold_of(row)
        asset = await self._rates.asset(organization_id, hold.asset_code, now=now)
        customer = await self._hot.get((organization_id, hold.customer_id))
        codes = {item.code for item in hold.items}
        available = customer.available(asset.code, codes, now=now)
        return authorization_body(hold, asset, available_minor=available)

    async def _submit(
        self,
        organization_id: UUID,
        facts: _Facts,
        kind: str,
        key: str | None,
        command: Capture | Extend | Void | Refund,
        body: Struct,
        *,
        now: datetime,
    ) -> bytes:
        """Commands on a hold; without a key of its own a command repeats by the hold's id."""
        return await self._committer.submit(
            operation(
                organization_id,
                kind,
                str(facts.id) if key is None else key,
                command,
                customer_id=facts.customer_id,
                body=_Bound(facts.id, body),
                now=now,
            )
        )

    async def _quote(
        self, organization_id: UUID, request: QuoteRequest, *, now: datetime
    ) -> _Quote:
        card = await self._rates.customer(organization_id, request.external_customer_id, now=now)
        wanted = await requested(request, items_max=self._items_max)
        if wanted is None:
            if request.amount is None:
                raise Invalid("items", "value_is_mandatory", "items, or an amount and its asset")
            if request.asset_code is None:
                raise Invalid("asset_code", "value_is_mandatory")
            asset = await self._asset(organization_id, request.asset_code, now=now)
            item = _amount_item(request.amount, asset, is_positive=True)
            access = await self._access_of_amount(card, request)
            return _Quote(card, asset, (item,), None, access=access)
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
            asset = await self._asset(organization_id, code, now=now)
            choices.append(Choice(asset, rate_items(requests, agreement.card, code)))
        first, *others = choices
        return _Quote(
            card, first.asset, first.items, agreement.pricing, tuple(others), agreement.access
        )

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

    def _expires_in_s(self, expires_in: int | None) -> int:
        if expires_in is None:
            return self._expires_in_s_default
        if not 1 <= expires_in <= self._expires_in_s_max:
            raise Invalid(
                "expires_in", "value_is_out_of_range", f"1 to {self._expires_in_s_max} seconds"
            )
        return expires_in

    async def _items_again(
        self,
        organization_id: UUID,
        facts: _Facts,
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
            return (_amount_item(request.amount, facts.asset, is_positive=is_positive),)
        return await self._rate_again(organization_id, facts, wanted, now=now)

    async def _rate_again(
        self,
        organization_id: UUID,
        facts: _Facts,
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

    async def _find_facts(
        self, organization_id: UUID, authorization_id: UUID, *, now: datetime
    ) -> _Facts:
        key = organization_id, authorization_id
        known = self._facts.get(key)
        if known is not None:
            return known
        row = await self._facts_reader.find(key)
        if row is None:
            raise NotFound("authorization")
        facts = _Facts(
            row["id"],
            row["customer_id"],
            await self._rates.asset(organization_id, row["asset_code"], now=now),
            None
            if row["subscription_id"] is None
            else Pricing(
                row["subscription_id"],
                row["external_subscription_id"],
                row["plan_version_id"],
                Cycle(
                    row["interval"],
                    row["billing_time"],
                    row["subscription_at"],
                    row["timezone"],
                ),
            ),
            row["api_key_id"],
        )
        self._keep_facts(organization_id, facts)
        return facts

    def _keep_facts(self, organization_id: UUID, facts: _Facts) -> None:
        self._facts[organization_id, facts.id] = facts
        if len(self._facts) > _FACTS_MAX:
            self._facts.popitem(last=False)

    async def _read_facts(self, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Any]:
        """Of many organizations at once, so under the committer's role; every key names its own."""
        rows = await self._database.committer.fetch(
            _queries.find_facts.sql, [key[0] for key in keys], [key[1] for key in keys]
        )
        return {(row["organization_id"], row["id"]): row for row in rows}

    async def _buckets(
        self, organization_id: UUID, command: Authorize, *, now: datetime
    ) -> dict[BudgetKey, BucketState]:
        """Where the budgets stand that a command is counted in, without a lock."""
        keys = buckets_of(command, None)
        if not keys:
            return {}
        async with self._database.tenant(organization_id) as connection:
            return await read_buckets(connection, [(organization_id, key) for key in keys], now=now)

    async def _would_be(
        self,
        command: Authorize,
        quote: _Quote,
        customer: CustomerState,
        *,
        now: datetime,
        buckets: dict[BudgetKey, BucketState],
    ) -> EstimateReply:
        """How the authorization would come out, by the rules of the real one."""
        await self._learn_totals(command.choices, quote, customer, now=now)
        trial = try_authorize(command, customer, now=now, buckets=buckets)
        asset, refusal = trial.choice.asset, trial.refusal
        return EstimateReply(
            EstimateBody(
                amount=asset.format(sum(trial.amounts_minor)),
                asset_code=asset.code,
                available=asset.format(trial.available_minor),
                sufficient=refusal is None,
                items=[
                    ItemAmount(item.code, asset.format(amount))
                    for item, amount in zip(trial.choice.items, trial.amounts_minor, strict=True)
                ],
                code=None if refusal is None else refusal.code,
                error_details=None if refusal is None else refusal.details,
                budget_warnings=list(trial.warnings) if buckets else UNSET,
            )
        )

    async def _learn_totals(
        self, choices: Sequence[Choice], quote: _Quote, customer: CustomerState, *, now: datetime
    ) -> None:
        """Prices that are not linear need the running totals."""
        wanted: dict[tuple[UUID, TotalKey], WantedTotal] = {}
        for choice in choices:
            for total in wanted_totals(choice.items, quote.pricing, at=now):
                wanted[customer.organization_id, total.key] = total
        if not wanted:
            return
        async with self._database.tenant(customer.organization_id) as connection:
            found = await learn_totals(connection, wanted)
        customer.totals.update({key: total for (_, key), total in found.items()})


def _spender(customer_id: UUID, pricing: Pricing | None, api_key_id: UUID | None) -> Spender:
    """An amount that is priced already belongs to no subscription."""
    return Spender(customer_id, pricing.external_subscription_id if pricing else None, api_key_id)


class _Bound(Struct, frozen=True):
    """A body together with the authorization in the path: the key is bound to both."""

    authorization_id: UUID
    body: Any


def _amount_item(text: str, asset: Asset, *, is_positive: bool = False) -> Item:
    try:
        amount = money.parse_amount(text, money.Asset(asset.code, asset.scale))
    except InvalidAmount as error:
        raise Invalid("amount", error.reason, str(error)) from None
    if is_positive and amount == 0:
        raise Invalid("amount", "value_is_out_of_range", "more than nothing")
    return Item(AMOUNT_CODE, {}, amount_minor=amount)
