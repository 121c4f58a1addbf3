"""What one subscription has used, counted by price and period, and what that comes to. Pure.

Usage is counted event by event, in any order, and each period is rated as an invoice rates it: from
sums, wherever sums are enough. Where they are not, it is said so: then the events are needed.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct, structs

from invoicing.periods import Bounds
from invoicing.usage_rollups import UsageKey
from invoicing.usage_versions import PricedCharge
from rating.events import Event
from rating.period import Period
from rating.period_rating import Usage, rate_summaries
from rating.summaries import Summary, merge, merge_all
from rating.tallies import Members, Tally
from rating.terms import Terms
from wallet_service.usage_reports import UsageSubscription

__all__ = [
    "BEFORE",
    "Bucket",
    "CountedUsage",
    "Periods",
    "PricedBy",
    "Stretch",
    "last_moment",
    "within",
]

_MOMENT: Final = timedelta(microseconds=1)

BEFORE: Final = datetime.min.replace(tzinfo=UTC)
"""When the time before the first period begins: units that stay are carried over from there."""


class Stretch(Struct, frozen=True, kw_only=True):
    """A billing period, as far as it lies within the time that is looked at."""

    start: datetime
    end: datetime
    whole: Bounds
    """All of the billing period."""
    period: Period
    """The part of it that the subscription lived, which days are counted of."""


class Periods:
    """The billing periods of a subscription within a time that is looked at."""

    def __init__(self, subscription: UsageSubscription, *, start: datetime, end: datetime) -> None:
        assert start < end, "what is looked at has a length"
        self._subscription = subscription
        self._start = start
        self._end = end
        self._stretches: dict[datetime, Stretch] = {}
        self._starts: list[datetime] = []
        at = max(start, subscription.started_at)
        last = min(end, subscription.terminated_at or end)
        while at < last:
            at = self._add(subscription.period_at(at)).end
        self.lived = tuple(self)
        """Those that the subscription lived: it pays for them, whether it uses anything or not."""
        self.last_at = last_moment(subscription)
        """When what is younger counts as used: a hold may be captured when all is over."""

    def __iter__(self) -> Iterator[Stretch]:
        """Those that the subscription lived, and those that something was used in, in order."""
        return iter([self._stretches[start] for start in self._starts])

    def start_of(self, at: datetime) -> datetime:
        """When the stretch begins that a time counts in; BEFORE if it is before all of them."""
        if self.last_at is not None:
            at = min(at, self.last_at)
        if at < self._start:
            return BEFORE
        position = bisect_right(self._starts, at) - 1
        if position >= 0 and at < self._stretches[self._starts[position]].end:
            return self._starts[position]
        return self._add(self._subscription.period_at(at)).start

    def in_time(self, event: Event, start: datetime) -> Event:
        """An event of the stretch that begins then, which is over when it came: at its very end.

        So it weighs nothing in an average over time.
        """
        stretch = self._stretches.get(start)
        if self.last_at is None or stretch is None or event.timestamp < stretch.period.end:
            return event
        return structs.replace(event, timestamp=stretch.period.end)

    def _add(self, bounds: Bounds) -> Stretch:
        start, end = max(bounds.start, self._start), min(bounds.end, self._end)
        stretch = Stretch(
            start=start, end=end, whole=bounds, period=self._lived(bounds, start, end)
        )
        self._stretches[start] = stretch
        self._starts = sorted(self._stretches)
        return stretch

    def _lived(self, bounds: Bounds, start: datetime, end: datetime) -> Period:
        """What the subscription lived of a part of a period; all of the part if that is nothing."""
        subscription = self._subscription
        zone = subscription.zone
        whole = Period(start=bounds.start, end=bounds.end, zone=zone)
        ended = subscription.terminated_at
        if bounds.end > subscription.started_at and (ended is None or bounds.start <= ended):
            lived = subscription.lived(bounds)
            if max(lived.start, start) < min(lived.end, end):
                start, end = max(lived.start, start), min(lived.end, end)
        if (start, end) == (whole.start, whole.end):
            return whole
        return Period(start=start, end=end, zone=zone, full_days=whole.days)


def last_moment(subscription: UsageSubscription) -> datetime | None:
    """The last moment of a subscription that has ended.

    What a hold is captured for after it counts as used then, as on an invoice.
    """
    if subscription.terminated_at is None:
        return None
    return max(subscription.terminated_at - _MOMENT, subscription.started_at)


class Bucket(Struct, frozen=True, kw_only=True):
    """The usage of one price and group in one period, and the terms it is priced by."""

    key: UsageKey
    charge: PricedCharge
    terms: Terms
    stretch: Stretch


PricedBy: TypeAlias = Callable[[UsageKey, set[UUID | None], Stretch], Bucket | None]
"""The terms of a key's usage that was rated with these versions; None if nothing prices it."""


def within(bucket: Bucket, events: Iterable[Event]) -> Iterator[Event]:
    """The events of a price, those that came when its period was over as of its last moment.

    Not for an average over time, in which they are no time.
    """
    end = bucket.stretch.period.end
    for event in events:
        if event.timestamp < end or bucket.terms.aggregation == "weighted_sum_agg":
            yield event
        else:
            yield structs.replace(event, timestamp=end - _MOMENT)


class _Counted:
    """The usage of one key in one period."""

    __slots__ = ("members", "tallies")

    def __init__(self) -> None:
        self.tallies: dict[UUID | None, Tally] = {}
        """By the price version that the events are rated with."""
        self.members = Members()

    def add(self, event: Event) -> None:
        tally = self.tallies.get(event.plan_version_id)
        if tally is None:
            tally = self.tallies[event.plan_version_id] = Tally()
        tally.add(event)
        self.members.add(event)

    def summaries(self) -> dict[UUID | None, Summary]:
        return {version: tally.summary() for version, tally in self.tallies.items()}


class CountedUsage:
    """The usage of a subscription, by price and period. Takes no room for single events."""

    def __init__(self, periods: Periods) -> None:
        self.periods = periods
        self._counted: dict[UsageKey, dict[datetime, _Counted]] = {}
        self.codes: dict[UsageKey, set[str]] = {}
        """What the events of each price are called: several where the metric was renamed."""

    def add(self, code: str, counts: Iterable[tuple[UsageKey, Event]]) -> None:
        """Count an event in, for each of its prices."""
        for key, event in counts:
            by_start = self._counted.setdefault(key, {})
            self.codes.setdefault(key, set()).add(code)
            start = self.periods.start_of(event.timestamp)
            counted = by_start.get(start)
            if counted is None:
                counted = by_start[start] = _Counted()
            counted.add(self.periods.in_time(event, start))

    @property
    def versions(self) -> set[UUID]:
        """All price versions that the events are rated with."""
        return {
            version
            for by_start in self._counted.values()
            for counted in by_start.values()
            for version in counted.tallies
            if version is not None
        }

    def rate(self, priced_by: PricedBy) -> Iterator[tuple[Bucket, Usage | None]]:
        """What every key came to in every period. None: it takes the events to know."""
        for key, by_start in self._counted.items():
            yield from self._rate(key, by_start, priced_by)

    def _rate(
        self, key: UsageKey, by_start: dict[datetime, _Counted], priced_by: PricedBy
    ) -> Iterator[tuple[Bucket, Usage | None]]:
        nothing = _Counted()
        before = by_start.get(BEFORE, nothing)
        carried, there = merge_all(before.summaries().values()), Members()
        there.merge(before.members)
        for stretch in self.periods:
            counted = by_start.get(stretch.start, nothing)
            summaries = counted.summaries()
            there.merge(counted.members)
            bucket = priced_by(key, set(summaries), stretch)
            if bucket is not None and (summaries or (bucket.terms.recurring and carried.events)):
                members = len(there if bucket.terms.recurring else counted.members)
                yield bucket, _rate(bucket, summaries, carried, members)
            carried = merge(carried, merge_all(summaries.values()))


def _rate(
    bucket: Bucket, summaries: Mapping[UUID | None, Summary], carried: Summary, members: int
) -> Usage | None:
    terms = bucket.terms
    corrections = sum(summary.corrections for summary in summaries.values())
    if not terms.is_summable(corrections=corrections, versions=len(summaries)):
        return None
    return rate_summaries(terms, summaries, bucket.stretch.period, carried=carried, members=members)
