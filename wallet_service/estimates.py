"""Estimates: the fees that an event would bring, before anybody sends it. Nothing is stored.

An event has a fee for each charge of its metric that is paid in advance. It is priced from what the
subscription has used so far, as the event would be; an instant estimate knows no usage, and prices
it as the first of a period.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from invoicing import billable_metrics
from invoicing.charge_filters import PlanChargeFilter
from invoicing.charges import PlanCharge
from invoicing.periods import Bounds
from invoicing.usage_versions import PricedCharge, PricedVersion, Versions
from rating.charges import Conversion
from rating.exact import ONE, ZERO, divided
from rating.pricing_units import converted_fee
from rating.rate_cards import PRECISE_AMOUNT
from rating.totals import Total
from wallet_service.database import Database
from wallet_service.decision import Done, LockedState, Refused, decide
from wallet_service.decision.commands import Choice, Debit, Pricing
from wallet_service.decision.pricing import price_item, wanted_totals
from wallet_service.decision.state import EventLine, TotalKey
from wallet_service.errors import Denied, Invalid
from wallet_service.hot_customers import HotCustomers
from wallet_service.operations import operation
from wallet_service.running_totals import learn_totals
from wallet_service.usage import Usage
from wallet_service.usage_requests import BadBatch, EventRequest

__all__ = ["EstimatedFee", "Estimates"]


class EstimatedFee(Struct, frozen=True, kw_only=True):
    """What one charge would bill for an event."""

    metric_name: str
    charge: PlanCharge
    filter: PlanChargeFilter | None
    asset_code: str
    """That of the charge, or of the alternative that would pay."""
    conversion: Conversion | None
    group: str
    units: Decimal
    """What the event adds to the usage that is billed."""
    amount: Decimal
    """Exact, in units of the asset."""
    unit_amount: Decimal
    """Exact, in the pricing unit; the same as `amount` where there is none."""
    period: Bounds
    subscription_id: UUID
    external_subscription_id: str
    customer_id: UUID
    external_customer_id: str | None
    transaction_id: str | None


class _Priced(Struct, frozen=True):
    """An event that has a price."""

    debit: Debit
    pricing: Pricing
    customer_id: UUID
    at: datetime


class _Named(Struct, frozen=True):
    """What a fee is named by: the charges of a plan version, and a metric."""

    version: PricedVersion
    metric_name: str


class Estimates:
    """Prices events that may come."""

    def __init__(self, *, database: Database, usage: Usage, hot: HotCustomers) -> None:
        self._database = database
        self._usage = usage
        self._hot = hot
        self._versions = Versions()

    async def fees(
        self, organization_id: UUID, request: EventRequest, *, now: datetime
    ) -> list[EstimatedFee]:
        """The fees of an event after all that was used so far. Raises Invalid."""
        priced = await self._priced(organization_id, request, now=now)
        if priced is None:
            return []
        totals = await self._totals(organization_id, priced)
        choice = await self._choice(organization_id, priced, totals, now=now)
        named = await self._named(organization_id, priced)
        return _fees(priced, named, choice, totals)

    async def instant_fees(
        self, organization_id: UUID, request: EventRequest, *, now: datetime
    ) -> list[EstimatedFee]:
        """The fees of an event as if it were the first of its period. Raises Invalid."""
        return await self._instant_fees(organization_id, request, {}, now=now)

    async def all_instant_fees(
        self, organization_id: UUID, requests: Sequence[EventRequest], *, now: datetime
    ) -> list[EstimatedFee]:
        """The fees of events, each as if it were the first. Raises BadBatch, by their index."""
        problems: dict[str, dict[str, list[str]]] = {}
        fees: list[EstimatedFee] = []
        named: dict[tuple[UUID, str], _Named] = {}
        for position, request in enumerate(requests):
            try:
                fees += await self._instant_fees(organization_id, request, named, now=now)
            except Invalid as error:
                problems[str(position)] = {error.field: [error.code]}
        if problems:
            raise BadBatch(problems)
        return fees

    # -- parts -------------------------------------------------------------------------------------

    async def _instant_fees(
        self,
        organization_id: UUID,
        request: EventRequest,
        named: dict[tuple[UUID, str], _Named],
        *,
        now: datetime,
    ) -> list[EstimatedFee]:
        """The fees of an event without usage; `named` is what is at hand of versions."""
        priced = await self._priced(organization_id, request, now=now)
        if priced is None:
            return []
        place = priced.pricing.plan_version_id, priced.debit.code
        if place not in named:
            named[place] = await self._named(organization_id, priced)
        return _fees(priced, named[place], priced.debit.choices[0], {})

    async def _priced(
        self, organization_id: UUID, request: EventRequest, *, now: datetime
    ) -> _Priced | None:
        """The event with its prices; None where the subscription's plan does not price its metric.

        Raises Invalid where it would be stored without a price.
        """
        debit, customer_id = await self._usage.rate(organization_id, request, now=now)
        reason, detail = debit.unrated_reason, debit.unrated_detail or ""
        if reason is None:
            assert debit.pricing is not None, "what is rated is rated under an agreement"
            assert customer_id is not None, "an agreement is a customer's"
            return _Priced(debit, debit.pricing, customer_id, debit.timestamp or now)
        if reason == "billable_metric_not_found":
            async with self._database.tenant(organization_id) as connection:
                if await billable_metrics.find(connection, organization_id, debit.code):
                    return None
            raise Invalid("code", "billable_metric_not_found")
        if reason == "customer_not_found":
            raise Invalid("external_customer_id", "customer_not_found")
        if reason == "subscription_not_found":
            raise Invalid("external_subscription_id", "subscription_not_found")
        code = "value_is_mandatory" if reason == "missing_property" else "price_not_found"
        is_beside = detail in {PRECISE_AMOUNT, "asset_code"}
        raise Invalid(detail if is_beside else f"properties.{detail}", code)

    async def _totals(self, organization_id: UUID, priced: _Priced) -> dict[TotalKey, Total]:
        items = [item for choice in priced.debit.choices for item in choice.items]
        wanted = {
            (organization_id, total.key): total
            for total in wanted_totals(items, priced.pricing, at=priced.at)
        }
        if not wanted:
            return {}
        async with self._database.tenant(organization_id) as connection:
            found = await learn_totals(connection, wanted)
        return {key: total for (_, key), total in found.items()}

    async def _choice(
        self,
        organization_id: UUID,
        priced: _Priced,
        totals: dict[TotalKey, Total],
        *,
        now: datetime,
    ) -> Choice:
        """In which asset the event would be paid now; the last, where its wallet would refuse."""
        debit = priced.debit
        if not debit.others:
            return debit.choices[0]
        place = organization_id, priced.customer_id
        customer = await self._hot.load_one(place)
        customer.totals.update(totals)
        trial = operation(
            organization_id,
            "estimate",
            None,
            debit,
            customer_id=priced.customer_id,
            body=EventRequest(),
            now=now,
        )
        (outcome,) = decide([trial], LockedState(now, {place: customer}), is_atomic=True)
        if isinstance(outcome, Refused) and not isinstance(outcome.error, Denied):
            raise outcome.error
        if isinstance(outcome, Done):
            (row,) = outcome.effect.events
            return next(one for one in debit.choices if one.asset.code == row.asset_code)
        return debit.choices[-1]

    async def _named(self, organization_id: UUID, priced: _Priced) -> _Named:
        version_id, code = priced.pricing.plan_version_id, priced.debit.code
        async with self._database.tenant(organization_id) as connection:
            found = await self._versions.load(connection, organization_id, [version_id])
            metric = await billable_metrics.find(connection, organization_id, code)
        return _Named(found[version_id], code if metric is None else metric.name)


def _fees(
    priced: _Priced, named: _Named, choice: Choice, totals: dict[TotalKey, Total]
) -> list[EstimatedFee]:
    (item,) = choice.items
    _, lines, _ = price_item(item, choice.asset, priced.pricing, dict(totals), at=priced.at)
    return [
        _fee(priced, charge, line, metric_name=named.metric_name)
        for line in lines
        if (charge := _charge_in_advance(named.version, line)) is not None
    ]


def _charge_in_advance(version: PricedVersion, line: EventLine) -> PricedCharge | None:
    """The charge of a line, if its price is known with the event, and paid then."""
    assert line.charge_id is not None, "an event is priced by charges"
    charge = version.find(line.charge_id)
    bucket = version.card.bucket(line.charge_id, line.filter_id)
    assert charge is not None, "the version that priced a line has its charge"
    assert bucket is not None, "and its price"
    is_known = charge.listed.pay_in_advance and bucket.timing != "deferred"
    return charge if is_known else None


def _fee(
    priced: _Priced, charge: PricedCharge, line: EventLine, *, metric_name: str
) -> EstimatedFee:
    cycle, debit, pricing = priced.pricing.cycle, priced.debit, priced.pricing
    conversion = charge.rated.conversion
    unit_amount = line.exact
    if conversion is not None:
        unit_amount = divided(line.exact, conversion.rate) if conversion.rate else ZERO
    prices = (charge.listed, *charge.listed.alternatives)
    filters = (one for price in prices for one in price.filters)
    return EstimatedFee(
        metric_name=metric_name,
        charge=charge.listed,
        filter=next((one for one in filters if one.id == line.filter_id), None),
        asset_code=charge.rated.asset_code,
        conversion=conversion,
        group=line.group,
        units=_added(line),
        amount=converted_fee(unit_amount, conversion),
        unit_amount=unit_amount,
        period=cycle.period_at(priced.at),
        subscription_id=pricing.subscription_id,
        external_subscription_id=pricing.external_subscription_id,
        customer_id=priced.customer_id,
        external_customer_id=debit.external_customer_id,
        transaction_id=debit.transaction_id or None,
    )


def _added(line: EventLine) -> Decimal:
    """The units that the event adds: none that it takes away, and a member only once."""
    if line.member is not None:
        return ZERO if line.removes or line.was_member else ONE
    return max(line.units, ZERO)
