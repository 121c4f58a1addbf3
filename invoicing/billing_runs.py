"""Billing runs: how far they are, what belongs together in them, and what they could not bill."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from invoicing.billing_schedule import DueMoment, due_of, find_scheduled
from invoicing.records import Connection, Record, load_queries
from ledger.ids import new_uuid

__all__ = [
    "BillingRun",
    "count_due",
    "forget_problems",
    "new_run",
    "note",
    "note_problems",
    "siblings",
    "snapshot",
    "without_problems",
]

_queries: Final[Any] = load_queries(__file__)

_TRY_AGAIN: Final = timedelta(minutes=5)
_TRY_AGAIN_MAX: Final = timedelta(hours=6)


class BillingRun(Record, frozen=True, kw_only=True):
    """A run that found something to bill."""

    id: UUID
    until: datetime
    organization_id: UUID | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    subscriptions: int = 0
    invoices: int = 0
    fees: int = 0
    problems: int = 0
    term: int | None = None


async def note(connection: Connection, run: BillingRun) -> None:
    """Store how far a run is."""
    await _queries.note_run(connection, **run.columns())


def new_run(*, until: datetime, organization_id: UUID | None, now: datetime) -> BillingRun:
    """A run that begins."""
    return BillingRun(
        id=new_uuid(now),
        until=until,
        organization_id=organization_id,
        started_at=now,
        updated_at=now,
    )


async def count_due(
    connection: Connection, *, until: datetime, organization_id: UUID | None
) -> int:
    """How many subscriptions a run will look at."""
    count: int = await _queries.count_due(connection, until=until, organization_id=organization_id)
    return count


async def snapshot(connection: Connection) -> int:
    """The oldest transaction that the connection's snapshot may not see."""
    number: int = await _queries.snapshot(connection)
    return number


async def siblings(
    connection: Connection, due: Sequence[DueMoment], *, now: datetime
) -> list[DueMoment]:
    """What else is due of the same customers, so that it can be billed together."""
    rows = _queries.siblings(
        connection,
        organization_ids=[one.subscription.organization_id for one in due],
        customer_ids=[one.subscription.customer_id for one in due],
        known=list({one.subscription.id for one in due}),
        now=now,
    )
    keys = [(row["organization_id"], row["id"]) async for row in rows]
    if not keys:
        return []
    return [
        moment
        for subscription in await find_scheduled(connection, keys, now=now)
        for moment in due_of(subscription, now=now)
    ]


async def without_problems(
    connection: Connection, due: Sequence[DueMoment], *, now: datetime
) -> list[DueMoment]:
    """Without the subscriptions that could not be billed a short while ago."""
    rows = _queries.find_problems(
        connection, ids=list({one.subscription.id for one in due}), now=now
    )
    waiting = {row["subscription_id"] async for row in rows}
    return [one for one in due if one.subscription.id not in waiting]


async def note_problems(
    connection: Connection, due: Sequence[DueMoment], problem: str, *, now: datetime
) -> None:
    """Say why moments could not be billed; each time they wait twice as long."""
    await _queries.note_problems(
        connection,
        organization_ids=[one.subscription.organization_id for one in due],
        subscription_ids=[one.subscription.id for one in due],
        billing_at=[one.moment.billing_at for one in due],
        reasons=[one.moment.reason for one in due],
        problem=problem,
        wait=_TRY_AGAIN,
        wait_max=_TRY_AGAIN_MAX,
        now=now,
    )


async def forget_problems(connection: Connection, due: Sequence[DueMoment]) -> None:
    """These moments are billed now."""
    await _queries.forget_problems(connection, ids=list({one.subscription.id for one in due}))
