"""Usage, event by event: what prices need that sums cannot give.

Events are read in portions (a server-side cursor), so a subscription may have millions of them.
"""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing.records import Connection, load_queries
from invoicing.usage_rollups import NIL, UsageKey
from rating.events import Event

__all__ = ["UsageLine", "lines", "lines_in_order"]

_queries: Final = load_queries(__file__)

_PORTION: Final = 5_000
_FIRST_PORTION: Final = 200
"""A free tier has few events, most of the time."""


class UsageLine(Struct, frozen=True, kw_only=True):
    """What one event means to one price, and what it came to when it came."""

    key: UsageKey
    presented_by: str
    event: Event
    exact: Decimal
    debited_minor: int


async def lines(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    start: datetime,
    end: datetime,
    codes: Collection[str] | None = None,
    charge_ids: Collection[UUID] | None = None,
) -> AsyncIterator[list[UsageLine]]:
    """The lines of the events from `start` until just before `end`, in portions and no order.

    `codes` are the metrics of `charge_ids`: they make the search short. Needs a transaction.
    """
    cursor = await connection.cursor(
        _queries.lines.sql,
        organization_id,
        subscription_id,
        start,
        end,
        None if codes is None else list(codes),
        None if charge_ids is None else list(charge_ids),
    )
    while rows := await cursor.fetch(_PORTION):
        yield [_line(row) for row in rows]


async def lines_in_order(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    start: datetime,
    end: datetime,
    code: str,
    charge_id: UUID,
) -> AsyncIterator[list[UsageLine]]:
    """The lines of one charge as they count: by time, and of one instant by id. In portions.

    Whoever has read enough may stop: the rest is not looked for. Needs a transaction.
    """
    cursor = await connection.cursor(
        _queries.lines_in_order.sql, organization_id, subscription_id, code, start, end, charge_id
    )
    portion = _FIRST_PORTION
    while rows := await cursor.fetch(portion):
        yield [_line(row) for row in rows]
        portion = _PORTION


def _line(row: Any) -> UsageLine:
    return UsageLine(
        key=UsageKey(
            row["charge_id"],
            None if row["filter_id"] == NIL else row["filter_id"],
            row["grouped_by"],
            row["asset_code"],
        ),
        presented_by=row["presented_by"],
        event=Event(
            timestamp=row["timestamp"],
            order=row["event_id"].int,
            units=row["units"],
            member=row["member"],
            removes=row["removes"],
            precise_amount_cents=row["precise_cents"],
            plan_version_id=row["plan_version_id"],
        ),
        exact=row["exact"],
        debited_minor=row["debited_minor"],
    )
