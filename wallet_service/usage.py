"""Usage events at the door: whose they are, what prices them, and which operation they become.

A malformed event is refused. A well-formed one that nothing can rate yet (unknown code,
subscription or customer, a missing property, a value without a price) is stored as unrated and
driven again when the cause may be gone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import events
from invoicing.events import Event
from invoicing.records import from_json
from ledger import money
from ledger.errors import InvalidAmount
from ledger.ids import new_uuid
from rating.errors import InvalidQuantity, MissingProperty, RatingError, UnknownCode
from wallet_service.budget_scopes import Spender
from wallet_service.committer import Committer
from wallet_service.database import Database
from wallet_service.decision import Operation
from wallet_service.decision.commands import Choice, Debit, Pricing, Reverse
from wallet_service.errors import Invalid, NotAllowed, NotFound
from wallet_service.expressions import compute
from wallet_service.items import agreement_for, rate_item, read_precise_amount
from wallet_service.operations import RESERVED_PREFIX, operation
from wallet_service.rate_card_cache import CustomerCard, PricedAgreement, RateCardCache
from wallet_service.usage_requests import (
    BadBatch,
    EventRequest,
    ReverseRequest,
    check_event,
    client_key,
    key_of_event,
    read_timestamp,
)

__all__ = ["Usage"]


class _Source(Struct, frozen=True):
    """What is known of the one who used."""

    card: CustomerCard | None
    agreement: PricedAgreement | None
    reason: str | None = None
    detail: str | None = None


class Usage:
    """Takes usage events, single and in batches, takes them back, and drives unrated ones again."""

    def __init__(self, *, database: Database, committer: Committer, rates: RateCardCache) -> None:
        self._database = database
        self._committer = committer
        self._rates = rates

    async def record(
        self,
        organization_id: UUID,
        request: EventRequest,
        *,
        now: datetime,
        api_key_id: UUID | None = None,
    ) -> bytes:
        """Store and charge one event; it counts in the budgets of the key too.

        Raises Invalid, Denied (where the wallet rejects), Unavailable.
        """
        return await self._committer.submit(
            await self._debit(organization_id, request, now=now, api_key_id=api_key_id)
        )

    async def record_all(
        self,
        organization_id: UUID,
        requests: Sequence[EventRequest],
        *,
        now: datetime,
        api_key_id: UUID | None = None,
    ) -> list[bytes | Exception]:
        """Store and charge a batch; a malformed event refuses all of it, by its index.

        The outcomes are those of each event: known ones give their first reply, refused ones their
        error.
        """
        problems: dict[str, dict[str, list[str]]] = {}
        operations: list[Operation] = []
        await self._rates.meet(
            organization_id,
            subscriptions=[
                one.external_subscription_id for one in requests if one.external_subscription_id
            ],
            customers=[
                one.external_customer_id
                for one in requests
                if one.external_customer_id and not one.external_subscription_id
            ],
            now=now,
        )
        for position, request in enumerate(requests):
            try:
                operations.append(
                    await self._debit(organization_id, request, now=now, api_key_id=api_key_id)
                )
            except Invalid as error:
                problems[str(position)] = {error.field: [error.code]}
        if problems:
            raise BadBatch(problems)
        return await self._committer.submit_all(operations)

    async def rate(
        self, organization_id: UUID, request: EventRequest, *, now: datetime
    ) -> tuple[Debit, UUID | None]:
        """An event with its prices, or the reason why it has none, and whose it is.

        It needs no key, and nothing comes of it. Raises Invalid.
        """
        check_event(request)
        timestamp = read_timestamp(request.timestamp)
        source = await self._source(organization_id, request, timestamp or now, now=now)
        return await self._rated(
            organization_id, request, source, timestamp, event_id=None, now=now
        )

    async def reverse(
        self, organization_id: UUID, transaction_id: str, request: ReverseRequest, *, now: datetime
    ) -> bytes:
        """Take back an event's charge. Raises NotFound, NotAllowed, Invalid, Unavailable."""
        key = client_key(request.transaction_id)
        if key == transaction_id:
            raise Invalid(
                "transaction_id", "value_already_exist", "a reversal has a key of its own"
            )
        async with self._database.tenant(organization_id) as connection:
            event = await events.get(
                connection,
                organization_id,
                transaction_id,
                external_subscription_id=request.external_subscription_id,
            )
        # A capture is given back by a refund of its authorization.
        is_usage = not (event.reverses_event_id or event.transaction_id.startswith(RESERVED_PREFIX))
        if event.customer_id is None or event.asset_code is None or not is_usage:
            raise NotAllowed("nothing_to_reverse")
        asset = await self._rates.asset(organization_id, event.asset_code, now=now)
        amount = None
        if request.amount is not None:
            try:
                amount = money.parse_amount(request.amount, money.Asset(asset.code, asset.scale))
            except InvalidAmount as error:
                raise Invalid("amount", error.reason, str(error)) from None
            if amount == 0:
                raise Invalid("amount", "value_is_out_of_range", "more than nothing")
        return await self._committer.submit(
            operation(
                organization_id,
                "event",
                key_of_event(event.external_subscription_id, key),
                Reverse(event.id, key, asset, amount),
                customer_id=event.customer_id,
                body=_BoundReverse(event.id, request),
                now=now,
            )
        )

    async def redrive(self, event: Event, *, now: datetime) -> bool:
        """Try to rate a stored event that could not be rated; says whether it can be now."""
        request = EventRequest(
            transaction_id=event.transaction_id,
            code=event.code,
            external_subscription_id=event.external_subscription_id,
            external_customer_id=event.external_customer_id,
            properties=from_json(event.properties),
            precise_total_amount_cents=event.precise_total_amount_cents,
        )
        source = await self._source(event.organization_id, request, event.timestamp, now=now)
        debit, customer_id = await self._rated(
            event.organization_id, request, source, event.timestamp, event_id=event.id, now=now
        )
        if debit.unrated_reason is not None or customer_id is None:
            return False
        debit = await self._counted(event.organization_id, debit, customer_id, None)
        await self._committer.submit(
            operation(
                event.organization_id,
                "redrive",
                str(event.id),
                debit,
                customer_id=customer_id,
                body=_Redriven(event.id),
                now=now,
            )
        )
        return True

    # -- parts -------------------------------------------------------------------------------------

    async def _debit(
        self,
        organization_id: UUID,
        request: EventRequest,
        *,
        now: datetime,
        api_key_id: UUID | None,
    ) -> Operation:
        key = client_key(request.transaction_id)
        debit, customer_id = await self.rate(organization_id, request, now=now)
        debit = await self._counted(organization_id, debit, customer_id, api_key_id)
        return operation(
            organization_id,
            "event",
            key_of_event(request.external_subscription_id, key),
            debit,
            customer_id=customer_id,
            body=request,
            now=now,
        )

    async def _counted(
        self,
        organization_id: UUID,
        debit: Debit,
        customer_id: UUID | None,
        api_key_id: UUID | None,
    ) -> Debit:
        """The event with the budgets that it is counted in."""
        if customer_id is None or not debit.choices:
            return debit
        name = debit.pricing.external_subscription_id if debit.pricing else None
        budgets = await self._rates.budgets(organization_id)
        return budgets.count(debit, Spender(customer_id, name, api_key_id))

    async def _source(
        self, organization_id: UUID, request: EventRequest, at: datetime, *, now: datetime
    ) -> _Source:
        """Who used: the subscription says, or the customer."""
        if request.external_subscription_id:
            card = await self._subscriber(organization_id, request.external_subscription_id, at)
            if card is not None:
                return _Source(card, card.agreements[0])
        if not request.external_customer_id:
            return _Source(None, None, "subscription_not_found")
        try:
            card = await self._rates.customer(
                organization_id, request.external_customer_id, now=now
            )
        except NotFound:
            return _Source(None, None, "customer_not_found")
        if request.external_subscription_id or not card.agreements:
            return _Source(card, None, "subscription_not_found")
        try:
            return _Source(card, agreement_for(card, [request.code or ""], None))
        except Invalid as error:
            if error.field == "external_subscription_id":
                raise
            return _Source(card, None, "billable_metric_not_found", request.code)

    async def _subscriber(
        self, organization_id: UUID, external_subscription_id: str, at: datetime
    ) -> CustomerCard | None:
        """The subscription's customer at a time; a whole second stands for all of that second.

        Clients cut the fraction off, and so would lose what is used in a subscription's first one.
        """
        card = await self._rates.subscriber(organization_id, external_subscription_id, at=at)
        if card is None and at.microsecond == 0:
            last = at + timedelta(milliseconds=999)
            card = await self._rates.subscriber(organization_id, external_subscription_id, at=last)
        return card

    async def _rated(
        self,
        organization_id: UUID,
        request: EventRequest,
        source: _Source,
        timestamp: datetime | None,
        *,
        event_id: UUID | None,
        now: datetime,
    ) -> tuple[Debit, UUID | None]:
        """The event with its prices, or with the reason why it has none; and whose it is."""
        properties = request.properties or {}
        choices: list[Choice] = []
        pricing: Pricing | None = None
        reason, detail = source.reason, source.detail
        amount = read_precise_amount(
            request.precise_total_amount_cents, "precise_total_amount_cents"
        )
        if source.agreement is not None:
            agreement = await self._rates.at(source.agreement, timestamp or now)
            pricing, card, code = agreement.pricing, agreement.card, request.code or ""
            properties = compute(card, code, properties, at=timestamp or now)
            try:
                for asset_code in card.assets(code):
                    item = rate_item(
                        code, properties, card, asset_code, precise_amount_cents=amount
                    )
                    asset = await self._rates.asset(organization_id, asset_code, now=now)
                    choices.append(Choice(asset, (item,)))
                if not choices:
                    reason, detail = "price_not_found", "asset_code"
            except InvalidQuantity as error:
                raise Invalid(f"properties.{error.field}", "value_is_invalid", str(error)) from None
            except RatingError as error:
                choices.clear()
                reason, detail = _REASONS.get(type(error), "price_not_found"), error.field
        debit = Debit(
            event_id=event_id or new_uuid(now),
            transaction_id=request.transaction_id or "",
            code=request.code or "",
            properties=properties,
            external_subscription_id=request.external_subscription_id
            or (pricing.external_subscription_id if pricing else None),
            external_customer_id=request.external_customer_id
            or (source.card.external_id if source.card else None),
            timestamp=timestamp,
            item=choices[0].items[0] if choices else None,
            asset=choices[0].asset if choices else None,
            others=tuple(choices[1:]),
            precise_total_amount_cents=amount,
            pricing=pricing,
            unrated_reason=reason,
            unrated_detail=detail,
            redrives=event_id is not None,
        )
        return debit, source.card.customer_id if source.card else None


_REASONS: Final[Mapping[type[RatingError], str]] = {
    UnknownCode: "billable_metric_not_found",
    MissingProperty: "missing_property",
}


class _BoundReverse(Struct, frozen=True):
    event_id: UUID
    body: ReverseRequest


class _Redriven(Struct, frozen=True):
    event_id: UUID
