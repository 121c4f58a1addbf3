"""Who is subscribed to what, as pricing asks: many at a time, by the names that requests have."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import customers, plans
from invoicing.errors import Invalid
from invoicing.records import Connection, Record, load_queries
from ledger.ids import new_uuid

__all__ = ["Agreement", "Subscriber", "find_at_times", "find_subscribers", "start_default"]

_queries: Final = load_queries(__file__)


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
    interval: str
    """How long a period of its plan is."""
    timezone: str
    """Where its customer lives: days, and so periods, are cut there."""


class Subscriber(Struct, frozen=True):
    """A customer, and what prices its new usage, oldest first."""

    customer_id: UUID
    external_id: str
    agreements: list[Agreement]


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
        await _queries.start_by_default(
            connection,
            organization_id=organization_id,
            id=new_uuid(now),
            external_id=external_id,
            customer_id=customer.id,
            plan_id=plan.id,
            name=customer.name,
            now=now,
        )
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
            subscriber = found[key] = Subscriber(row["customer_id"], key[1], [])
        if row["id"] is not None:
            subscriber.agreements.append(_agreement(row))
    return found


def _agreement(row: Any) -> Agreement:
    """What `Agreement.of` says, without a look at each column's type: of every new customer."""
    return Agreement(
        id=row["id"],
        external_id=row["external_id"],
        customer_id=row["customer_id"],
        plan_id=row["plan_id"],
        plan_version_id=row["plan_version_id"],
        billing_time=row["billing_time"],
        subscription_at=row["subscription_at"],
        started_at=row["started_at"],
        terminated_at=row["terminated_at"],
        interval=row["interval"],
        timezone=row["timezone"],
    )


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
            [Agreement.of(row)],
        )
        for row in rows
    }
