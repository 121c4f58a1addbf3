"""What was used in the periods that moments bill, and what it costs: read for many at once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing.billing_facts import Catalogue, Paid, paid_usage
from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import DueMoment, ScheduledSubscription
from invoicing.days import Days
from invoicing.passed_units import Ended, metrics_of_followers
from invoicing.periods import Bounds, day_of, start_of_day
from invoicing.records import Connection
from invoicing.usage import PeriodUsage, Question, rate_periods
from invoicing.usage_rollups import Stretch
from invoicing.usage_versions import Versions
from rating.period import Period

__all__ = [
    "BILLED_EVENTS_MAX",
    "UsageWindow",
    "UsedInPeriod",
    "bounds_of_usage",
    "followed_by",
    "read_usage",
    "usage_window",
]


BILLED_EVENTS_MAX: Final = 2_000_000
"""Of one subscription and period, where a price depends on their order; sums have no limit."""

_FOR_EVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
_ZONES_DIFFER: Final = timedelta(days=3)
"""By no more, with the days that months differ by."""

_NOTHING_AHEAD: Final[Mapping[int, int | None]] = {}


class UsedInPeriod(Struct, frozen=True, kw_only=True):
    """What a moment bills of usage."""

    usage: PeriodUsage | None = None
    metric_names: Mapping[UUID, str] = {}
    paid: Paid = Paid()
    followed_by: frozenset[UUID] = frozenset()
    """See `BilledUsage.followed_by`."""


def bounds_of_usage(subscription: ScheduledSubscription, moment: BillingMoment) -> Bounds:
    """From when to when events are the moment's.

    A subscription's own events may be a little older than its start, by the width with which
    events are matched with subscriptions, and younger than its end, where a hold was captured
    later: so the first period is read as a whole, and the last one for ever.
    """
    days = moment.charges_period
    assert days is not None, "the moment bills usage"
    start, end = days.part.start, days.part.end
    if start == subscription.started_at:
        start = min(start, days.whole.start)
    if moment.reason == "subscription_terminating":
        end = _FOR_EVER
    return Bounds(start, end)


class UsageWindow(Struct, frozen=True):
    """Where what events of a moment were billed by themselves is looked for."""

    bounds: Bounds
    since: datetime
    """Nothing that was cut by another clock begins before."""


def usage_window(subscription: ScheduledSubscription, moment: BillingMoment) -> UsageWindow:
    """Where a moment's events are; of a period that has not ended yet, all of it."""
    days, bounds = moment.charges_period, bounds_of_usage(subscription, moment)
    assert days is not None, "the moment bills usage"
    if moment.reason == "progressive_billing":
        bounds = Bounds(bounds.start, max(bounds.end, days.whole.end))
    length = days.whole.end - days.whole.start
    return UsageWindow(bounds, min(bounds.start, days.whole.start) - length - _ZONES_DIFFER)


async def read_usage(
    connection: Connection,
    versions: Versions,
    catalogue: Catalogue,
    due: Sequence[DueMoment],
    *,
    since: Mapping[int, int | None] = _NOTHING_AHEAD,
) -> list[UsedInPeriod]:
    """The usage of moments, in their order; nothing for those that bill none.

    `since` tells, by position, from which transaction on it is asked who has paid.
    """
    asked = [at for at, one in enumerate(due) if one.moment.charges_period is not None]
    questions = [_question(due[at]) for at in asked]
    usages = await rate_periods(connection, versions, questions)
    paid = await _paid(connection, due, asked, usages, since)
    followed = await followed_by(
        connection, versions, [(due[at].subscription, due[at].moment) for at in asked]
    )
    found = [UsedInPeriod() for _ in due]
    for at, usage, metrics_left in zip(asked, usages, followed, strict=True):
        metrics = {charge.charge.listed.billable_metric_id for charge in usage.charges}
        found[at] = UsedInPeriod(
            usage=usage,
            metric_names=await catalogue.metric_names(
                connection, due[at].subscription.organization_id, metrics
            ),
            paid=paid.get(at, Paid()),
            followed_by=metrics_left,
        )
    return found


async def followed_by(
    connection: Connection,
    versions: Versions,
    billed: Sequence[tuple[ScheduledSubscription, BillingMoment]],
) -> list[frozenset[UUID]]:
    """The metrics whose units stay in plans that took others' places, by these moments."""
    ended = [_is_taken_over(subscription, moment) for subscription, moment in billed]
    found = await metrics_of_followers(
        connection,
        versions,
        {
            Ended(subscription.organization_id, subscription.id)
            for (subscription, _), is_ended in zip(billed, ended, strict=True)
            if is_ended
        },
    )
    return [
        found.get(subscription.id, frozenset()) if is_ended else frozenset()
        for (subscription, _), is_ended in zip(billed, ended, strict=True)
    ]


def _is_taken_over(subscription: ScheduledSubscription, moment: BillingMoment) -> bool:
    """Whether a moment bills a part of a period whose rest another plan bills."""
    days = moment.charges_period
    is_upgrade = subscription.is_upgraded and moment.reason == "subscription_terminating"
    return is_upgrade and days is not None and days.part.end < days.whole.end


async def _paid(
    connection: Connection,
    due: Sequence[DueMoment],
    asked: Sequence[int],
    usages: Sequence[PeriodUsage],
    since: Mapping[int, int | None],
) -> dict[int, Paid]:
    """Who paid for the usage when it happened, where anything was paid."""
    places = [at for at, usage in zip(asked, usages, strict=True) if _is_debited(usage)]
    stretches: list[Stretch] = []
    for at in places:
        bounds = bounds_of_usage(due[at].subscription, due[at].moment)
        stretches.append(
            Stretch(
                organization_id=due[at].subscription.organization_id,
                subscription_id=due[at].subscription.id,
                start=bounds.start,
                end=bounds.end,
            )
        )
    currencies = [due[at].subscription.amount_currency for at in places]
    paid = await paid_usage(
        connection, stretches, asset_codes=currencies, since=[since.get(at) for at in places]
    )
    return dict(zip(places, paid, strict=True))


def _is_debited(usage: PeriodUsage) -> bool:
    return any(fee.debited_minor for charge in usage.charges for fee in charge.fees)


def _question(one: DueMoment) -> Question:
    subscription, days = one.subscription, one.moment.charges_period
    assert days is not None, "asked of those that bill usage"
    return Question(
        organization_id=subscription.organization_id,
        subscription_id=subscription.id,
        plan_id=subscription.plan_id,
        bounds=bounds_of_usage(subscription, one.moment),
        period=period_of(days, subscription, end=_end(one)),
        as_of=one.moment.billing_at,
        events_max=BILLED_EVENTS_MAX,
    )


def _end(one: DueMoment) -> datetime:
    days = one.moment.charges_period
    assert days is not None, "asked of those that bill usage"
    return days.part.end


def period_of(days: Days, subscription: ScheduledSubscription, *, end: datetime) -> Period:
    """Days, as rating takes them: the day of an upgrade belongs to the next plan."""
    is_whole = days.part == days.whole
    zone = subscription.zone
    is_upgraded = subscription.is_upgraded and end == subscription.terminated_at
    return Period(
        start=days.part.start,
        end=end,
        zone=zone,
        full_days=None if is_whole else days.whole_days,
        without_last_day=is_upgraded and start_of_day(day_of(end, zone), zone) < end,
    )
