"""Which subscriptions are to be billed by now, found among all of them without looking at each.

`next_billing_at` says before when there is nothing to bill. It is a lower bound: whoever changes
what moments depend on sets it to now, and the billing run, which looks then, writes the moment
itself. So no change can be forgotten, and none has to compute when the next moment is.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct, field

from invoicing.billing_moments import (
    BilledPlan,
    BilledSubscription,
    BillingMoment,
    moments,
    trial_end,
    units_changed,
)
from invoicing.periods import zone_named
from invoicing.records import Connection, Record, load_queries

__all__ = [
    "DueMoment",
    "ScheduledSubscription",
    "due_moments",
    "due_of",
    "find_scheduled",
    "hold",
    "look_again",
    "schedule_all",
]

_queries: Final = load_queries(__file__)

_EVER: Final = datetime.max.replace(tzinfo=UTC)
_MOMENT: Final = timedelta(microseconds=1)


class ScheduledSubscription(Record, frozen=True, kw_only=True):
    """A subscription that has started, with all that says when and what it is billed for."""

    organization_id: UUID
    id: UUID
    external_id: str
    customer_id: UUID
    external_customer_id: str
    plan_id: UUID
    status: str
    billing_time: str
    subscription_at: datetime
    started_at: datetime
    created_at: datetime
    first_started_at: datetime | None
    terminated_at: datetime | None
    is_upgraded: bool
    on_termination_credit_note: str | None
    on_termination_invoice: str | None
    """Both None where another plan took its place: that is no end."""
    previous_subscription_id: UUID | None
    consolidate_invoice: bool
    billing_entity_code: str | None
    """Its own, else the customer's; None: the organization's default one bills it."""
    purchase_order_number: str | None
    next_billing_at: datetime | None
    updated_at: datetime
    timezone: str
    interval: str
    amount_cents: int
    amount_currency: str
    pay_in_advance: bool
    trial_period_days: Decimal
    bill_charges_monthly: bool
    bill_fixed_charges_monthly: bool
    has_fixed_charges_in_advance: bool
    billed_at: datetime | None
    periodic_at: datetime | None
    charges_billed_to: datetime | None
    fixed_charges_billed_to: datetime | None
    billed_reasons: list[str]
    units_changed_at: list[datetime] = field(default_factory=list[datetime])
    """When other units of its plan's fixed charges apply within a period, and were not billed."""

    @property
    def zone(self) -> tzinfo:
        """The clock of the customer."""
        return zone_named(self.timezone)

    @property
    def facts(self) -> BilledSubscription:
        """What moments are computed from."""
        return BilledSubscription(
            billing_time=self.billing_time,
            subscription_at=self.subscription_at,
            started_at=self.started_at,
            created_at=self.created_at,
            first_started_at=self.first_started_at,
            terminated_at=self.terminated_at,
            is_upgraded=self.is_upgraded,
            skips_termination_invoice=self.on_termination_invoice == "skip",
            skips_termination_credit=self.on_termination_credit_note == "skip",
            billed_at=self.periodic_at,
            charges_billed_to=self.charges_billed_to,
            fixed_charges_billed_to=self.fixed_charges_billed_to,
        )

    @property
    def plan(self) -> BilledPlan:
        """What its plan says of moments."""
        return BilledPlan(
            interval=self.interval,
            pay_in_advance=self.pay_in_advance,
            trial_period_days=self.trial_period_days,
            bill_charges_monthly=self.bill_charges_monthly,
            bill_fixed_charges_monthly=self.bill_fixed_charges_monthly,
            has_fixed_charges_in_advance=self.has_fixed_charges_in_advance,
        )

    @property
    def trial_end(self) -> datetime | None:
        """When its trial is over, or was."""
        first = self.first_started_at or self.started_at
        return trial_end(first, self.trial_period_days, self.zone)

    def next_after(self, at: datetime) -> datetime | None:
        """The first moment after a time; None where nothing will ever be billed again.

        Of one that waits to be paid, nothing but its beginning is billed before it is.
        """
        if self.status == "incomplete":
            return None
        found = moments(self.facts, self.plan, self.zone, after=at, until=_EVER)
        first = next(found, None)
        times = [one.billing_at for one in (*self._units_changed(after=at), first) if one]
        return min(times, default=None)

    def unbilled(self, *, until: datetime) -> list[BillingMoment]:
        """The moments until then that were not billed yet, in their order."""
        last = self.billed_at
        after = None if last is None else last - _MOMENT
        found = moments(self.facts, self.plan, self.zone, after=after, until=until)
        unbilled = [
            moment
            for moment in found
            if (moment.billing_at != last or moment.reason not in self.billed_reasons)
            and (self.status != "incomplete" or moment.reason == "subscription_starting")
        ]
        if self.status != "incomplete":
            unbilled += [one for one in self._units_changed() if one.billing_at <= until]
        return sorted(unbilled, key=lambda one: one.billing_at)

    def _units_changed(self, *, after: datetime | None = None) -> list[BillingMoment]:
        found = [
            units_changed(self.facts, self.plan, self.zone, at=at) for at in self.units_changed_at
        ]
        return [one for one in found if one and (after is None or one.billing_at > after)]


class DueMoment(Struct, frozen=True):
    """A moment at which a subscription is to be billed, and when the one after it is."""

    subscription: ScheduledSubscription
    moment: BillingMoment
    next_billing_at: datetime | None

    @property
    def key(self) -> tuple[datetime, UUID]:
        """Where a run that stops here goes on: see `due_moments`."""
        at = self.subscription.next_billing_at
        assert at is not None, "only what is scheduled is due"
        return at, self.subscription.id


async def due_moments(
    connection: Connection,
    *,
    now: datetime,
    limit: int,
    organization_id: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
    corrects: bool = True,
) -> list[DueMoment]:
    """The moments of subscriptions that are to be billed by now, those of `limit` at most.

    Those of one subscription follow each other, oldest first. `after` is the key of the last one
    that a run has been given. What has nothing to be billed is scheduled anew on the way, unless
    `corrects` is False: then nothing is written, and `now` may be in the future.
    """
    found: list[DueMoment] = []
    subscriptions = 0
    while subscriptions < limit:
        found_rows = _queries.find_to_look_at(
            connection,
            now=now,
            organization_id=organization_id,
            after_at=after and after[0],
            after_id=after and after[1],
            limit=limit - subscriptions,
        )
        rows = [row async for row in found_rows]
        if not rows:
            break
        after = rows[-1]["next_billing_at"], rows[-1]["id"]
        keys = [(row["organization_id"], row["id"]) for row in rows]
        idle: list[ScheduledSubscription] = []
        for subscription in await find_scheduled(connection, keys, now=now):
            due = due_of(subscription, now=now)
            found += due
            subscriptions += bool(due)
            idle += [] if due else [subscription]
        if corrects:
            await _schedule(connection, [(one, one.next_after(now)) for one in idle])
    return found


def due_of(subscription: ScheduledSubscription, *, now: datetime) -> list[DueMoment]:
    """The moments of a subscription that are to be billed by now, oldest first."""
    unbilled = subscription.unbilled(until=now)
    if not unbilled:
        return []
    following = [moment.billing_at for moment in unbilled[1:]]
    last = subscription.next_after(max(unbilled[-1].billing_at, now))
    return [
        DueMoment(subscription, moment, next_at)
        for moment, next_at in zip(unbilled, [*following, last], strict=True)
    ]


async def find_scheduled(
    connection: Connection, keys: Sequence[tuple[UUID, UUID]], *, now: datetime
) -> list[ScheduledSubscription]:
    """Subscriptions by (organization, id), in that order; those that never started are left out."""
    rows = _queries.find_scheduled(
        connection, organization_ids=[key[0] for key in keys], ids=[key[1] for key in keys], now=now
    )
    return [ScheduledSubscription.of(row) async for row in rows]


async def schedule_all(connection: Connection, due: Sequence[DueMoment]) -> bool:
    """Write when the next moments are, in the transaction that bills these.

    False where a subscription has changed since it was read: then nothing of this may be kept.
    """
    last = {one.subscription.id: (one.subscription, one.next_billing_at) for one in due}
    return await _schedule(connection, list(last.values())) == len(last)


async def hold(connection: Connection, places: Collection[tuple[UUID, UUID]]) -> None:
    """Keep subscriptions, (organization, id), until the commit.

    Whoever has read them to bill something reads them again (`schedule_all`).
    """
    if places:
        await _queries.hold_subscriptions(
            connection,
            organization_ids=[organization for organization, _ in places],
            ids=[subscription for _, subscription in places],
        )


async def look_again(
    connection: Connection,
    organization_id: UUID,
    *,
    customer_id: UUID | None = None,
    plan_id: UUID | None = None,
    now: datetime,
) -> None:
    """Something that moments depend on has changed: of a customer, of a plan, or of everybody."""
    if customer_id is not None:
        await _queries.look_again_at_customer(
            connection, organization_id=organization_id, customer_id=customer_id, now=now
        )
    elif plan_id is not None:
        await _queries.look_again_at_plan(
            connection, organization_id=organization_id, plan_id=plan_id, now=now
        )
    else:
        await _queries.look_again_at_all(connection, organization_id=organization_id, now=now)


async def _schedule(
    connection: Connection, found: Sequence[tuple[ScheduledSubscription, datetime | None]]
) -> int:
    """How many were written: those that have not changed since they were read."""
    if not found:
        return 0
    rows = _queries.schedule(
        connection,
        organization_ids=[subscription.organization_id for subscription, _ in found],
        ids=[subscription.id for subscription, _ in found],
        read_at=[subscription.updated_at for subscription, _ in found],
        next_billing_at=[next_at for _, next_at in found],
    )
    return len([row async for row in rows])
