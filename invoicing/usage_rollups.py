"""Rollups: usage summed by hour, day and month, so that reading it does not take its events.

The worker folds events into rollups every few seconds (`fold`), behind a watermark of transaction
ids, as the house accounts of the ledger are. Whoever reads (`read`, `start_totals`) adds what is
newer, in the same statement, so usage is right at every moment, whenever the last fold was.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, field

from invoicing.records import Connection, load_queries
from rating.exact import EXACT, ZERO
from rating.summaries import NOTHING, Summary, merge

__all__ = [
    "BEGINNING",
    "Fold",
    "StartKey",
    "StartTotal",
    "StoredUsage",
    "Stretch",
    "UsageKey",
    "fold",
    "measure_lag",
    "read",
    "read_all",
    "start_totals",
]

_queries: Final = load_queries(__file__)

NIL: Final = UUID(int=0)
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No event is older."""

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class UsageKey(Struct, frozen=True):
    """What usage is counted by: one price, and one group of it."""

    charge_id: UUID
    filter_id: UUID | None
    """None: the charge's default bucket."""
    group: str
    """The values of the pricing group keys, as the events' lines have them."""
    asset_code: str


class StoredUsage(Struct, kw_only=True):
    """The usage of one key in one stretch of time, as far as its order does not matter."""

    summaries: dict[UUID, Summary] = field(default_factory=dict[UUID, Summary])
    """By the plan version that the events were rated with."""
    presented: dict[str, Summary] = field(default_factory=dict[str, Summary])
    """By the values of the presentation group keys."""
    exact: Decimal = ZERO
    """What the events were priced at when they came, before rounding."""
    debited_minor: int = 0
    """What the prepaid ones were charged then."""
    reversals: int = 0
    """Events taken out again: greatest and last units may still be theirs."""
    members: int = 0
    """How many values of a unique count were last added within the stretch."""
    has_later: bool = False
    """There is usage after the stretch, too."""
    has_edges: bool = False
    """The stretch begins or ends within an hour."""

    @property
    def is_sure_of_members(self) -> bool:
        """Whether `members` are those there were at the stretch's end.

        Only the last operation on each is known, so nothing may have happened later, nor within the
        edges, nor been taken out again.
        """
        return not (self.has_later or self.has_edges or self.reversals)

    def add(self, plan_version_id: UUID, presented_by: str, summary: Summary) -> None:
        """Count a summary in."""
        if summary == NOTHING:
            return
        before = self.summaries.get(plan_version_id, NOTHING)
        self.summaries[plan_version_id] = merge(before, summary)
        if presented_by:
            before = self.presented.get(presented_by, NOTHING)
            self.presented[presented_by] = merge(before, summary)


class Fold(Struct, frozen=True):
    """What one fold did."""

    lines: int
    has_more: bool
    """There is more than one portion, and nobody else who folds."""
    lines_of_one: int = 0
    """Of the subscription that had the most: what reading it had to add up."""


class Stretch(Struct, frozen=True, kw_only=True):
    """A stretch of time of a subscription."""

    organization_id: UUID
    subscription_id: UUID
    start: datetime
    end: datetime


class _Parts(Struct):
    """A stretch of time as whole buckets, with what is left over at both ends."""

    widths: list[str]
    starts: list[datetime]
    ends: list[datetime]
    inner_start: datetime
    inner_end: datetime


async def fold(connection: Connection, *, events_max: int) -> Fold:
    """Move the oldest events that are not in the rollups there; inside a transaction of its own."""
    await connection.execute(
        # Backlogs differ in size by orders of magnitude, and their statistics come late: what is
        # read in portions must be read in order.
        "set local enable_seqscan = off; set local enable_bitmapscan = off;"
        "set local work_mem = '32MB'; set local statement_timeout = 0"
    )
    row: Any = await _queries.fold(connection, events_max=events_max)
    return Fold(row["lines"], row["has_more"], row["lines_of_one"])


async def measure_lag(connection: Connection) -> timedelta:
    """Age of the oldest event that is not in the rollups yet; nothing if all are."""
    age: timedelta | None = await _queries.measure_lag(connection)
    return age or timedelta(0)


async def read(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    start: datetime,
    end: datetime,
    charge_ids: Sequence[UUID] | None = None,
) -> dict[UsageKey, StoredUsage]:
    """All usage of a subscription from `start` until just before `end`, or that of some charges.

    What happens within the edges of hours (where `start` or `end` is none) is summed from its
    events: right, but no faster than they are many.
    """
    parts = _parts(start, end)
    rows = _queries.read(
        connection,
        organization_id=organization_id,
        subscription_id=subscription_id,
        charge_ids=None if charge_ids is None else list(charge_ids),
        widths=parts.widths,
        starts=parts.starts,
        ends=parts.ends,
        start=start,
        end=end,
        inner_start=parts.inner_start,
        inner_end=parts.inner_end,
    )
    found: dict[UsageKey, StoredUsage] = {}
    async for row in rows:
        _add(found.setdefault(_key(row), StoredUsage()), row)
    return _told(found, has_edges=start < parts.inner_start or parts.inner_end < end)


async def read_all(
    connection: Connection, stretches: Sequence[Stretch]
) -> list[dict[UsageKey, StoredUsage]]:
    """As `read`, for many stretches at once, in their order: one statement, so one snapshot."""
    if not stretches:
        return []
    parts = [_parts(one.start, one.end) for one in stretches]
    rows = _queries.read_all(
        connection,
        organization_ids=[one.organization_id for one in stretches],
        subscription_ids=[one.subscription_id for one in stretches],
        stretch_starts=[one.start for one in stretches],
        stretch_ends=[one.end for one in stretches],
        inner_starts=[part.inner_start for part in parts],
        inner_ends=[part.inner_end for part in parts],
        positions=[at for at, part in enumerate(parts, start=1) for _ in part.widths],
        widths=[width for part in parts for width in part.widths],
        starts=[start for part in parts for start in part.starts],
        ends=[end for part in parts for end in part.ends],
    )
    found = [dict[UsageKey, StoredUsage]() for _ in stretches]
    async for row in rows:
        place: int = row["position"] - 1
        _add(found[place].setdefault(_key(row), StoredUsage()), row)
    return [
        _told(usages, has_edges=one.start < part.inner_start or part.inner_end < one.end)
        for usages, one, part in zip(found, stretches, parts, strict=True)
    ]


def _key(row: Any) -> UsageKey:
    return UsageKey(
        row["charge_id"],
        None if row["filter_id"] == NIL else row["filter_id"],
        row["grouped_by"],
        row["asset_code"],
    )


def _told(found: dict[UsageKey, StoredUsage], *, has_edges: bool) -> dict[UsageKey, StoredUsage]:
    """The keys that have anything to tell."""
    if has_edges:
        for usage in found.values():
            usage.has_edges = True
    return {
        key: usage
        for key, usage in found.items()
        if usage.summaries or usage.members or usage.reversals or usage.presented
    }


def _add(usage: StoredUsage, row: Any) -> None:
    usage.members += int(row["members"])
    usage.has_later = usage.has_later or row["has_later"]
    if row["plan_version_id"] is None:
        return
    usage.exact = EXACT.add(usage.exact, row["exact"])
    usage.debited_minor += int(row["debited_minor"])
    usage.reversals += int(row["reversals"])
    usage.add(row["plan_version_id"], row["presented_by"], _summary(row))


def _summary(row: Any) -> Summary:
    return Summary(
        events=int(row["events"]),
        units=row["units"],
        max_units=row["units_max"],
        last_units=row["last_units"],
        last_at=row["last_at"],
        last_order=row["last_id"].int if row["last_id"] else 0,
        moment=row["moment"],
        precise_amount_cents=row["precise_cents"],
        corrections=int(row["corrections"]),
    )


# -- where running totals start --------------------------------------------------------------------


class StartKey(Struct, frozen=True, kw_only=True):
    """A running total that is not there yet. Its period has not ended."""

    organization_id: UUID
    subscription_id: UUID
    charge_id: UUID
    filter_id: UUID | None
    group: str
    period_start: datetime
    period_end: datetime


class StartTotal(Struct, frozen=True):
    """What the events stored in a running total's period add up to (counts and sums)."""

    events: int
    units: Decimal
    precise_amount_cents: Decimal
    exact: Decimal
    """What they were priced at when they came."""


async def start_totals(
    connection: Connection, keys: Sequence[StartKey]
) -> dict[StartKey, StartTotal]:
    """What running totals start from: the keys of `keys` that have usage, with how much.

    One statement that finds everything by its key, since it runs under the customers' locks.
    """
    if not keys:
        return {}
    parts = [_parts(key.period_start, key.period_end) for key in keys]
    rows = _queries.read_start_totals(
        connection,
        organization_ids=[key.organization_id for key in keys],
        subscription_ids=[key.subscription_id for key in keys],
        charge_ids=[key.charge_id for key in keys],
        filter_ids=[key.filter_id or NIL for key in keys],
        groups=[key.group for key in keys],
        starts=[key.period_start for key in keys],
        ends=[key.period_end for key in keys],
        positions=[at for at, part in enumerate(parts, start=1) for _ in part.widths],
        widths=[width for part in parts for width in part.widths],
        bucket_starts=[start for part in parts for start in part.starts],
        bucket_ends=[end for part in parts for end in part.ends],
    )
    return {
        keys[row["position"] - 1]: StartTotal(
            row["events"], row["units"], row["precise_cents"], row["exact"]
        )
        async for row in rows
        if row["events"] or row["units"]
    }


# -- hours, days, months ---------------------------------------------------------------------------


def _parts(start: datetime, end: datetime) -> _Parts:
    """Cover a stretch with as few kinds of buckets as there can be: months, days, hours."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    inner_start, inner_end = _up(start, _HOUR), _down(end, _HOUR)
    parts = _Parts([], [], [], inner_start, inner_end)
    if inner_start >= inner_end:  # all of it is less than a whole hour
        parts.inner_start = parts.inner_end = end
        return parts
    _cover(parts, inner_start, inner_end, ["month", "day", "hour"])
    return parts


def _cover(parts: _Parts, start: datetime, end: datetime, widths: list[str]) -> None:
    """Add whole buckets of the widest kind, and cover what is left on both sides by the others."""
    if start >= end:
        return
    width, *narrower = widths
    if width == "hour":
        first, last = start, end
    elif width == "day":
        first, last = _up(start, _DAY), _down(end, _DAY)
    else:
        first, last = _month_up(start), _month_down(end)
    if first >= last:
        _cover(parts, start, end, narrower)
        return
    parts.widths.append(width)
    parts.starts.append(first)
    parts.ends.append(last)
    if narrower:
        _cover(parts, start, first, narrower)
        _cover(parts, last, end, narrower)


def _down(at: datetime, width: timedelta) -> datetime:
    return at - (at - BEGINNING) % width


def _up(at: datetime, width: timedelta) -> datetime:
    return at + -(at - BEGINNING) % width


def _month_down(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_up(at: datetime) -> datetime:
    first = _month_down(at)
    return first if first == at else _month_down(first + timedelta(days=31))
