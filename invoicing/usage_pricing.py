"""What a price, or a group of it, comes to: from sums where they are enough, else from events."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct, structs

from invoicing.records import from_json, to_json
from invoicing.usage_events import UsageLine
from invoicing.usage_rollups import StoredUsage, UsageKey
from invoicing.usage_versions import PricedCharge
from rating.charge_models import Percentage
from rating.exact import EXACT, ZERO
from rating.period import Period
from rating.period_rating import Usage, rate_begun, rate_events, rate_summaries
from rating.pricing_units import converted_fee
from rating.summaries import NOTHING, Summary, merge, merge_all
from rating.terms import Terms

__all__ = ["Bucket", "Fee", "fee_of"]

Way: TypeAlias = Literal["sums", "billed", "begun", "events"]
"""What a price is told from.

    sums     its sums
    billed   what each event cost when it came, whatever the others were
    begun    its sums, and the events with which the period began
    events   all of its events
"""

_AT_ONCE_MAX: Final = 1_000
"""More events than this are rated in a thread of their own."""

_MOMENT: Final = timedelta(microseconds=1)

_NOT_IN_A_SUM: Final = frozenset({"max_agg", "latest_agg"})


class Fee(Struct, frozen=True, kw_only=True):
    """What one price has come to, or one group of it: a line of the invoice to be."""

    filter_id: UUID | None
    group: str
    usage: Usage
    amount: Decimal
    """The exact price in the charge's asset. `usage` has it in its pricing unit, if it has one."""
    debited_minor: int
    """What events were charged of it when they came."""
    terms: Terms
    summary: Summary
    """The sums of the period's events."""
    presented: tuple[tuple[str, Decimal], ...] = ()
    """Units by the values of the presentation group keys."""


class Bucket(Struct, frozen=True, kw_only=True, dict=True):
    """The usage of one key, and the terms it is priced by."""

    key: UsageKey
    charge: PricedCharge
    terms: Terms
    stored: StoredUsage
    carried: StoredUsage
    """What was there before the period, of units that stay."""
    codes: frozenset[str]
    """What its events are called: more than one where the metric was renamed."""
    ends_at: datetime
    """When the period is over, in which events may be younger: see `_rate_lines`."""

    @cached_property
    def way(self) -> Way:
        """What it takes to price it."""
        if self._is_summable():
            return "sums"
        if self.terms.is_billed_by_event and self.charge.rated.conversion is None:
            return "billed"
        return "begun" if self.terms.needs_beginning else "events"

    def _is_summable(self) -> bool:
        summaries = self.stored.summaries.values()
        corrections = sum(summary.corrections for summary in summaries)
        versions = sum(1 for summary in summaries if summary.events)
        if not self.terms.is_summable(corrections=corrections, versions=versions):
            return False
        if self.terms.aggregation == "weighted_sum_agg":
            # Sums would weigh what is younger than the period for less than no time.
            return all(one.last_at is None or one.last_at < self.ends_at for one in summaries)
        if self.terms.aggregation in _NOT_IN_A_SUM:
            return not self.stored.reversals
        if self.terms.aggregation == "unique_count_agg":
            is_sure = self.stored.is_sure_of_members and self._is_sure_of_carried()
            return is_sure and not (self.stored.presented or self.carried.presented)
        return True

    def _is_sure_of_carried(self) -> bool:
        """Whether the members that are carried are those there were when the period began.

        What happened later is counted within the period, or after it; which of the two, nothing
        tells where the period itself has no usage.
        """
        carried = self.carried
        is_later = carried.has_later and not self.stored.summaries
        return not (is_later or carried.reversals or carried.has_edges)

    @property
    def events(self) -> int:
        """How many events there are, those included that began before the period."""
        parts = (self.stored, self.carried)
        return sum(summary.events for part in parts for summary in part.summaries.values())

    def summary(self) -> Summary:
        """The sums of the period's events."""
        return merge_all(self.stored.summaries.values())

    def rate_sums(self, period: Period) -> Usage:
        """Price it from sums alone."""
        summaries: dict[UUID | None, Summary] = {**self.stored.summaries}
        return rate_summaries(
            self.terms,
            summaries,
            period,
            carried=merge_all(self.carried.summaries.values()),
            members=self.stored.members + self.carried.members,
        )

    def rate_billed(self) -> Usage:
        """Price it from what its events cost when they came."""
        summary = self.summary()
        return Usage.of(
            events=summary.events,
            units=self.terms.rounded(summary.units),
            total_units=summary.units,
            amount=self.stored.exact,
        )

    def is_begun(self, *, events: int, units: Decimal) -> bool:
        """Whether its price looks at no event after the first so many, of so many units."""
        model = self.terms.prices[0].model
        assert isinstance(model, Percentage), "only a free tier looks at the beginning"
        return events >= self.events or model.is_past_free_tier(events=events, units=units)


async def fee_of(
    bucket: Bucket,
    lines: Sequence[UsageLine],
    period: Period,
    keys: tuple[str, ...] | None,
) -> Fee:
    """What a bucket costs; `keys` break its units down.

    `lines` are what its way takes: none, those that it is begun with in their order, or all.
    """
    way = bucket.way
    if way == "events":
        usage = await _rate_lines(bucket, lines, period)
    elif way == "begun":
        usage = rate_begun(bucket.terms, bucket.summary(), [line.event.units for line in lines])
    else:
        usage = bucket.rate_sums(period) if way == "sums" else bucket.rate_billed()
    return Fee(
        filter_id=bucket.key.filter_id,
        group=bucket.key.group,
        usage=usage,
        amount=converted_fee(usage.amount, bucket.charge.rated.conversion),
        debited_minor=bucket.stored.debited_minor,
        terms=bucket.terms,
        summary=bucket.summary(),
        presented=tuple(sorted((await _presented(bucket, lines, period, keys)).items())),
    )


async def _rate_lines(bucket: Bucket, lines: Iterable[UsageLine], period: Period) -> Usage:
    """What a hold was captured for after the subscription's end counts as used at its end.

    Of an average over time that is no time at all, so nothing.
    """
    events = [line.event for line in lines]
    if bucket.terms.aggregation != "weighted_sum_agg":
        last = period.end - _MOMENT
        events = [
            event if event.timestamp <= last else structs.replace(event, timestamp=last)
            for event in events
        ]
    if len(events) <= _AT_ONCE_MAX:
        return rate_events(bucket.terms, events, period)
    return await asyncio.to_thread(rate_events, bucket.terms, events, period)


# -- broken down by presentation groups


async def _presented(
    bucket: Bucket, lines: Iterable[UsageLine], period: Period, keys: tuple[str, ...] | None
) -> dict[str, Decimal]:
    """Units by the values of the presentation group keys, or of some of the keys."""
    now, before = _merged(bucket.stored.presented, keys), _merged(bucket.carried.presented, keys)
    if bucket.way != "events":
        return {
            by: _units(bucket, now.get(by, NOTHING), before.get(by, NOTHING), period)
            for by in {**now, **before}
        }
    groups: dict[str, list[UsageLine]] = {}
    for line in lines:
        if line.presented_by:
            groups.setdefault(_narrowed(line.presented_by, keys), []).append(line)
    return {
        by: (await _rate_lines(bucket, some, period)).units for by, some in sorted(groups.items())
    }


def _units(bucket: Bucket, now: Summary, before: Summary, period: Period) -> Decimal:
    """The units of a part of a bucket."""
    terms = bucket.terms
    if terms.is_additive:
        return max(terms.rounded(EXACT.add(before.units, now.units)), ZERO)
    return rate_summaries(terms, {None: now}, period, carried=before).units


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
