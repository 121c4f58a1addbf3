"""Stored usage, read in portions, and what it means to its own prices and to others."""

import contextlib
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing.records import Connection, load_queries
from invoicing.usage_rollups import UsageKey
from rating.errors import MissingProperty, UnknownPrice
from rating.events import Event
from rating.rate_cards import Line, RateCard
from wallet_service.decision.state import EventLine
from wallet_service.expressions import to_seconds

__all__ = ["Counts", "UsedEvent", "own_counts", "read_used", "tried_counts"]

_queries: Final = load_queries(__file__)
_lines: Final = msgspec.json.Decoder(list[EventLine]).decode
_properties: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

_PORTION: Final = 5_000

Counts: TypeAlias = list[tuple[UsageKey, Event]]
"""What one event counts for, price by price."""


class UsedEvent(Struct, frozen=True, kw_only=True):
    """A stored event, as far as prices depend on it."""

    id: UUID
    code: str
    timestamp: datetime
    properties: dict[str, Any]
    precise_amount_cents: Decimal | None
    is_rated: bool
    plan_version_id: UUID | None
    asset_code: str | None
    lines: list[EventLine]


async def read_used(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    start: datetime,
    end: datetime,
    codes: Collection[str] | None = None,
) -> AsyncIterator[UsedEvent]:
    """The usage from `start` until just before `end`, in no order; of some metrics, or all.

    Without events that were taken back as a whole, and without amounts that have no price. What
    could not be rated is usage, too. Needs a transaction.
    """
    cursor = await connection.cursor(
        _queries.used.sql,
        organization_id,
        subscription_id,
        start,
        end,
        None if codes is None else list(codes),
    )
    while rows := await cursor.fetch(_PORTION):
        for row in rows:
            yield _used(row)


def _used(row: Any) -> UsedEvent:
    lines = _lines(row["lines"])
    named = row["precise_total_amount_cents"]
    if named is None and lines:
        named = lines[0].precise_amount_cents  # a capture keeps it there alone
    return UsedEvent(
        id=row["id"],
        code=row["code"],
        timestamp=row["timestamp"],
        properties=_properties(row["properties"]),
        precise_amount_cents=named,
        is_rated=row["rating_status"] != "unrated",
        plan_version_id=row["plan_version_id"],
        asset_code=row["asset_code"],
        lines=lines,
    )


def own_counts(used: UsedEvent) -> Counts:
    """What an event counted for when it was rated; nothing if it was not."""
    return [
        (
            UsageKey(line.charge_id, line.filter_id, line.group, used.asset_code or ""),
            _event(used, line, used.plan_version_id),
        )
        for line in used.lines
        if line.charge_id is not None
    ]


def tried_counts(used: UsedEvent, card: RateCard, code: str) -> Counts:
    """What an event would count for: in the asset it was rated in if there is a price in it.

    `code` is what the card calls the event's metric. Raises RatingError.
    """
    assets = card.assets(code)
    if not assets:
        raise UnknownPrice(code, field="asset_code")
    asset_code = used.asset_code if used.asset_code in assets else assets[0]
    return [
        (
            UsageKey(line.charge_id, line.filter_id, line.group, line.asset_code),
            _event(used, line, card.plan_version_id),
        )
        for line in _tried_lines(used, card, code, asset_code)
    ]


def _tried_lines(used: UsedEvent, card: RateCard, code: str, asset_code: str) -> tuple[Line, ...]:
    """A rated event is stored with what its metric's expression computed, if it had one then."""
    amount = used.precise_amount_cents
    if used.is_rated:
        with contextlib.suppress(MissingProperty):
            return card.lines(
                code, used.properties, asset_code=asset_code, precise_amount_cents=amount
            )
    properties = card.computed(code, used.properties, timestamp=to_seconds(used.timestamp))
    return card.lines(code, properties, asset_code=asset_code, precise_amount_cents=amount)


def _event(used: UsedEvent, line: EventLine | Line, plan_version_id: UUID | None) -> Event:
    return Event(
        timestamp=used.timestamp,
        order=used.id.int,
        units=line.units,
        member=line.member,
        removes=line.removes,
        precise_amount_cents=line.precise_amount_cents,
        plan_version_id=plan_version_id,
    )
