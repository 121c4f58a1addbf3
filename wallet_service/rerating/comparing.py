"""Past periods at their own prices and at those of another plan, subscription by subscription.

Compared are the prices of usage and the fees of the periods that a subscription lived: fixed
charges, minimums and what the plan itself costs. No coupons or taxes.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import plans
from invoicing.errors import Invalid, NotFound
from invoicing.period_fees import PeriodFee
from invoicing.plan_terms import ChargeMinimum, PlanTerms, load_terms
from invoicing.records import Connection, load_queries
from invoicing.usage_rollups import BEGINNING, UsageKey
from invoicing.usage_versions import PricedVersion, Versions
from rating.errors import (
    ExpressionFailed,
    InvalidMember,
    InvalidQuantity,
    MissingProperty,
    RatingError,
    UnknownCode,
    UnknownPrice,
)
from rating.events import Event
from rating.period_rating import Usage, rate_events
from rating.pricing_units import converted_fee
from wallet_service.rerating.answers import (
    COST_KINDS,
    Comparison,
    Cost,
    CostKind,
    Question,
    Unpriced,
)
from wallet_service.rerating.counting import (
    Bucket,
    CountedUsage,
    Periods,
    last_moment,
    within,
)
from wallet_service.rerating.events import Counts, UsedEvent, read_used
from wallet_service.rerating.fees import AmountsUsed, OwnTerms, fees_of
from wallet_service.rerating.prices import OwnPrices, Prices, TriedPrices
from wallet_service.usage_reports import UsageSubscription

__all__ = ["compare"]

_queries: Final = load_queries(__file__)

_NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Later than all usage."""

_REASONS: Final[dict[type[RatingError], str]] = {
    UnknownCode: "billable_metric_not_found",
    MissingProperty: "missing_property",
    UnknownPrice: "price_not_found",
    InvalidQuantity: "value_is_invalid",
    InvalidMember: "value_is_invalid",
    ExpressionFailed: "expression_failed",
}


class _Subscription(UsageSubscription, frozen=True, kw_only=True):
    """A subscription, by the names that others know it by."""

    external_customer_id: str
    plan_code: str
    first_started_at: datetime
    """When the first of a chain of plan changes began."""


class _Tried(Struct, frozen=True, kw_only=True):
    """The version that is tried."""

    prices: PricedVersion
    terms: PlanTerms
    version: int
    interval: str


async def compare(
    connection: Connection, organization_id: UUID, question: Question, *, now: datetime
) -> Comparison:
    """Price past usage by another plan. Needs a transaction; one that may only read is enough.

    Raises NotFound (plan, plan_version, customer, subscription), and Invalid where there is no such
    time.
    """
    end = min(question.end, now)
    if question.start >= end:
        raise Invalid.field(
            "from", "value_is_out_of_range", "from must be before to, and in the past"
        )
    tried = await _find_tried(connection, organization_id, question, now=now)
    await _check_names(connection, organization_id, question)
    comparer = _Comparer(connection, organization_id, tried, question, end=end)
    await comparer.run()
    return Comparison(
        plan_code=question.plan_code,
        version=tried.version,
        start=question.start,
        end=end,
        costs=comparer.costs,
        unpriced=comparer.unpriced,
    )


async def _find_tried(
    connection: Connection, organization_id: UUID, question: Question, *, now: datetime
) -> _Tried:
    plan_id = await plans.get_id(connection, organization_id, question.plan_code)
    number = question.version
    if number is None:
        number = (await plans.version_at(connection, organization_id, plan_id, now)).version
    row: Any = await _queries.find_version(
        connection, organization_id=organization_id, plan_id=plan_id, version=number
    )
    if row is None:
        raise NotFound("plan_version")
    loaded = await Versions().load(connection, organization_id, [row["id"]])
    terms = await load_terms(connection, organization_id, plan_id)
    return _Tried(
        prices=loaded[row["id"]],
        terms=terms.only(row["id"]),
        version=number,
        interval=row["interval"],
    )


async def _check_names(connection: Connection, organization_id: UUID, question: Question) -> None:
    """Raise NotFound for a customer or a subscription that nobody knows."""
    for resource, external_id, is_known in (
        ("customer", question.external_customer_id, _queries.is_customer),
        ("subscription", question.external_subscription_id, _queries.is_subscription),
    ):
        if external_id is not None and not await is_known(
            connection, organization_id=organization_id, external_id=external_id
        ):
            raise NotFound(resource)


class _Comparer:
    """Goes through the subscriptions, and through the usage of each."""

    def __init__(
        self,
        connection: Connection,
        organization_id: UUID,
        tried: _Tried,
        question: Question,
        *,
        end: datetime,
    ) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._question = question
        self._end = end
        self._interval = tried.interval
        self._own = OwnPrices(connection, organization_id)
        self._tried = TriedPrices(tried.prices, self._own)
        self._own_terms = OwnTerms(connection, organization_id)
        self._tried_terms = tried.terms
        self._names: dict[UUID, str] = {}
        self._staying: set[str] = set()
        self._unpriced: dict[tuple[str, str, str | None], int] = {}
        self.costs: list[Cost] = []

    async def run(self) -> None:
        """Compare the usage of every subscription that is asked for."""
        question, place = self._question, {"organization_id": self._organization_id}
        metrics = _queries.metric_names(self._connection, **place)
        self._names = {row["id"]: row["code"] async for row in metrics}
        staying = _queries.recurring_codes(self._connection, **place)
        self._staying = {row["code"] async for row in staying}
        found = _queries.find_subscriptions(
            self._connection,
            **place,
            external_customer_id=question.external_customer_id,
            external_subscription_id=question.external_subscription_id,
            since=BEGINNING if self._staying else question.start,
            start=question.start,
            until=self._end,
        )
        for subscription in [_Subscription.of(row) async for row in found]:
            self.costs += await self._compare(subscription)
        nobodys = _queries.used_by_nobody(
            self._connection,
            **place,
            start=question.start,
            end=self._end,
            external_customer_id=question.external_customer_id,
            external_subscription_id=question.external_subscription_id,
        )
        async for row in nobodys:
            self._note(row["code"], row["reason"], None, row["events"])

    @property
    def unpriced(self) -> list[Unpriced]:
        """What the plan cannot price, the most frequent first."""
        found = [
            Unpriced(billable_metric_code=code, reason=reason, field=field, events=events)
            for (code, reason, field), events in self._unpriced.items()
        ]
        return sorted(
            found,
            key=lambda one: (-one.events, one.billable_metric_code, one.reason, one.field or ""),
        )

    def _note(self, code: str, reason: str, field: str | None, events: int = 1) -> None:
        place = code, reason, field
        self._unpriced[place] = self._unpriced.get(place, 0) + events

    # -- one subscription --------------------------------------------------------------------------

    async def _compare(self, subscription: _Subscription) -> list[Cost]:
        costs = _Costs(subscription)
        start = self._question.start
        own = CountedUsage(Periods(subscription, start=start, end=self._end))
        moved = structs.replace(subscription, interval=self._interval)
        tried = CountedUsage(Periods(moved, start=start, end=self._end))
        async for used in self._used(subscription, start, self._end):
            own.add(used.code, await self._own.counts(used))
            if used.is_rated:
                costs.of(await self._name(used), used.asset_code or "").events += 1
            tried.add(used.code, await self._try(used, costs))
        if self._staying:
            async for used in self._used(subscription, BEGINNING, start, self._staying):
                own.add(used.code, await self._own.counts(used))
                tried.add(used.code, await _counts_if_any(self._tried, used))
        used_own, used_tried = AmountsUsed(), AmountsUsed()
        async for bucket, amount in self._amounts(subscription, own, self._own):
            used_own.add(bucket, amount)
            costs.of(self._name_of(bucket), bucket.key.asset_code).add(was=amount)
        async for bucket, amount in self._amounts(subscription, tried, self._tried):
            used_tried.add(bucket, amount)
            costs.of(self._name_of(bucket), bucket.key.asset_code).add(would_be=amount)
        terms = await self._own_terms.of(subscription.plan_id)
        since = subscription.first_started_at
        for fee in fees_of(terms, subscription, own.periods, used_own, first_started_at=since):
            self._fee(costs, fee).add(was=fee.amount)
        terms = self._tried_terms
        for fee in fees_of(terms, moved, tried.periods, used_tried, first_started_at=since):
            self._fee(costs, fee).add(would_be=fee.amount)
        return costs.all()

    def _fee(self, costs: "_Costs", fee: PeriodFee) -> Cost:
        """Where a fee is counted: a minimum beside the usage of its metric."""
        source = fee.source
        if isinstance(source, ChargeMinimum):
            code = self._called(source.billable_metric_id, source.billable_metric_code)
        else:
            code = source.code if source else None
        return costs.of(code, fee.asset_code, fee.kind)

    async def _try(self, used: UsedEvent, costs: "_Costs") -> Counts:
        """What an event would count for; what cannot be priced is noted."""
        try:
            counts = await self._tried.counts(used)
        except RatingError as error:
            field = None if isinstance(error, UnknownCode) else error.field or None
            reason = _REASONS.get(type(error), "price_not_found")
            self._note(await self._name(used), reason, field)
            return []
        key, _ = counts[0]
        name = self._called(self._tried.metric_of(key), used.code)
        costs.of(name, key.asset_code).would_be_events += 1
        return counts

    async def _name(self, used: UsedEvent) -> str:
        return self._called(await self._own.metric_of(used), used.code)

    def _name_of(self, bucket: Bucket) -> str:
        listed = bucket.charge.listed
        return self._called(listed.billable_metric_id, listed.billable_metric_code)

    def _called(self, metric_id: UUID | None, code: str) -> str:
        """What a metric is called now, which was called so."""
        return code if metric_id is None else self._names.get(metric_id, code)

    def _used(
        self,
        subscription: _Subscription,
        start: datetime,
        end: datetime,
        codes: Collection[str] | None = None,
    ) -> AsyncIterator[UsedEvent]:
        """What counts within some time: with its end, all that came after it, and only then."""
        last = last_moment(subscription)
        if last is not None and last < end:
            end = _NEVER if start <= last else start
        return read_used(
            self._connection,
            self._organization_id,
            subscription.id,
            start=start,
            end=end,
            codes=codes,
        )

    async def _amounts(
        self, subscription: _Subscription, counted: CountedUsage, prices: Prices
    ) -> AsyncIterator[tuple[Bucket, Decimal]]:
        """What each price came to in each period, in its asset."""
        async for bucket, usage in self._rated(subscription, counted, prices):
            yield bucket, converted_fee(usage.amount, bucket.charge.rated.conversion)

    async def _rated(
        self, subscription: _Subscription, counted: CountedUsage, prices: Prices
    ) -> AsyncIterator[tuple[Bucket, Usage]]:
        """What each price came to in each period; if need be from the events of one at a time."""
        by_events: dict[datetime, list[Bucket]] = {}
        for bucket, usage in counted.rate(await prices.priced_by(subscription.plan_id, counted)):
            if usage is None:
                by_events.setdefault(bucket.stretch.start, []).append(bucket)
            else:
                yield bucket, usage
        for buckets in by_events.values():
            codes = {code for bucket in buckets for code in counted.codes[bucket.key]}
            events = await self._events(subscription, buckets, prices, codes)
            for bucket in buckets:
                used = within(bucket, events[bucket.key])
                yield bucket, rate_events(bucket.terms, used, bucket.stretch.period)

    async def _events(
        self,
        subscription: _Subscription,
        buckets: Iterable[Bucket],
        prices: Prices,
        codes: Collection[str],
    ) -> dict[UsageKey, list[Event]]:
        """The events of some prices in one period, and those before where units stay."""
        by_key = {bucket.key: bucket for bucket in buckets}
        found: dict[UsageKey, list[Event]] = {key: [] for key in by_key}
        stays = any(bucket.terms.recurring for bucket in by_key.values())
        stretch = next(iter(by_key.values())).stretch
        start = BEGINNING if stays else stretch.start
        async for used in self._used(subscription, start, stretch.end, codes):
            for key, event in await _counts_if_any(prices, used):
                bucket = by_key.get(key)
                if bucket and (bucket.terms.recurring or event.timestamp >= stretch.start):
                    found[key].append(event)
        return found


async def _counts_if_any(prices: Prices, used: UsedEvent) -> Counts:
    """What an event counts for; nothing if it cannot be priced."""
    try:
        return await prices.counts(used)
    except RatingError:
        return []


class _Costs:
    """What one subscription costs, by what it is for and by asset."""

    def __init__(self, subscription: _Subscription) -> None:
        self._subscription = subscription
        self._costs: dict[tuple[CostKind, str | None, str], Cost] = {}

    def of(self, code: str | None, asset_code: str, kind: CostKind = "usage") -> Cost:
        """The place of a metric, or of what else is asked for, and an asset."""
        place = kind, code, asset_code
        cost = self._costs.get(place)
        if cost is None:
            cost = self._costs[place] = Cost(
                external_customer_id=self._subscription.external_customer_id,
                external_subscription_id=self._subscription.external_id,
                plan_code=self._subscription.plan_code,
                kind=kind,
                code=code,
                asset_code=asset_code,
            )
        return cost

    def all(self) -> list[Cost]:
        """By kind, by code, then by asset. Fees of nothing on both sides are none."""
        found = [cost for cost in self._costs.values() if cost.kind == "usage" or cost.is_any]
        return sorted(
            found,
            key=lambda cost: (COST_KINDS.index(cost.kind), cost.code or "", cost.asset_code),
        )
