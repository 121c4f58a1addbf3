"""Units that stay (seats, storage) pass on to the subscription of the plan that follows.

They belong to the external id of a subscription rather than to one of its plans. So a subscription
that took another's place begins with what all before it have left; the plan that follows says what
that is to it: its own charges, filters and groups price the events of its predecessors.
Source: Lago, recurring metrics of an external subscription id.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing import usage_rollups
from invoicing.errors import NotAllowed
from invoicing.records import Connection, Record, load_queries
from invoicing.usage_events import UsageLine
from invoicing.usage_rollups import BEGINNING, NIL, StoredUsage, Stretch, UsageKey
from invoicing.usage_versions import PricedCharge, PricedVersion, Versions, in_force
from rating.charge_models import Dynamic
from rating.charges import Charge
from rating.errors import RatingError
from rating.events import Event
from rating.exact import EXACT, ZERO
from rating.rate_cards import Line
from rating.summaries import merge_all
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
_DAY: Final = timedelta(days=1)
_SUMS: Final = frozenset({"sum_agg", "weighted_sum_agg"})


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
    versions: Versions,
    organization_id: UUID,
    subscription_ids: Sequence[UUID],
    version: PricedVersion,
    *,
    before: datetime,
    events_max: int,
) -> dict[UsageKey, list[UsageLine]]:
    """What these subscriptions pass on to one with these prices, in the order in which it counts.

    All of it counts as used before `before`, when a period begins. Sums whose price looks at
    nothing else are one line each, from rollups; other usage is read event by event. Needs a
    transaction. Raises NotAllowed (`too_many_events`).
    """
    codes = {one.rated.billable_metric_code for one in version.charges if one.rated.recurring}
    found: dict[UsageKey, list[UsageLine]] = {}
    sums = await _sum_lines(
        connection, versions, organization_id, subscription_ids, version, before=before
    )
    for code, lines in sums.items():
        codes.discard(code)
        for line in lines:
            found.setdefault(line.key, []).append(line)
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


async def _sum_lines(
    connection: Connection,
    versions: Versions,
    organization_id: UUID,
    subscription_ids: Sequence[UUID],
    version: PricedVersion,
    *,
    before: datetime,
) -> dict[str, list[UsageLine]]:
    """The lines of what is one sum, by code; no code of which that is not sure."""
    plain = _plain_charges(version)
    if not plain:
        return {}
    stretches = [
        Stretch(
            organization_id=organization_id,
            subscription_id=one,
            start=BEGINNING,
            end=before + _DAY,  # they have ended by `before`, to the millisecond
        )
        for one in subscription_ids
    ]
    stored = await usage_rollups.read_all(connection, stretches)
    used = {one for usages in stored for usage in usages.values() for one in usage.summaries}
    rated_with = await versions.load(connection, organization_id, used)
    found: dict[str, list[UsageLine]] = {}
    for metric_id, charges in plain.items():
        sums = _sums_of(metric_id, stored, rated_with)
        if sums is not None:
            found[charges[0].rated.billable_metric_code] = [
                line for one in charges for line in _summed(one, version, sums, before=before)
            ]
    return found


def _plain_charges(version: PricedVersion) -> dict[UUID, list[PricedCharge]]:
    """The charges whose units that stay are one sum, by metric; all charges of it are such."""
    found: dict[UUID, list[PricedCharge]] = {}
    others: set[UUID] = set()
    for one in version.charges:
        rated, metric_id = one.rated, one.listed.billable_metric_id
        keys = rated.pricing_group_keys or rated.presentation_group_keys
        is_split = rated.filters or keys or rated.accepts_target_wallet
        models = [choice.model for choice in (rated, *rated.alternatives)]
        is_dynamic = any(model is None or isinstance(model, Dynamic) for model in models)
        if rated.aggregation not in _SUMS or is_split or is_dynamic:
            others.add(metric_id)
        elif rated.recurring:
            found.setdefault(metric_id, []).append(one)
    return {metric: charges for metric, charges in found.items() if metric not in others}


def _sums_of(
    metric_id: UUID,
    stored: Sequence[Mapping[UsageKey, StoredUsage]],
    rated_with: Mapping[UUID, PricedVersion],
) -> dict[str, Decimal] | None:
    """What subscriptions have left of a metric, by asset. Each event has one line of a charge.

    None where several charges of one subscription priced the metric: then a sum may count twice.
    """
    sums: dict[str, Decimal] = {}
    for usages in stored:
        charges: set[UUID] = set()
        for key, usage in usages.items():
            priced = [one for name in usage.summaries if (one := rated_with.get(name))]
            charge = next((one for each in priced if (one := each.find(key.charge_id))), None)
            if charge is None or charge.listed.billable_metric_id != metric_id:
                continue
            charges.add(charge.listed.id)
            units = merge_all(usage.summaries.values()).units
            sums[key.asset_code] = EXACT.add(sums.get(key.asset_code, ZERO), units)
        if len(charges) > 1:
            return None
    return sums


def _summed(
    charge: PricedCharge, version: PricedVersion, sums: Mapping[str, Decimal], *, before: datetime
) -> list[UsageLine]:
    """A sum as if it had come at once, for each asset that it is priced in."""
    rated = charge.rated
    assets = version.card.assets(rated.billable_metric_code)
    choices = {one.asset_code: one for one in (rated, *rated.alternatives)}
    units: dict[str, Decimal] = {}
    for asset_code, some in sums.items():
        asset_code = asset_code if asset_code in assets else rated.asset_code  # noqa: PLW2901
        units[asset_code] = EXACT.add(units.get(asset_code, ZERO), some)
    return [
        UsageLine(
            key=UsageKey(choices[asset_code].id, None, "", asset_code),
            presented_by="",
            event=Event(timestamp=before - _MOMENT, units=some, plan_version_id=version.id),
            exact=ZERO,
            debited_minor=0,
        )
        for asset_code, some in units.items()
    ]


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
