"""Subscriptions: which plan prices a customer's usage, from when to when.

pending ── its time has come ──► active ── terminate, ending_at, another plan ──► terminated
   └── terminate ──► canceled      ▲
incomplete ── paid ────────────────┘
   └── not paid in time ──► canceled

What changes them is in `subscription_changes`, what becomes of them with time in
`subscription_moves`, and what pricing asks of them in `subscribers`.
"""

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import field, structs

from invoicing.errors import NotFound
from invoicing.pages import Page, Window
from invoicing.periods import Bounds, day_of, period_at, zone_named
from invoicing.records import Connection, Record, load_queries

__all__ = [
    "STATUSES",
    "Subscription",
    "find",
    "find_all",
    "get",
    "insert",
    "lock",
    "of_ids",
    "save",
]

_queries: Final = load_queries(__file__)

STATUSES: Final = ("pending", "incomplete", "active", "terminated", "canceled")


class Subscription(Record, frozen=True, kw_only=True):
    """A subscription as stored, with what names its customer and plans."""

    json_columns: ClassVar[tuple[str, ...]] = ("activation_rules", "usage_thresholds")

    organization_id: UUID
    id: UUID
    external_id: str
    customer_id: UUID
    plan_id: UUID
    name: str | None = None
    status: str
    billing_time: str = "calendar"
    subscription_at: datetime
    """The anchor of its periods: that of the first of a chain of plan changes."""
    started_at: datetime | None = None
    starts_at: datetime | None = None
    first_started_at: datetime | None = None
    ending_at: datetime | None = None
    terminated_at: datetime | None = None
    canceled_at: datetime | None = None
    cancellation_reason: str | None = None
    activated_at: datetime | None = None
    trial_ended_at: datetime | None = None
    previous_subscription_id: UUID | None = None
    is_upgraded: bool = False
    started_by_default: bool = False
    on_termination_credit_note: str | None = None
    on_termination_invoice: str | None = None
    purchase_order_number: str | None = None
    consolidate_invoice: bool = True
    billing_entity_code: str | None = None
    activation_rules: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    usage_thresholds: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    created_at: datetime
    updated_at: datetime
    external_customer_id: str
    timezone: str
    plan_code: str
    """Of a plan made for it alone, the code of the one that was made from."""
    own_plan_code: str
    plan_amount_cents: int
    plan_amount_currency: str
    plan_interval: str
    plan_version_id: UUID
    previous_plan_code: str | None = None
    next_plan_code: str | None = None
    next_starts_at: datetime | None = None

    @property
    def zone(self) -> tzinfo:
        """The customer's clock."""
        return zone_named(self.timezone)

    @property
    def downgrade_plan_date(self) -> date | None:
        """On which day another plan takes its place, if one waits for that."""
        if self.next_starts_at is None or self.status != "active":
            return None
        return day_of(self.next_starts_at, self.zone)

    def period_at(self, at: datetime) -> Bounds:
        """The billing period that a time falls in."""
        return period_at(
            at,
            interval=self.plan_interval,
            billing_time=self.billing_time,
            anchor=self.subscription_at,
            zone=self.zone,
        )


_SHOWN: Final = (
    "external_customer_id",
    "timezone",
    "plan_code",
    "own_plan_code",
    "plan_amount_cents",
    "plan_amount_currency",
    "plan_interval",
    "plan_version_id",
    "previous_plan_code",
    "next_plan_code",
    "next_starts_at",
)


async def find(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str] = ("active",),
) -> Subscription | None:
    """The newest subscription with this external id in one of the statuses."""
    row = await _queries.find_subscription(
        connection,
        organization_id=organization_id,
        external_id=external_id,
        statuses=list(statuses),
    )
    return None if row is None else Subscription.of(row)


async def get(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str] = ("active",),
) -> Subscription:
    """As `find`, or raise NotFound."""
    subscription = await find(connection, organization_id, external_id, statuses=statuses)
    if subscription is None:
        raise NotFound("subscription")
    return subscription


async def of_ids(
    connection: Connection, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Subscription]:
    """Subscriptions by (organization, id)."""
    rows = _queries.find_of_ids(
        connection, organization_ids=[key[0] for key in keys], ids=[key[1] for key in keys]
    )
    found = [Subscription.of(row) async for row in rows]
    return {(one.organization_id, one.id): one for one in found}


async def find_all(
    connection: Connection,
    organization_id: UUID,
    *,
    window: Window,
    statuses: Sequence[str] = ("active",),
    external_customer_id: str | None = None,
    plan_code: str | None = None,
) -> Page[Subscription]:
    """A page of subscriptions, newest first."""
    wanted = {
        "organization_id": organization_id,
        "statuses": list(statuses),
        "external_customer_id": external_customer_id,
        "plan_code": plan_code,
    }
    rows = _queries.list_subscriptions(
        connection, **wanted, limit=window.size, offset=window.offset
    )
    items = [Subscription.of(row) async for row in rows]
    return Page(items, await _queries.count_subscriptions(connection, **wanted))


async def lock(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str] = ("active",),
) -> Subscription:
    """As `get`, held so that changes of it queue up."""
    await _queries.lock_subscription(
        connection,
        organization_id=organization_id,
        external_id=external_id,
        statuses=list(statuses),
    )
    return await get(connection, organization_id, external_id, statuses=statuses)


async def insert(connection: Connection, subscription: Subscription) -> bool:
    """Store a new subscription; False if its external id has one of this status already."""
    columns = _columns(subscription)
    return await _queries.insert_subscription(connection, **columns) is not None


async def save(connection: Connection, subscription: Subscription) -> Subscription:
    """Store what has become of a subscription, and read what it is shown with."""
    await _queries.update_subscription(connection, **_columns(subscription))
    key = subscription.organization_id, subscription.id
    return (await of_ids(connection, [key]))[key]


def blank(subscription: Subscription, **fields: Any) -> Subscription:
    """Another subscription like this one."""
    return structs.replace(subscription, **fields)


def _columns(subscription: Subscription) -> dict[str, Any]:
    """What is stored of it itself."""
    columns = subscription.columns()
    for name in _SHOWN:
        del columns[name]
    return columns
