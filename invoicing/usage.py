"""What a subscription has used in a period, and what that costs: one fee a price and group.

Amounts come from rollups (`usage_rollups`) wherever sums are enough. What depends on the order of
events (free tiers, bounds per transaction, days) is rated from the events themselves, as long as
they are not too many; so is what a reversal has left in doubt.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import usage_events, usage_rollups
from invoicing.errors import NotAllowed
from invoicing.periods import Bounds
from invoicing.records import Connection, from_json, to_json
from invoicing.usage_rollups import BEGINNING, StoredUsage, UsageKey
from invoicing.usage_versions import PricedCharge, PricedVersion, Versions, in_force
from rating.events import Event
from rating.period import Period
from rating.period_rating import Usage, rate_events, rate_summaries
from rating.pricing_units import converted_fee
from rating.summaries import NOTHING, Summary, merge, merge_all
from rating.terms import Price, Terms

__all__ = ["ChargeUsage", "Fee", "PeriodUsage", "Wanted", "rate_period"]

EVENTS_MAX: Final = 200_000
"""How many events are rated one by one for an answer: some seconds of work."""

_AT_ONCE_MAX: Final = 1_000
"""More events than this are rated in a thread of their own."""

_NOTHING_STORED: Final = StoredUsage()
_NOT_IN_A_SUM: Final = frozenset({"max_agg", "latest_agg"})


class Wanted(Struct, frozen=True, kw_only=True):
    """Which usage is asked for; None means all."""

    charge_id: UUID | None = None
    charge_code: str | None = None
    billable_metric_code: str | None = None
    group: dict[str, str] = {}
    """Values of pricing group keys; empty: all groups."""
    presentation_keys: tuple[str, ...] | None = None
    """The presentation group keys to break down by."""

    def takes(self, charge: PricedCharge) -> bool:
        """Whether the charge's usage is asked for."""
        listed = charge.listed
        return (
            self.charge_id in {None, listed.id, charge.rated.id}
            and self.charge_code in {None, listed.code}
            and self.billable_metric_code in {None, listed.billable_metric_code}
            and set(self.group) <= set(charge.rated.pricing_group_keys)
        )

    def takes_group(self, group: str) -> bool:
        """Whether the group's usage is asked for."""
        if not self.group:
            return True
        values: dict[str, str | None] = from_json(group) if group else {}
        return all(values.get(key) == value for key, value in self.group.items())


class Fee(Struct, frozen=True, kw_only=True):
    """What one price has come to, or one group of it: a line of the invoice to be."""

    filter_id: UUID | None
    group: str
    usage: Usage
    unit_amount: Decimal
    """The exact price, in the charge's pricing unit if it has one."""
    amount: Decimal
    """The exact price in the charge's asset."""
    debited_minor: int
    """What events were charged of it when they came."""
    terms: Terms
    summary: Summary
    """The sums of the period's events."""
    presented: tuple[tuple[str, Decimal], ...] = ()
    """Units by the values of the presentation group keys."""


class ChargeUsage(Struct, frozen=True, kw_only=True):
    """A charge of the plan in one asset, with its fees."""

    charge: PricedCharge
    fees: tuple[Fee, ...]


class PeriodUsage(Struct, frozen=True, kw_only=True):
    """The usage of a subscription in one period."""

    period: Period
    charges: tuple[ChargeUsage, ...]


class _Question(Struct, frozen=True, kw_only=True):
    """Whose usage of which time is asked for."""

    organization_id: UUID
    subscription_id: UUID
    bounds: Bounds
    period: Period


class _Bucket(Struct, frozen=True, kw_only=True):
    """The usage of one key, and the terms it is priced by."""

    key: UsageKey
    charge: PricedCharge
    terms: Terms
    stored: StoredUsage
    carried: StoredUsage

    @property
    def is_summable(self) -> bool:
        """Whether the sums say what it costs."""
        summaries = self.stored.summaries.values()
        corrections = sum(summary.corrections for summary in summaries)
        versions = sum(1 for summary in summaries if summary.events)
        if not self.terms.is_summable(corrections=corrections, versions=versions):
            return False
        if self.terms.aggregation in _NOT_IN_A_SUM:
            return not self.stored.reversals
        if self.terms.aggregation == "unique_count_agg":
            is_carried = self.terms.recurring and (self.carried.reversals or self.carried.has_edges)
            return not (is_carried or self.stored.presented) and self.stored.is_sure_of_members
        return True

    @property
    def events(self) -> int:
        """How many events are to be read to price it one by one."""
        parts = (self.stored, self.carried) if self.terms.recurring else (self.stored,)
        return sum(summary.events for part in parts for summary in part.summaries.values())

    def carried_summary(self) -> Summary:
        """All that came before the period."""
        return merge_all(self.carried.summaries.values())


async def rate_period(
    connection: Connection,
    versions: Versions,
    *,
    organization_id: UUID,
    subscription_id: UUID,
    plan_id: UUID,
    bounds: Bounds,
    period: Period,
    wanted: Wanted = Wanted(),  # noqa: B008 (frozen)
) -> PeriodUsage:
    """Price all usage within `bounds`; `period` is the part of them that the subscription lived.

    Charges of the version in force at the end are listed first, used or not. Needs a transaction.
    Raises NotAllowed (`too_many_events`) where order matters and there are more than EVENTS_MAX.
    """
    question = _Question(
        organization_id=organization_id,
        subscription_id=subscription_id,
        bounds=bounds,
        period=period,
    )
    names = await versions.names(connection, organization_id, plan_id)
    ends = in_force(names, bounds.end - timedelta(microseconds=1))
    begins = in_force(names, bounds.start)
    loaded = await versions.load(connection, organization_id, {begins.id, ends.id})
    stored = await usage_rollups.read(
        connection, organization_id, subscription_id, start=bounds.start, end=bounds.end
    )
    used = {version for usage in stored.values() for version in usage.summaries}
    loaded |= await versions.load(connection, organization_id, used - loaded.keys())
    ordered = [loaded[name.id] for name in names if name.id in loaded]
    carried = await _carried(connection, question, ordered)
    buckets = [
        bucket
        for key in {**stored, **carried}
        if (bucket := _bucket(key, stored, carried, ordered, begins=loaded[begins.id]))
        and wanted.takes(bucket.charge)
        and wanted.takes_group(key.group)
    ]
    events = await _events(connection, question, [one for one in buckets if not one.is_summable])
    fees: dict[UUID, list[Fee]] = {}
    charges: dict[UUID, PricedCharge] = {
        charge.rated.id: charge for charge in loaded[ends.id].charges if wanted.takes(charge)
    }
    for bucket in buckets:
        fee = await _fee(bucket, events.get(bucket.key), period, wanted.presentation_keys)
        fees.setdefault(bucket.key.charge_id, []).append(fee)
        charges.setdefault(bucket.key.charge_id, bucket.charge)
    return PeriodUsage(
        period=period,
        charges=tuple(
            ChargeUsage(charge=charge, fees=tuple(sorted(fees.get(charge_id, ()), key=_order)))
            for charge_id, charge in charges.items()
        ),
    )


def _order(fee: Fee) -> tuple[str, bool, str]:
    return fee.group, fee.filter_id is None, str(fee.filter_id)


async def _carried(
    connection: Connection, question: _Question, versions: Sequence[PricedVersion]
) -> dict[UsageKey, StoredUsage]:
    """What units that stay begin the period with."""
    staying = {
        rated.id
        for version in versions
        for pair in version.charges
        for rated in (pair.rated, *pair.rated.alternatives)
        if rated.recurring
    }
    if not staying:
        return {}
    return await usage_rollups.read(
        connection,
        question.organization_id,
        question.subscription_id,
        start=BEGINNING,
        end=question.bounds.start,
        charge_ids=list(staying),
    )


def _bucket(
    key: UsageKey,
    stored: Mapping[UsageKey, StoredUsage],
    carried: Mapping[UsageKey, StoredUsage],
    versions: Sequence[PricedVersion],
    *,
    begins: PricedVersion,
) -> _Bucket | None:
    """A key with its prices, or None if it comes to nothing.

    Priced by the versions that its events were rated with. Units that stay and saw no event are
    priced by the version in force when the period began, if that still prices them.
    """
    usage = stored.get(key, _NOTHING_STORED)
    used = {version for version, summary in usage.summaries.items() if summary.events}
    pricing = [version for version in versions if version.id in used] or [begins]
    prices = [
        Price(version.id, found.model)
        for version in pricing
        if (found := version.card.bucket(key.charge_id, key.filter_id))
    ]
    charge = next((found for one in reversed(pricing) if (found := one.find(key.charge_id))), None)
    if charge is None or not prices:
        return None
    terms = Terms.of(charge.rated, prices)
    if not used and not terms.recurring:
        return None
    before = carried.get(key, _NOTHING_STORED) if terms.recurring else _NOTHING_STORED
    return _Bucket(key=key, charge=charge, terms=terms, stored=usage, carried=before)


async def _events(
    connection: Connection, question: _Question, buckets: Collection[_Bucket]
) -> dict[UsageKey, list[usage_events.UsageLine]]:
    """The events of what cannot be priced from sums."""
    found: dict[UsageKey, list[usage_events.UsageLine]] = {bucket.key: [] for bucket in buckets}
    if sum(bucket.events for bucket in buckets) > EVENTS_MAX:
        raise NotAllowed("too_many_events")
    for recurring in (False, True):
        some = [bucket for bucket in buckets if bucket.terms.recurring is recurring]
        if not some:
            continue
        portions = usage_events.lines(
            connection,
            question.organization_id,
            question.subscription_id,
            start=BEGINNING if recurring else question.bounds.start,
            end=question.bounds.end,
            codes={bucket.charge.listed.billable_metric_code for bucket in some},
            charge_ids={bucket.key.charge_id for bucket in some},
        )
        async for portion in portions:
            for line in portion:
                if line.key in found:
                    found[line.key].append(line)
    return found


async def _fee(
    bucket: _Bucket,
    lines: Sequence[usage_events.UsageLine] | None,
    period: Period,
    keys: tuple[str, ...] | None,
) -> Fee:
    """What a bucket costs, from its events where they were read, else from their sums."""
    presented: dict[str, Decimal] = {}
    if lines is None:
        sums: dict[UUID | None, Summary] = {**bucket.stored.summaries}
        usage = _rate_sums(bucket, sums, period, bucket.carried_summary())
        now = _merged(bucket.stored.presented, keys)
        before = _merged(bucket.carried.presented, keys)
        for by in {**now, **before}:
            sums = {None: now.get(by, NOTHING)}
            presented[by] = _rate_sums(bucket, sums, period, before.get(by, NOTHING)).units
    else:
        usage = await _rate_lines(bucket, lines, period)
        groups: dict[str, list[usage_events.UsageLine]] = {}
        for line in lines:
            if line.presented_by:
                groups.setdefault(_narrowed(line.presented_by, keys), []).append(line)
        for by, some in groups.items():
            presented[by] = (await _rate_lines(bucket, some, period)).units
    return Fee(
        filter_id=bucket.key.filter_id,
        group=bucket.key.group,
        usage=usage,
        unit_amount=usage.amount,
        amount=converted_fee(usage.amount, bucket.charge.rated.conversion),
        debited_minor=bucket.stored.debited_minor,
        terms=bucket.terms,
        summary=merge_all(bucket.stored.summaries.values()),
        presented=tuple(sorted(presented.items())),
    )


def _rate_sums(
    bucket: _Bucket,
    summaries: Mapping[UUID | None, Summary],
    period: Period,
    carried: Summary,
) -> Usage:
    return rate_summaries(
        bucket.terms,
        summaries,
        period,
        carried=carried,
        members=bucket.stored.members + bucket.carried.members,
    )


async def _rate_lines(
    bucket: _Bucket, lines: Iterable[usage_events.UsageLine], period: Period
) -> Usage:
    events: list[Event] = [line.event for line in lines]
    if len(events) <= _AT_ONCE_MAX:
        return rate_events(bucket.terms, events, period)
    return await asyncio.to_thread(rate_events, bucket.terms, events, period)


def _merged(presented: Mapping[str, Summary], keys: tuple[str, ...] | None) -> dict[str, Summary]:
    """Sums by the values of some of the presentation group keys."""
    found: dict[str, Summary] = {}
    for by, summary in presented.items():
        narrowed = _narrowed(by, keys)
        found[narrowed] = merge(found.get(narrowed, NOTHING), summary)
    return found


def _narrowed(presented_by: str, keys: tuple[str, ...] | None) -> str:
    """The values of some of the presentation group keys."""
    if keys is None:
        return presented_by
    values: dict[str, str | None] = from_json(presented_by)
    return to_json({key: value for key, value in values.items() if key in keys})
