"""Subscriptions: which plan prices a customer's usage, from when to when.

pending ── its time has come ──► active ── terminate, ending_at ──► terminated
└────── terminate ──────────► canceled
"""

from collections.abc import AsyncIterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import catalogue_versions, customers, plans
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

STATUSES: Final = ("pending", "active", "terminated", "canceled")


class Agreement(Record, frozen=True, kw_only=True):
    """What pricing needs to know of a subscription."""

    id: UUID
    external_id: str
    customer_id: UUID
    plan_id: UUID
    plan_version_id: UUID
    billing_time: str
    subscription_at: datetime
    started_at: datetime
    terminated_at: datetime | None
    started_by_default: bool
    interval: str
    """How long a period of its plan is."""


class Subscriber(Struct, frozen=True):
    """A customer, and what prices its new usage, oldest first."""

    customer_id: UUID
    external_id: str
    currency: str | None
    agreements: list[Agreement]


class Subscription(Record, frozen=True, kw_only=True):
    """A subscription as stored, with what names its customer and plan."""

    organization_id: UUID
    id: UUID
    external_id: str
    customer_id: UUID
    external_customer_id: str
    plan_id: UUID
    plan_code: str
    plan_amount_cents: int
    plan_amount_currency: str
    plan_version_id: UUID
    name: str | None
    status: str
    billing_time: str
    subscription_at: datetime
    started_at: datetime | None
    ending_at: datetime | None
    terminated_at: datetime | None
    canceled_at: datetime | None
    previous_subscription_id: UUID | None
    started_by_default: bool
    on_termination_credit_note: str | None
    on_termination_invoice: str | None
    purchase_order_number: str | None
    consolidate_invoice: bool
    created_at: datetime
    updated_at: datetime


class SubscriptionRequest(Struct, frozen=True, kw_only=True):
    """What a caller wants to subscribe a customer to. An absent customer is created."""

    external_id: str
    external_customer_id: str
    plan_code: str
    name: str | None = None
    billing_time: str = "calendar"
    subscription_at: datetime | None = None
    ending_at: datetime | None = None
    purchase_order_number: str | None = None
    consolidate_invoice: bool = True


class SubscriptionChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    name: str | UnsetType | None = UNSET
    ending_at: datetime | UnsetType | None = UNSET
    purchase_order_number: str | UnsetType | None = UNSET
    consolidate_invoice: bool | UnsetType = UNSET


class Termination(Struct, frozen=True, kw_only=True):
    """What the end of a subscription to a plan paid in advance does; kept for the invoice."""

    on_termination_credit_note: str | None = None
    on_termination_invoice: str | None = None


class _Row(Record, frozen=True, kw_only=True):
    """The columns of a new subscription."""

    organization_id: UUID
    id: UUID
    external_id: str
    customer_id: UUID
    plan_id: UUID
    name: str | None = None
    status: str
    billing_time: str = "calendar"
    subscription_at: datetime
    started_at: datetime | None = None
    ending_at: datetime | None = None
    terminated_at: datetime | None = None
    canceled_at: datetime | None = None
    previous_subscription_id: UUID | None = None
    started_by_default: bool = False
    on_termination_credit_note: str | None = None
    on_termination_invoice: str | None = None
    purchase_order_number: str | None = None
    consolidate_invoice: bool = True
    created_at: datetime
    updated_at: datetime


async def create(
    connection: Connection,
    organization_id: UUID,
    request: SubscriptionRequest,
    *,
    now: datetime,
) -> Subscription:
    """Subscribe a customer to a plan; raises Invalid or NotFound (plan).

    An external id in use by the same customer means a change: of the name if the plan is the same,
    else to a plan that costs at least as much, at once.
    """
    _check(request, now=now)
    await catalogue_versions.bump(connection, organization_id)
    plan = await plans.get(connection, organization_id, request.plan_code, now=now)
    customer = await customers.find(connection, organization_id, request.external_customer_id)
    if customer is None:
        customer = await customers.upsert(
            connection,
            organization_id,
            request.external_customer_id,
            customers.CustomerChanges(currency=plan.amount_currency),
            now=now,
        )
    current = await find(
        connection, organization_id, request.external_id, statuses=("active", "pending")
    )
    previous: UUID | None = None
    if current is not None:
        if current.customer_id != customer.id:
            raise Invalid.field("external_id", "value_already_exist")
        if current.plan_id == plan.id:
            changes = SubscriptionChanges(name=request.name or UNSET)
            return await _change(connection, current, changes, now=now)
        old_plan = await plans.get(connection, organization_id, current.plan_code, now=now)
        if plans.yearly_amount_cents(plan) < plans.yearly_amount_cents(old_plan):
            raise Invalid.field(
                "plan_code",
                "value_is_invalid",
                "a change to a cheaper plan waits for the end of a period: not available yet",
            )
        await _end(connection, current, now=now)
        previous = current.id
    starts_at = request.subscription_at or now
    is_pending = starts_at > now
    row = _Row(
        organization_id=organization_id,
        id=new_uuid(now),
        external_id=request.external_id,
        customer_id=customer.id,
        plan_id=plan.id,
        name=request.name,
        status="pending" if is_pending else "active",
        billing_time=request.billing_time,
        subscription_at=starts_at,
        started_at=None if is_pending else starts_at,
        ending_at=request.ending_at,
        previous_subscription_id=previous,
        purchase_order_number=request.purchase_order_number,
        consolidate_invoice=request.consolidate_invoice,
        created_at=now,
        updated_at=now,
    )
    if await _queries.insert_subscription(connection, **row.columns()) is None:
        raise Invalid.field("external_id", "value_already_exist")  # someone was first, just now
    return await get(connection, organization_id, row.external_id, statuses=(row.status,))


async def start_default(
    connection: Connection, organization_id: UUID, customer: customers.Customer, *, now: datetime
) -> Agreement | None:
    """Put a customer on the default plan, by calendar months, or find that it is; None without one.

    Safe to run twice at once. The subscription has the customer's external id; where that is in
    use, the plan's code is added. It does not move the catalogue's version: nothing that a cache
    may hold has changed by it, so the first use of many customers needs no common lock.
    """
    plan = await plans.find_default(connection, organization_id)
    if plan is None:
        return None
    for external_id in (customer.external_id, f"{customer.external_id}:{plan.code}"):
        row = _Row(
            id=new_uuid(now),
            external_id=external_id,
            name=customer.name,
            status="active",
            subscription_at=now,
            started_at=now,
            started_by_default=True,
            created_at=now,
            updated_at=now,
            organization_id=organization_id,
            customer_id=customer.id,
            plan_id=plan.id,
        )
        await _queries.insert_subscription(connection, **row.columns())
        found = await _queries.find_started_by_default(
            connection, organization_id=organization_id, customer_id=customer.id, plan_id=plan.id
        )
        if found is not None:
            return Agreement.of(found)
    raise Invalid.field("external_id", "value_already_exist")


async def find_subscribers(
    connection: Connection, wanted: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Subscriber]:
    """Customers by (organization, the caller's id), with what prices their new usage.

    Of many organizations at once: for a role that sees all of them. Who is unknown is left out.
    """
    found: dict[tuple[UUID, str], Subscriber] = {}
    rows = await connection.fetch(
        _queries.find_subscribers.sql, [key[0] for key in wanted], [key[1] for key in wanted]
    )
    for row in rows:
        key = row["organization_id"], row["external_customer_id"]
        subscriber = found.get(key)
        if subscriber is None:
            subscriber = found[key] = Subscriber(row["customer_id"], key[1], row["currency"], [])
        if row["id"] is not None:
            subscriber.agreements.append(Agreement.of(row))
    return found


async def find_at_times(
    connection: Connection, wanted: Sequence[tuple[UUID, str, datetime]]
) -> dict[tuple[UUID, str, datetime], Subscriber]:
    """What external ids meant at a time, by (organization, id, time): also after their end.

    Of many organizations at once, as `find_subscribers`; each has the one agreement that was meant.
    """
    rows = await connection.fetch(
        _queries.find_at_times.sql,
        [key[0] for key in wanted],
        [key[1] for key in wanted],
        [key[2] for key in wanted],
    )
    return {
        (row["organization_id"], row["external_id"], row["wanted_at"]): Subscriber(
            row["customer_id"],
            row["external_customer_id"],
            row["currency"],
            [Agreement.of(row)],
        )
        for row in rows
    }


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


async def update(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    changes: SubscriptionChanges,
    *,
    statuses: Sequence[str] = ("active",),
    now: datetime,
) -> Subscription:
    """Change what may be changed of a running subscription; raises NotFound or Invalid."""
    await catalogue_versions.bump(connection, organization_id)
    subscription = await _lock(connection, organization_id, external_id, statuses=statuses)
    return await _change(connection, subscription, changes, now=now)


async def terminate(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    termination: Termination | None = None,
    *,
    statuses: Sequence[str] = ("active",),
    now: datetime,
) -> Subscription:
    """End a subscription now; a pending one never starts. Raises NotFound or Invalid."""
    asked = termination or Termination()
    if asked.on_termination_credit_note not in {None, "credit", "refund", "offset", "skip"}:
        raise Invalid.field("on_termination_credit_note", "invalid_value")
    if asked.on_termination_invoice not in {None, "generate", "skip"}:
        raise Invalid.field("on_termination_invoice", "invalid_value")
    await catalogue_versions.bump(connection, organization_id)
    subscription = await _lock(connection, organization_id, external_id, statuses=statuses)
    await _end(connection, subscription, termination=asked, now=now)
    ended = "canceled" if subscription.status == "pending" else "terminated"
    return await get(connection, organization_id, external_id, statuses=(ended,))


async def start_due(connection: Connection, *, now: datetime) -> list[tuple[UUID, UUID]]:
    """Start what was agreed for a time that has come; the organizations and subscriptions of it."""
    await _bump_all(connection, _queries.organizations_with_starts(connection, now=now))
    return [
        (row["organization_id"], row["id"]) async for row in _queries.start_due(connection, now=now)
    ]


async def end_due(connection: Connection, *, now: datetime) -> list[tuple[UUID, UUID]]:
    """Terminate what was agreed to end by now; the organizations and subscriptions of it."""
    await _bump_all(connection, _queries.organizations_with_ends(connection, now=now))
    return [
        (row["organization_id"], row["id"]) async for row in _queries.end_due(connection, now=now)
    ]


async def _bump_all(connection: Connection, rows: AsyncIterable[Any]) -> None:
    """Queue up for the catalogue of each organization, in one order."""
    for organization_id in sorted([row["organization_id"] async for row in rows]):
        await catalogue_versions.bump(connection, organization_id)


async def _lock(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str],
) -> Subscription:
    await _queries.lock_subscription(
        connection,
        organization_id=organization_id,
        external_id=external_id,
        statuses=list(statuses),
    )
    return await get(connection, organization_id, external_id, statuses=statuses)


async def _change(
    connection: Connection,
    subscription: Subscription,
    changes: SubscriptionChanges,
    *,
    now: datetime,
) -> Subscription:
    if isinstance(changes.ending_at, datetime) and changes.ending_at <= max(
        now, subscription.subscription_at
    ):
        raise Invalid.field("ending_at", "value_is_invalid")
    changed = structs.replace(apply(changes, subscription), updated_at=now)
    await _queries.update_subscription(connection, **changed.columns())
    return changed


async def _end(
    connection: Connection,
    subscription: Subscription,
    *,
    termination: Termination | None = None,
    now: datetime,
) -> None:
    if subscription.status == "pending":
        ended = structs.replace(subscription, status="canceled", canceled_at=now, updated_at=now)
    else:
        assert subscription.started_at is not None
        ended = structs.replace(
            subscription,
            status="terminated",
            terminated_at=max(now, subscription.started_at),
            updated_at=now,
        )
    if termination is not None:
        ended = structs.replace(
            ended,
            on_termination_credit_note=termination.on_termination_credit_note,
            on_termination_invoice=termination.on_termination_invoice,
        )
    await _queries.update_subscription(connection, **ended.columns())


def _check(request: SubscriptionRequest, *, now: datetime) -> None:
    problems: dict[str, list[str]] = {}
    for field in ("external_id", "external_customer_id", "plan_code"):
        if not getattr(request, field).strip():
            problems[field] = ["value_is_mandatory"]
    if request.billing_time not in {"calendar", "anniversary"}:
        problems["billing_time"] = ["value_is_invalid"]
    starts_at = request.subscription_at or now
    if request.ending_at is not None and request.ending_at <= max(now, starts_at):
        problems["ending_at"] = ["value_is_invalid"]
    if problems:
        raise Invalid(problems)
