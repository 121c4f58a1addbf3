"""What a customer has used: in the running period, in those that are over, and by its end.

Only reads. A period is a billing period of the subscription; where it began or ended within one,
the part that it lived is what counts.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import customers
from invoicing.errors import Invalid, NotAllowed, NotFound
from invoicing.pages import Page, Window
from invoicing.periods import Bounds, period_at, period_before, zone_named
from invoicing.records import Connection, Record, load_queries
from invoicing.usage import PeriodUsage, Question, Wanted, rate_period
from invoicing.usage_versions import Versions
from rating.period import Period
from wallet_service.database import Database

__all__ = ["MetricName", "UsageReport", "UsageReports", "UsageSubscription"]

_queries: Final = load_queries(__file__)

_ACTIVE: Final = ("active",)
_EVER_STARTED: Final = ("active", "terminated")
_PERIODS_MAX: Final = 10_000
PERIODS_PER_PAGE_MAX: Final = 100
"""Each period is priced for the answer."""


class UsageSubscription(Record, frozen=True, kw_only=True):
    """A subscription that has started, as far as its periods are concerned."""

    id: UUID
    external_id: str
    plan_id: UUID
    billing_time: str
    subscription_at: datetime
    started_at: datetime
    terminated_at: datetime | None
    interval: str
    currency: str
    timezone: str = "UTC"

    @property
    def zone(self) -> tzinfo:
        """The customer's clock: its days are cut at midnight there."""
        return zone_named(self.timezone)

    def period_at(self, at: datetime) -> Bounds:
        """The billing period that a time falls in."""
        return period_at(
            at,
            interval=self.interval,
            billing_time=self.billing_time,
            anchor=self.subscription_at,
            zone=self.zone,
        )

    def period_before(self, bounds: Bounds) -> Bounds:
        """The billing period before this one."""
        return period_before(
            bounds,
            interval=self.interval,
            billing_time=self.billing_time,
            anchor=self.subscription_at,
            zone=self.zone,
        )

    def lived(self, bounds: Bounds) -> Period:
        """The part of a billing period that the subscription lived.

        Events are matched with subscriptions by the millisecond, and a whole second stands for all
        of it, so the part is as much wider.
        """
        whole = Period(start=bounds.start, end=bounds.end, zone=self.zone)
        start, end = max(bounds.start, self.started_at.replace(microsecond=0)), bounds.end
        if self.terminated_at is not None:
            last = self.terminated_at + timedelta(milliseconds=1)
            end = max(min(end, last), start + timedelta(milliseconds=1))
        if start == bounds.start and end == bounds.end:
            return whole
        return Period(start=start, end=end, zone=self.zone, full_days=whole.days)


class MetricName(Record, frozen=True, kw_only=True):
    """A metric, by its names."""

    id: UUID
    name: str
    code: str
    aggregation_type: str


class UsageReport(Struct, frozen=True, kw_only=True):
    """The usage of one period, with what it takes to show it."""

    subscription: UsageSubscription
    bounds: Bounds
    usage: PeriodUsage
    metrics: dict[UUID, MetricName]
    now: datetime

    @property
    def start(self) -> datetime:
        """When the part of the period began that the subscription lived."""
        return max(self.bounds.start, self.subscription.started_at)

    @property
    def end(self) -> datetime:
        """When that part ended, or will."""
        terminated_at = self.subscription.terminated_at
        return self.bounds.end if terminated_at is None else min(self.bounds.end, terminated_at)


class UsageReports:
    """Looks usage up, period by period."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._versions = Versions()

    async def current(
        self,
        organization_id: UUID,
        external_customer_id: str,
        external_subscription_id: str | None,
        wanted: Wanted,
        *,
        since_start: bool = False,
        now: datetime,
    ) -> UsageReport:
        """The usage of the running period; `since_start`: all there ever was, as one period.

        Raises NotFound (customer), NotAllowed (no active subscription, too many events), Invalid.
        """
        async with self._database.tenant(organization_id) as connection:
            subscription = await _find(
                connection, organization_id, external_customer_id, external_subscription_id, _ACTIVE
            )
            if subscription is None:
                raise NotAllowed("no_active_subscription")
            at = max(now, subscription.started_at)
            bounds = subscription.period_at(at)
            if since_start:
                bounds = Bounds(subscription.period_at(subscription.started_at).start, bounds.end)
            return await self._report(
                connection, organization_id, subscription, bounds, wanted, now=now
            )

    async def past(
        self,
        organization_id: UUID,
        external_customer_id: str,
        external_subscription_id: str | None,
        wanted: Wanted,
        *,
        periods_count: int | None,
        window: Window,
        now: datetime,
    ) -> Page[UsageReport]:
        """The periods that are over, the last one first; at most `periods_count` of them.

        Raises NotFound (customer, subscription), NotAllowed (too many events), Invalid.
        """
        if window.size > PERIODS_PER_PAGE_MAX:
            raise Invalid.field("per_page", "value_is_out_of_range")
        async with self._database.tenant(organization_id) as connection:
            subscription = await _find(
                connection,
                organization_id,
                external_customer_id,
                external_subscription_id,
                _EVER_STARTED,
            )
            if subscription is None:
                raise NotFound("subscription")
            periods = _past_periods(subscription, now=now)[:periods_count]
            shown = periods[window.offset : window.offset + window.size]
            reports = [
                await self._report(
                    connection, organization_id, subscription, bounds, wanted, now=now
                )
                for bounds in shown
            ]
        return Page(reports, len(periods))

    async def _report(
        self,
        connection: Connection,
        organization_id: UUID,
        subscription: UsageSubscription,
        bounds: Bounds,
        wanted: Wanted,
        *,
        now: datetime,
    ) -> UsageReport:
        question = Question(
            organization_id=organization_id,
            subscription_id=subscription.id,
            plan_id=subscription.plan_id,
            bounds=bounds,
            period=subscription.lived(bounds),
            as_of=now,
        )
        usage = await rate_period(connection, self._versions, question, wanted)
        metrics = {charge.charge.listed.billable_metric_id for charge in usage.charges}
        return UsageReport(
            subscription=subscription,
            bounds=bounds,
            usage=usage,
            metrics=await _metrics(connection, organization_id, metrics),
            now=now,
        )


async def _find(
    connection: Connection,
    organization_id: UUID,
    external_customer_id: str,
    external_subscription_id: str | None,
    statuses: Iterable[str],
) -> UsageSubscription | None:
    customer = await customers.get(connection, organization_id, external_customer_id)
    if not external_subscription_id:
        raise Invalid.field("external_subscription_id", "value_is_mandatory")
    row: Any = await _queries.find_subscription(
        connection,
        organization_id=organization_id,
        customer_id=customer.id,
        external_id=external_subscription_id,
        statuses=list(statuses),
    )
    return None if row is None else UsageSubscription.of(row)


async def _metrics(
    connection: Connection, organization_id: UUID, ids: Iterable[UUID]
) -> dict[UUID, MetricName]:
    rows = _queries.find_metrics(connection, organization_id=organization_id, ids=list(ids))
    return {row["id"]: MetricName.of(row) async for row in rows}


def _past_periods(subscription: UsageSubscription, *, now: datetime) -> list[Bounds]:
    """The periods of a subscription that are over by now, the last one first."""
    last = now.astimezone(UTC)
    if subscription.terminated_at is not None:
        last = min(last, subscription.terminated_at)
    bounds = subscription.period_at(max(last, subscription.started_at))
    is_over = subscription.terminated_at is not None and subscription.terminated_at <= now
    found = [bounds] if is_over or bounds.end <= now else []
    while len(found) < _PERIODS_MAX and bounds.start > subscription.started_at:
        bounds = subscription.period_before(bounds)
        found.append(bounds)
    return found
