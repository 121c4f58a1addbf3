"""Authorizations: whether a customer may spend this.

Quoted (`authorization_quotes`), then decided in the committer (see decision/holds.py).

held ──capture (final)──► captured ◄──late capture──┐
 │ ▲                                                │
 │ └─ capture (partial), extend                     │
 ├────────void──────────► voided                    │
 └────────time────────────────────────► expired ────┘
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct

from invoicing.pages import Page, Window
from invoicing.records import load_queries
from wallet_service.authorization_facts import AuthorizationFacts, Facts
from wallet_service.authorization_quotes import Quote, Quotes, amount_item
from wallet_service.authorization_requests import (
    AuthorizationRequest,
    CaptureRequest,
    EstimateBody,
    EstimateReply,
    ExtendRequest,
    QuoteRequest,
    RefundRequest,
)
from wallet_service.budget_counters import read_buckets
from wallet_service.committer import Committer
from wallet_service.database import Database
from wallet_service.decision import CustomerState
from wallet_service.decision.budget_state import BucketState, BudgetKey
from wallet_service.decision.budgets import buckets_of
from wallet_service.decision.case import authorization_body
from wallet_service.decision.commands import Authorize, Capture, Choice, Extend, Refund, Void
from wallet_service.decision.pricing import WantedTotal, wanted_totals
from wallet_service.decision.state import TotalKey
from wallet_service.decision.trial import try_authorize
from wallet_service.errors import Invalid, NotFound
from wallet_service.hot_customers import HotCustomers
from wallet_service.operation_reading import hold_of
from wallet_service.operations import check_key, operation
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.replies import AuthorizationBody, ItemAmount
from wallet_service.running_totals import learn_totals
from wallet_service.settings import Settings

__all__ = ["AuthorizationFilter", "Authorizations"]

COUNT_MAX: Final = 100_000

_queries: Final[Any] = load_queries(__file__)


class AuthorizationFilter(Struct, frozen=True, kw_only=True):
    """Which authorizations are wanted; None means all."""

    external_customer_id: str | None = None
    transaction_id: str | None = None
    status: str | None = None


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
        self._quotes = Quotes(rates=rates, items_max=settings.items_max)
        self._expires_in_s_default = settings.hold_expires_in_s_default
        self._expires_in_s_max = settings.hold_expires_in_s_max
        self._facts = AuthorizationFacts(database=database, rates=rates)

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
        quote = await self._quotes.quote(organization_id, request, now=now)
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
            self._facts.keep(
                organization_id,
                Facts(asked.id, quote.card.customer_id, quote.asset, quote.pricing, api_key_id),
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
        facts = await self._facts.find(organization_id, authorization_id, now=now)
        key: str | None = None
        if request.transaction_id is not None or not request.final:
            key = check_key(request.transaction_id)
        items = await self._quotes.items_again(organization_id, facts, request, now=now)
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
        facts = await self._facts.find(organization_id, authorization_id, now=now)
        key = check_key(request.transaction_id)
        items = await self._quotes.items_again(
            organization_id, facts, request, is_positive=True, now=now
        )
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
        facts = await self._facts.find(organization_id, authorization_id, now=now)
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
        facts = await self._facts.find(organization_id, authorization_id, now=now)
        key = check_key(request.transaction_id)
        amount = None
        if request.amount is not None:
            amount = amount_item(request.amount, facts.asset, is_positive=True).amount_minor
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
        quote = await self._quotes.quote(organization_id, request, now=now)
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
        quote = await self._quotes.quote(organization_id, request, now=now)
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
        facts: Facts,
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

    def _expires_in_s(self, expires_in: int | None) -> int:
        if expires_in is None:
            return self._expires_in_s_default
        if not 1 <= expires_in <= self._expires_in_s_max:
            raise Invalid(
                "expires_in", "value_is_out_of_range", f"1 to {self._expires_in_s_max} seconds"
            )
        return expires_in

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
        quote: Quote,
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
        self, choices: Sequence[Choice], quote: Quote, customer: CustomerState, *, now: datetime
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


class _Bound(Struct, frozen=True):
    """A body together with the authorization in the path: the key is bound to both."""

    authorization_id: UUID
    body: Any
