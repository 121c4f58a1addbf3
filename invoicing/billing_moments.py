"""Billing moments: when a subscription is billed, and what for at each of them. Pure.

starting ─► (trial ended) ─► periodic ─► periodic ─► … ─► terminating

A plan's own amount is billed for the period that comes (in advance) or for the one that has ended;
usage for the one that has ended; fixed charges for both, each in its way. All parts are
half-open and come from the subscription's anchor, so they neither overlap nor leave anything out.

Source of the rules: Lago, subscriptions (billing_time, pay_in_advance, bill_charges_monthly,
trial_period, termination and upgrade): days count whole, where the customer lives; the last day of
a subscription is used, but the day of an upgrade belongs to the plan that follows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from msgspec import Struct, structs

from invoicing.days import Days, days_of
from invoicing.periods import Bounds, day_of, period_at, start_of_day

__all__ = [
    "BilledPlan",
    "BilledSubscription",
    "BillingMoment",
    "is_left_over",
    "moments",
    "trial_end",
    "units_changed",
]

_MOMENT: Final = timedelta(microseconds=1)
_DAY_S: Final = 24 * 60 * 60
_CANNOT_BE_A_PERIOD: Final = timedelta(hours=36)
"""Shorter than any period, longer than zones differ: what a change of zone leaves over."""


class BilledSubscription(Struct, frozen=True, kw_only=True):
    """What billing needs to know of a subscription."""

    billing_time: str
    subscription_at: datetime
    """The anchor that periods are counted from."""
    started_at: datetime
    created_at: datetime
    """What was due before it is not billed: a backdated start makes no invoices of the past."""
    first_started_at: datetime | None = None
    """When the first of a chain of plan changes began: its trial goes on. None: it is the first."""
    terminated_at: datetime | None = None
    is_upgraded: bool = False
    """It ended since a plan that costs more took its place."""
    skips_termination_invoice: bool = False
    skips_termination_credit: bool = False
    billed_at: datetime | None = None
    """The last periodic moment that was billed, and until when usage and fixed charges were: they
    differ from what periods say where the customer's zone was changed since."""
    charges_billed_to: datetime | None = None
    fixed_charges_billed_to: datetime | None = None


class BilledPlan(Struct, frozen=True, kw_only=True):
    """What billing needs to know of a plan."""

    interval: str
    pay_in_advance: bool = False
    trial_period_days: Decimal = Decimal(0)
    bill_charges_monthly: bool = False
    """Months for usage, where the plan's own period is a year or half of one."""
    bill_fixed_charges_monthly: bool = False
    has_fixed_charges_in_advance: bool = False


class BillingMoment(Struct, frozen=True, kw_only=True):
    """A moment at which a subscription is billed; (billing_at, reason) is never the same twice."""

    billing_at: datetime
    reason: str
    """subscription_starting, _trial_ended, _periodic or _terminating, or others of their own."""
    fee_period: Days | None = None
    """What the plan's own amount is billed for."""
    charges_period: Days | None = None
    """The usage that is billed: from `part.start` until before `part.end`, to the microsecond."""
    fixed_charges_in_advance: Days | None = None
    fixed_charges_in_arrears: Days | None = None
    fixed_charges_added: Days | None = None
    """The period to whose fixed charges, paid in advance, units are added at this moment."""
    issues_credit_for: Days | None = None
    """What was paid in advance and is not used."""
    ends_fee_period: bool = False
    """The plan's own period ends here too: what is counted over it (commitments) is billed."""
    ended_fee_period: Days | None = None
    """That period, as far as it was lived; also where the plan is paid in advance."""

    @property
    def bills(self) -> bool:
        """Whether there is anything that it may bill or give back."""
        return (
            self.fee_period
            or self.charges_period
            or self.fixed_charges_in_advance
            or self.fixed_charges_in_arrears
            or self.fixed_charges_added
            or self.issues_credit_for
        ) is not None


def is_left_over(billed_to: datetime, start: datetime) -> bool:
    """Whether what lies between is no period: a change of zone left it over."""
    return abs(billed_to - start) <= _CANNOT_BE_A_PERIOD


def trial_end(first_started_at: datetime, days: Decimal, zone: tzinfo = UTC) -> datetime | None:
    """When a trial of so many days is over, by the customer's clock; None where there is none."""
    if days <= 0:
        return None
    local = first_started_at.astimezone(zone).replace(tzinfo=None)
    try:
        end = local + timedelta(seconds=int(days * _DAY_S))
        return end.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def moments(
    subscription: BilledSubscription,
    plan: BilledPlan,
    zone: tzinfo = UTC,
    *,
    after: datetime | None = None,
    until: datetime,
) -> Iterator[BillingMoment]:
    """The moments after `after` and not after `until`, in their order.

    `after` is when the subscription was last billed; None: never.
    """
    calendar = _Calendar(subscription, plan, zone)
    for moment in calendar.moments(after, until):
        if (after is None or moment.billing_at > after) and moment.billing_at <= until:
            yield moment


def units_changed(
    subscription: BilledSubscription, plan: BilledPlan, zone: tzinfo = UTC, *, at: datetime
) -> BillingMoment | None:
    """The moment at which other units of fixed charges apply; None where none is billed for them.

    That is where a period begins just then, which bills what there is, before it was made, and
    after its end.
    """
    return _Calendar(subscription, plan, zone).units_changed(at)


class _Calendar:
    """The periods of one subscription."""

    def __init__(self, subscription: BilledSubscription, plan: BilledPlan, zone: tzinfo) -> None:
        self.subscription = subscription
        self.plan = plan
        self.zone = zone
        self.end = subscription.terminated_at
        first = subscription.first_started_at or subscription.started_at
        self.trial_end = trial_end(first, plan.trial_period_days, zone)
        monthly = plan.interval in {"yearly", "semiannual"}
        months = plan.bill_charges_monthly and monthly
        fixed_months = plan.bill_fixed_charges_monthly and monthly
        self.charges_interval = "monthly" if months else plan.interval
        self.fixed_interval = "monthly" if fixed_months else plan.interval
        self.step = "monthly" if months or fixed_months else plan.interval

    def moments(self, after: datetime | None, until: datetime) -> Iterator[BillingMoment]:
        """All from the period of `after` on, perhaps a little more than is asked."""
        yield from self._starting()
        trial_ended = self._trial_ended()
        for moment in self._periodic(after, until):
            if trial_ended is not None and trial_ended.billing_at <= moment.billing_at:
                yield trial_ended
                trial_ended = None
            yield moment
        if trial_ended is not None:
            yield trial_ended
        yield from self._terminating()

    def _starting(self) -> Iterator[BillingMoment]:
        at = self.subscription.started_at
        if not self._is_billed_at_start():
            return
        fee = self._fee_from(at) if self.plan.pay_in_advance and not self._is_trial(at) else None
        fixed = self._coming(at, self.fixed_interval) if self._has_fixed_in_advance() else None
        moment = BillingMoment(
            billing_at=at,
            reason="subscription_starting",
            fee_period=fee,
            fixed_charges_in_advance=fixed,
        )
        if moment.bills:
            yield moment

    def _trial_ended(self) -> BillingMoment | None:
        """Where the plan is paid in advance, the rest of the period is billed as the trial ends."""
        at = self.trial_end
        if at is None or not self.plan.pay_in_advance or at <= self.subscription.started_at:
            return None
        if at <= self.subscription.created_at or (self.end is not None and at >= self.end):
            return None
        fee = self._fee_from(at)
        if fee is None or fee.whole.start == at:
            return None  # a period begins just then, and is billed as any other
        reason = "subscription_trial_ended"
        return BillingMoment(billing_at=at, reason=reason, fee_period=fee)

    def _periodic(self, after: datetime | None, until: datetime) -> Iterator[BillingMoment]:
        subscription = self.subscription
        since = max(subscription.started_at, after or subscription.created_at)
        if since > until:
            return
        bounds = self._period(since, self.step)
        charges_from, fixed_from = (
            subscription.charges_billed_to,
            subscription.fixed_charges_billed_to,
        )
        while bounds.end <= until and (self.end is None or bounds.end < self.end):
            at = bounds.end
            if at >= subscription.created_at and self._is_a_period(at):
                moment = self._period_ended(at)
                moment = structs.replace(
                    moment,
                    charges_period=self._since(charges_from, moment.charges_period),
                    fixed_charges_in_arrears=self._since(
                        fixed_from, moment.fixed_charges_in_arrears
                    ),
                )
                charges_from = None if moment.charges_period else charges_from
                fixed_from = None if moment.fixed_charges_in_arrears else fixed_from
                if moment.bills:
                    yield moment
            bounds = self._period(at, self.step)
            if bounds.end <= at:
                return  # the end of time

    def _period_ended(self, at: datetime) -> BillingMoment:
        plan = self.plan
        ended = self._ended(at, plan.interval)
        fee = None
        if plan.pay_in_advance:
            if ended is not None and not self._is_trial(at):
                fee = self._fee_from(at)
        elif ended is not None:
            fee = self._without_trial(ended)
        fixed = self._ended(at, self.fixed_interval)
        in_advance = None
        if fixed is not None and self._has_fixed_in_advance():
            in_advance = self._coming(at, self.fixed_interval)
        return BillingMoment(
            billing_at=at,
            reason="subscription_periodic",
            fee_period=fee,
            charges_period=self._ended(at, self.charges_interval),
            fixed_charges_in_advance=in_advance,
            fixed_charges_in_arrears=fixed,
            ends_fee_period=ended is not None,
            ended_fee_period=ended,
        )

    def _terminating(self) -> Iterator[BillingMoment]:
        subscription, plan, at = self.subscription, self.plan, self.end
        if at is None or at < subscription.created_at:
            return
        ended = self._lived_until(at, plan.interval)
        fee = charges = fixed = None
        if not subscription.skips_termination_invoice:
            if not plan.pay_in_advance and ended is not None:
                fee = self._without_trial(self._fee_part(ended))
            charges = self._since(
                subscription.charges_billed_to, self._lived_until(at, self.charges_interval)
            )
            fixed = self._since(
                subscription.fixed_charges_billed_to, self._lived_until(at, self.fixed_interval)
            )
            fixed = fixed and self._fee_part(fixed)
        moment = BillingMoment(
            billing_at=at,
            reason="subscription_terminating",
            fee_period=fee,
            charges_period=charges,
            fixed_charges_in_arrears=fixed,
            issues_credit_for=self._unused(at),
            ends_fee_period=True,
            ended_fee_period=ended and self._fee_part(ended),
        )
        if moment.bills:
            yield moment

    def units_changed(self, at: datetime) -> BillingMoment | None:
        started_at = self.subscription.started_at
        is_early = at <= started_at or at <= self.subscription.created_at
        if is_early or (self.end is not None and at >= self.end):
            return None
        whole = self._period(at, self.fixed_interval)
        period = days_of(Bounds(max(whole.start, started_at), whole.end), whole, self.zone)
        if whole.start == at or period is None:
            return None
        reason = "fixed_charge_units_changed"
        return BillingMoment(billing_at=at, reason=reason, fixed_charges_added=period)

    def _unused(self, at: datetime) -> Days | None:
        """What the plan's amount was paid for in advance, and has not been used by the end."""
        subscription = self.subscription
        if not self.plan.pay_in_advance or subscription.skips_termination_credit:
            return None
        last = max(at - _MOMENT, subscription.started_at)
        whole = self._period(last, self.plan.interval)
        billed_from = max(whole.start, subscription.started_at)
        if self.trial_end is not None and self.trial_end > billed_from:
            if self.trial_end >= at:
                return None  # it was free until the end
            billed_from = self.trial_end
        was_billed = (
            self._is_billed_at_start()
            if billed_from == subscription.started_at
            else billed_from > subscription.created_at
        )
        if not was_billed:
            return None
        if subscription.is_upgraded:
            unused_from = start_of_day(day_of(at, self.zone), self.zone)
        else:
            unused_from = start_of_day(day_of(last, self.zone) + timedelta(days=1), self.zone)
        return days_of(Bounds(max(unused_from, billed_from), whole.end), whole, self.zone)

    def _fee_part(self, ended: Days) -> Days | None:
        """Of an upgraded plan, the day of the change belongs to the next one."""
        if not self.subscription.is_upgraded:
            return ended
        end = start_of_day(day_of(ended.part.end, self.zone), self.zone)
        return days_of(Bounds(ended.part.start, end), ended.whole, self.zone)

    def _fee_from(self, at: datetime) -> Days | None:
        return self._coming(at, self.plan.interval)

    def _coming(self, at: datetime, interval: str) -> Days | None:
        whole = self._period(at, interval)
        return days_of(Bounds(at, whole.end), whole, self.zone)

    def _ended(self, at: datetime, interval: str) -> Days | None:
        """The period that ends just then, as far as it was lived; None where none does."""
        whole = self._period(at - _MOMENT, interval)
        return self._lived_until(at, interval) if whole.end == at else None

    def _lived_until(self, at: datetime, interval: str) -> Days | None:
        whole = self._period(at - _MOMENT, interval)
        start = max(whole.start, self.subscription.started_at)
        return days_of(Bounds(start, min(at, whole.end)), whole, self.zone)

    def _without_trial(self, lived: Days | None) -> Days | None:
        if lived is None or self.trial_end is None or self.trial_end <= lived.part.start:
            return lived
        return days_of(Bounds(self.trial_end, lived.part.end), lived.whole, self.zone)

    def _since(self, billed_to: datetime | None, lived: Days | None) -> Days | None:
        """From where the last invoice ended, though periods were cut elsewhere then."""
        if billed_to is None or lived is None or billed_to == lived.part.start:
            return lived
        if not is_left_over(billed_to, lived.part.start):
            return lived
        part = Bounds(billed_to, lived.part.end)
        return days_of(part, lived.whole, self.zone)

    def _is_billed_at_start(self) -> bool:
        """Whether it began on the day it was made, or later; what began before is not billed."""
        started, created = self.subscription.started_at, self.subscription.created_at
        return day_of(started, self.zone) >= day_of(created, self.zone)

    def _is_a_period(self, at: datetime) -> bool:
        billed_at = self.subscription.billed_at
        return billed_at is None or at - billed_at > _CANNOT_BE_A_PERIOD

    def _is_trial(self, at: datetime) -> bool:
        return self.trial_end is not None and at < self.trial_end

    def _has_fixed_in_advance(self) -> bool:
        return self.plan.has_fixed_charges_in_advance

    def _period(self, at: datetime, interval: str) -> Bounds:
        return period_at(
            at,
            interval=interval,
            billing_time=self.subscription.billing_time,
            anchor=self.subscription.subscription_at,
            zone=self.zone,
        )
