"""Units that stay (seats, storage) pass on to the subscription of the plan that follows.

They belong to the external id of a subscription rather than to one of its plans. So a subscription
that took another's place begins with what all before it have left; the plan that follows says what
that is to it: its own charges, filters and groups price the events of its predecessors.
Source: Lago, recurring metrics of an external subscription id.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing.errors import NotAllowed
from invoicing.records import Connection, Record, load_queries
from invoicing.usage_events import UsageLine
from invoicing.usage_rollups import NIL, StoredUsage, UsageKey
from invoicing.usage_versions import PricedVersion, Versions, in_force
from rating.charges import Charge
from rating.errors import RatingError
from rating.events import Event
from rating.exact import ZERO
from rating.rate_cards import Line
from rating.tallies import Tally

__all__ = [
    "Ended",
    "count_in",
    "is_billed_once",
    "metrics_of_followers",
    "passed_lines",
    "predecessors",
]

_queries: Final[Any] = load_queries(__file__)

_PORTION: Final = 5_000
_MOMENT: Final = timedelta(microseconds=1)


class _PassedEvent(Record, frozen=True, kw_only=True):
    """Usage of a predecessor."""

    id: UUID
    code: str
    timestamp: datetime
    properties: dict[str, Any]
    precise_total_amount_cents: Any = None
    asset_code: str | None = None

    json_columns = ("properties",)


async def predecessors(
    connection: Connection, subscriptions: Collection[tuple[UUID, UUID]]
) -> dict[UUID, list[UUID]]:
    """What subscriptions, (organization, id), have taken the place of: those that did, by id."""
    pairs = sorted(subscriptions)
    rows = _queries.predecessors(
        connection,
        organization_ids=[organization for organization, _ in pairs],
        ids=[subscription for _, subscription in pairs],
    )
    return {row["follower_id"]: row["ids"] async for row in rows}


async def passed_lines(
    connection: Connection,
    organization_id: UUID,
    subscription_ids: Sequence[UUID],
    version: PricedVersion,
    *,
    before: datetime,
    events_max: int,
) -> dict[UsageKey, list[UsageLine]]:
    """What these subscriptions pass on to one with these prices, in the order in which it counts.

    All of it counts as used before `before`, when the first period begins. Needs a transaction.
    Raises NotAllowed (`too_many_events`).
    """
    codes = {one.rated.billable_metric_code for one in version.charges if one.rated.recurring}
    found: dict[UsageKey, list[UsageLine]] = {}
    read = 0
    async for portion in _events(connection, organization_id, subscription_ids, codes):
        read += len(portion)
        if read > events_max:
            raise NotAllowed("too_many_events")
        for event in portion:
            for line in _lines(event, version):
                if line.bucket.recurring:
                    one = _passed(event, line, version.id, before=before)
                    found.setdefault(one.key, []).append(one)
    return found


async def _events(
    connection: Connection,
    organization_id: UUID,
    subscription_ids: Sequence[UUID],
    codes: Collection[str],
) -> AsyncIterator[list[_PassedEvent]]:
    if not codes:
        return
    cursor = await connection.cursor(
        _queries.passed_events.sql, organization_id, list(subscription_ids), sorted(codes)
    )
    while rows := await cursor.fetch(_PORTION):
        yield [_PassedEvent.of(row) for row in rows]


def _lines(event: _PassedEvent, version: PricedVersion) -> Sequence[Line]:
    """What the plan makes of an event; nothing where it has no price for it."""
    assets = version.card.assets(event.code)
    try:
        return version.card.lines(
            event.code,
            event.properties,
            asset_code=event.asset_code if event.asset_code in assets else None,
            precise_amount_cents=event.precise_total_amount_cents,
        )
    except RatingError:
        return ()


def _passed(
    event: _PassedEvent, line: Line, plan_version_id: UUID, *, before: datetime
) -> UsageLine:
    return UsageLine(
        key=UsageKey(line.charge_id, line.filter_id, line.group, line.asset_code),
        presented_by=line.presentation,
        event=Event(
            timestamp=min(event.timestamp, before - _MOMENT),
            order=event.id.int,
            units=line.units,
            member=line.member,
            removes=line.removes,
            precise_amount_cents=line.precise_amount_cents,
            plan_version_id=plan_version_id,
        ),
        exact=ZERO,
        debited_minor=0,
    )


def count_in(usage: StoredUsage, passed: Iterable[UsageLine]) -> None:
    """Count in what others have left: their members may be among the usage's own.

    So from now on the events tell which members there are.
    """
    parts: dict[tuple[UUID | None, str], Tally] = {}
    for line in passed:
        part = line.event.plan_version_id, line.presented_by
        parts.setdefault(part, Tally()).add(line.event)
    for (version, presented_by), tally in parts.items():
        usage.add(version or NIL, presented_by, tally.summary())
    usage.has_edges = True


class Ended(Struct, frozen=True):
    """A subscription that another plan took the place of within its period."""

    organization_id: UUID
    subscription_id: UUID


async def metrics_of_followers(
    connection: Connection, versions: Versions, ended: Collection[Ended]
) -> dict[UUID, frozenset[UUID]]:
    """The metrics whose units stay in the plans that followed, by the subscription that ended."""
    if not ended:
        return {}
    wanted = list(ended)
    rows = _queries.followers(
        connection,
        organization_ids=[one.organization_id for one in wanted],
        ids=[one.subscription_id for one in wanted],
    )
    found: dict[UUID, frozenset[UUID]] = {}
    for row in [row async for row in rows]:
        organization_id = row["organization_id"]
        names = await versions.names(connection, organization_id, row["plan_id"])
        version_id = in_force(names, row["started_at"]).id
        version = (await versions.load(connection, organization_id, [version_id]))[version_id]
        found[row["id"]] = frozenset(
            one.listed.billable_metric_id for one in version.charges if one.rated.recurring
        )
    return found


def is_billed_once(charge: Charge) -> bool:
    """Whether a plan's units that stay are billed in full, however long they were there.

    Where the plan is changed within a period, the one that follows bills them, if it has a price
    for the metric. Source: Lago, recurring charges without proration at an upgrade.
    """
    has_no_days = not charge.prorated and charge.aggregation != "weighted_sum_agg"
    return charge.recurring and has_no_days
