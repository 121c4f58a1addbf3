"""Where budgets stand, as batches lock, read and write it.

A bucket that only one customer moves is covered by the lock on the customer. The others are rows
that are locked after the customers, in the order of their ids; they are introduced before, in a
transaction of their own. Whoever has no budget comes by none of these queries.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

from invoicing.records import Connection, load_queries
from wallet_service.decision import Effect, LockedState, Operation
from wallet_service.decision.budget_state import (
    BucketState,
    BudgetKey,
    BudgetTerms,
    Threshold,
)
from wallet_service.decision.budget_windows import Calendar, Rolling, Window
from wallet_service.decision.budgets import buckets_of

__all__ = [
    "Place",
    "introduce_buckets",
    "lock_buckets",
    "read_buckets",
    "take_buckets",
    "wide_places",
    "window_of",
    "write_buckets",
    "write_spending",
]

Place: TypeAlias = tuple[UUID, BudgetKey]
"""(organization, bucket)."""

_queries: Final[Any] = load_queries(__file__)

_decode_window: Final = msgspec.json.Decoder(Calendar | Rolling).decode
_thresholds_of: Final = msgspec.json.Decoder(tuple[Threshold, ...]).decode
_raised_json: Final = msgspec.json.Encoder().encode


# -- locked and read -------------------------------------------------------------------------------


def wide_places(operations: Iterable[Operation]) -> set[Place]:
    """The buckets of more than one customer that operations name, before anything was read."""
    return {
        (operation.organization_id, key)
        for operation in operations
        for key in buckets_of(operation.command, None)
        if key.is_wide
    }


async def introduce_buckets(connection: Connection, places: Iterable[Place]) -> set[Place]:
    """Buckets that are not there yet come into being; says which."""
    wanted = _sorted(places)
    rows = await connection.fetch(_queries.introduce_buckets.sql, *_columns(wanted))
    return _found(rows, wanted)


async def take_buckets(
    connection: Connection,
    operations: Sequence[Operation],
    state: LockedState,
    *,
    skip_locked: bool,
) -> list[bool]:
    """Lock and read the budgets that operations look at or move.

    After their customers were locked and read, since holds and events say which they are. Tells of
    each operation whether it can be judged: some bucket of the others is busy.
    """
    wanted = [_places(operation, state) for operation in operations]
    everything = set[Place]().union(*wanted)
    if not everything:
        return [True] * len(operations)
    wide = {place for place in everything if place[1].is_wide}
    locked = await lock_buckets(connection, wide, skip_locked=skip_locked)
    busy = wide - locked
    state.budgets = await read_buckets(connection, everything - busy, now=state.now)
    return [not places & busy for places in wanted]


async def lock_buckets(
    connection: Connection, wide: set[Place], *, skip_locked: bool
) -> set[Place]:
    """Lock buckets in the order of their ids; says which.

    Without ``skip_locked`` those that are missing then are introduced, and so locked; unless
    another transaction was first.
    """
    if not wide:
        return set()
    wanted = _sorted(wide)
    query = _queries.lock_buckets if skip_locked else _queries.wait_for_buckets
    locked = _found(await connection.fetch(query.sql, *_columns(wanted)), wanted)
    if not skip_locked and len(locked) < len(wide):
        locked |= await introduce_buckets(connection, wide - locked)
    return locked


async def read_buckets(
    connection: Connection, places: Iterable[Place], *, now: datetime
) -> dict[BudgetKey, BucketState]:
    """What budgets say now and where these buckets stand; those of deleted ones are left out."""
    wanted = _sorted(places)
    if not wanted:
        return {}
    keys = {(place[0], place[1].budget_id, place[1].bucket): place[1] for place in wanted}
    rows = await connection.fetch(_queries.read_buckets.sql, *_columns(wanted), now)
    return {
        keys[row["organization_id"], row["budget_id"], row["bucket"]]: BucketState(
            terms=BudgetTerms(
                id=row["budget_id"],
                code=row["code"],
                name=row["name"],
                asset_code=row["asset_code"],
                limit_minor=row["limit_minor"],
                is_hard=row["mode"] == "hard",
                window=window_of(row["time_window"]),
                thresholds=_thresholds(row["alert_thresholds"]),
            ),
            bucket=row["bucket"],
            held=int(row["held_minor"] or 0),
            spent={
                start: int(spent)
                for start, spent in zip(row["starts"] or (), row["spent"] or (), strict=True)
            },
            raised=tuple(row["raised"] or ()),
            raised_in=row["raised_in"],
        )
        for row in rows
    }


@lru_cache(maxsize=4096)
def window_of(stored: str | None) -> Window:
    """A window as it is stored."""
    return None if stored is None else _decode_window(stored)


@lru_cache(maxsize=4096)
def _thresholds(stored: str) -> tuple[Threshold, ...]:
    return _thresholds_of(stored)


# -- written ---------------------------------------------------------------------------------------


async def write_buckets(
    connection: Connection,
    effects: Iterable[tuple[UUID, Effect]],
    buckets: Mapping[BudgetKey, BucketState],
) -> None:
    """Move counters as these operations of (organization, effect) do, with their intents.

    ``buckets`` as they stand afterwards.
    """
    held: dict[Place, int] = {}
    spent: dict[tuple[Place, datetime], int] = {}
    for organization_id, effect in effects:
        for move in effect.budget_moves:
            place = organization_id, move.key
            held[place] = held.get(place, 0) + move.held_minor
            if move.starts_at is not None:
                start = place, move.starts_at
                spent[start] = spent.get(start, 0) + move.spent_minor
    if not held:
        return
    wanted = _sorted(held)
    await connection.execute(
        _queries.write_buckets.sql,
        *_columns(wanted),
        [Decimal(held[place]) for place in wanted],
        [_raised_json(buckets[place[1]].raised).decode() for place in wanted],
        [buckets[place[1]].raised_in for place in wanted],
    )
    if spent:
        starts = sorted(spent, key=lambda start: (*_order(start[0]), start[1]))
        await connection.execute(
            _queries.write_windows.sql,
            *_columns([place for place, _ in starts]),
            [start for _, start in starts],
            [Decimal(spent[start]) for start in starts],
        )


async def write_spending(connection: Connection, effects: Iterable[tuple[UUID, Effect]]) -> None:
    """What events have in budgets, and alerts: history, written once it is a fact."""
    effects = list(effects)
    events = [
        (organization_id, effect.operation_id, one.event_id, one.part)
        for organization_id, effect in effects
        for one in effect.event_budgets
    ]
    if events:
        await connection.execute(
            _queries.write_event_budgets.sql,
            [organization_id for organization_id, _, _, _ in events],
            [event_id for _, _, event_id, _ in events],
            [operation_id for _, operation_id, _, _ in events],
            [part.budget_id for *_, part in events],
            [part.bucket for *_, part in events],
            [part.is_wide for *_, part in events],
            [part.starts_at for *_, part in events],
            [part.amount_minor for *_, part in events],
        )
    alerts = [
        (organization_id, row) for organization_id, effect in effects for row in effect.alerts
    ]
    if alerts:
        rows = [row for _, row in alerts]
        await connection.execute(
            _queries.write_alerts.sql,
            [organization_id for organization_id, _ in alerts],
            [row.id for row in rows],
            [row.key.budget_id for row in rows],
            [row.key.bucket for row in rows],
            [row.percentage for row in rows],
            [row.limit_minor for row in rows],
            [row.spent_minor for row in rows],
            [row.window_start for row in rows],
            [row.at for row in rows],
        )


# -- parts -----------------------------------------------------------------------------------------


def _places(operation: Operation, state: LockedState) -> set[Place]:
    customer = None if operation.customer is None else state.customers.get(operation.customer)
    keys = buckets_of(operation.command, customer)
    return {(operation.organization_id, key) for key in keys}


def _order(place: Place) -> tuple[UUID, UUID, str]:
    return place[0], place[1].budget_id, place[1].bucket


def _sorted(places: Iterable[Place]) -> list[Place]:
    return sorted(places, key=_order)


def _columns(places: Sequence[Place]) -> tuple[list[UUID], list[UUID], list[str]]:
    return (
        [organization_id for organization_id, _ in places],
        [key.budget_id for _, key in places],
        [key.bucket for _, key in places],
    )


def _found(rows: Iterable[Any], wanted: Iterable[Place]) -> set[Place]:
    there = {(row["organization_id"], row["budget_id"], row["bucket"]) for row in rows}
    return {place for place in wanted if _order(place) in there}
