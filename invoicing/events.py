"""The store of usage events: what was reported, and what it was rated to. Append-only.

That a transaction id counts once is decided by whoever writes (the committer, under the customer's
lock); this module stores what was decided.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from invoicing.errors import NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries

_queries: Final = load_queries(__file__)

COUNT_MAX: Final = 100_000
"""Lists count up to here: nobody waits for the exact number of millions of events."""


class Event(Record, frozen=True, kw_only=True):
    """One usage event. `properties` and `lines` are JSON text, passed through as they are.

    `lines` is a list, one per charge: charge_id, filter_id, units, exact amount, amount_minor,
    asset_code, and the total it was priced from.
    """

    organization_id: UUID
    id: UUID
    transaction_id: str
    customer_id: UUID | None = None
    external_customer_id: str | None = None
    subscription_id: UUID | None = None
    external_subscription_id: str | None = None
    code: str
    timestamp: datetime
    properties: str = "{}"
    precise_total_amount_cents: Decimal | None = None
    rating_status: str
    plan_version_id: UUID | None = None
    lines: str = "[]"
    operation_id: UUID
    created_at: datetime
    asset_code: str | None = None
    paid: str = "[]"
    reverses_event_id: UUID | None = None
    unrated_reason: str | None = None


class EventFilter(Record, frozen=True, kw_only=True):
    """Which events are wanted; None means all. Times are half-open: from included, to excluded."""

    code: str | None = None
    external_subscription_id: str | None = None
    external_customer_id: str | None = None
    rating_status: str | None = None
    timestamp_from: datetime | None = None
    timestamp_to: datetime | None = None


async def insert_many(connection: Connection, events: Sequence[Event]) -> None:
    """Store all of them in one statement."""
    if events:
        await connection.execute(_queries.insert_events.sql, rows_of(events))


def rows_of(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """Make the rows (`invoicing.new_event`) of events, for a statement that stores them."""
    return [structs.astuple(event) for event in events]


async def rate_late(connection: Connection, events: Sequence[Event]) -> None:
    """Give events their rating that had none when they came.

    What was reported never changes, but for the one property that an expression may compute.
    """
    if events:
        await connection.execute(_queries.rate_events_late.sql, rows_of(events))


async def get(
    connection: Connection,
    organization_id: UUID,
    transaction_id: str,
    *,
    external_subscription_id: str | None = None,
) -> Event:
    """The newest event with this transaction id; raises NotFound."""
    row: Any = await _queries.find_event(
        connection,
        organization_id=organization_id,
        transaction_id=transaction_id,
        external_subscription_id=external_subscription_id,
    )
    if row is None:
        raise NotFound("event")
    return Event.of(row)


async def find_all(
    connection: Connection, organization_id: UUID, wanted: EventFilter, *, window: Window
) -> Page[Event]:
    """A page of events, the latest received first; counts stop at COUNT_MAX."""
    values = {"organization_id": organization_id, **wanted.columns()}
    rows = _queries.list_events(connection, **values, limit=window.size, offset=window.offset)
    items = [Event.of(row) async for row in rows]
    return Page(items, await _queries.count_events(connection, **values, count_max=COUNT_MAX))


async def make_room(connection: Connection, day: datetime) -> bool:
    """Make the partition of a month, ahead of time; False if its events are kept elsewhere."""
    done: bool = await _queries.ensure_events_of_month(connection, any_day=day.date())
    return done
