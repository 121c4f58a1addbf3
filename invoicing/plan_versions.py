"""The versions of a plan's prices, and the time from which on each is in force.

A version is never changed. A change publishes a new one, whole, from now or from a later time on;
versions that wait already are published anew with the change in them. In force at a time is the
version with the greatest `effective_at` that is not after it; of several with the same, the last.
"""

from collections.abc import Callable, Container, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing.charges import PlanCharge, check_assets
from invoicing.errors import Invalid, NotFound
from invoicing.fixed_charges import PlanFixedCharge
from invoicing.pages import Page, Window
from invoicing.price_changes import PriceChanges, Prices, carry, summarize
from invoicing.records import Connection, Record, load_queries, to_json
from ledger.ids import new_uuid
from rating.rate_cards import RateCard

_queries: Final = load_queries(__file__)
_read_charges: Final = msgspec.json.Decoder(list[PlanCharge], float_hook=Decimal).decode
_read_fixed_charges: Final = msgspec.json.Decoder(list[PlanFixedCharge], float_hook=Decimal).decode

SCHEDULED_MAX: Final = 50
"""How many versions of a plan may wait for their time."""


class PlanVersion(Record, frozen=True, kw_only=True):
    """A version, by its names."""

    id: UUID
    plan_id: UUID
    version: int
    effective_at: datetime


class ListedVersion(Record, frozen=True, kw_only=True):
    """A version, and what it changed in the one before it."""

    json_columns: ClassVar[tuple[str, ...]] = ("changes",)

    id: UUID
    plan_id: UUID
    version: int
    effective_at: datetime
    changes: PriceChanges | None
    is_replaced: bool
    """Another was published for the same time: this one is never in force again."""


class Timeline(Struct, frozen=True, kw_only=True):
    """The version that a change begins from, and those that wait for a later time."""

    organization_id: UUID
    plan_id: UUID
    effective_at: datetime
    """When the change is to take effect."""
    is_now: bool = True
    prices: Prices = Prices()
    """Those that are to be changed."""
    prices_before: Prices | None = None
    """Those in force until then. The same, unless others were published for that time before."""
    later: list[tuple[PlanVersion, Prices]] = []


class AgreedUnits(Record, frozen=True, kw_only=True):
    """How many units of a fixed charge were agreed, and from when on."""

    units: Decimal
    effective_at: datetime
    applies_immediately: bool


async def insert_first(
    connection: Connection,
    organization_id: UUID,
    plan_id: UUID,
    version_id: UUID,
    prices: Prices,
    *,
    now: datetime,
) -> None:
    """Give a new plan its prices."""
    line = Timeline(organization_id=organization_id, plan_id=plan_id, effective_at=now)
    await _insert(connection, line, now, _columns(version_id, prices, before=None))
    await _note_units(connection, line, prices.fixed_charges, immediately=())


async def timeline(
    connection: Connection,
    organization_id: UUID,
    plan_id: UUID,
    *,
    effective_at: datetime | None,
    now: datetime,
) -> Timeline:
    """What a change begins from that takes effect then, or now. The plan must be locked.

    Raises Invalid where that is in the past, or where too many versions wait already.
    """
    if effective_at is not None and effective_at < now:
        raise Invalid.field("effective_at", "value_is_out_of_range")
    at = effective_at or now
    rows = _queries.find_versions_from(
        connection, organization_id=organization_id, plan_id=plan_id, at=now
    )
    versions = [(PlanVersion.of(row), _prices_of(row)) async for row in rows]
    before = sum(version.effective_at < at for version, _ in versions)
    begun = sum(version.effective_at <= at for version, _ in versions) or 1
    waiting = sum(version.effective_at > now for version, _ in versions)
    if at > now and before == begun and waiting >= SCHEDULED_MAX:
        raise Invalid.field("effective_at", "invalid_count")
    return Timeline(
        organization_id=organization_id,
        plan_id=plan_id,
        effective_at=at,
        is_now=at == now,
        prices=versions[begun - 1][1],
        prices_before=versions[before - 1][1] if before else None,
        later=versions[begun:],
    )


async def publish(
    connection: Connection,
    line: Timeline,
    prices: Prices,
    *,
    immediately: Container[UUID] = (),
    now: datetime,
) -> UUID | None:
    """Make these the prices from the timeline's time on; the id of the version, None if unchanged.

    Versions that wait for a later time take the change over; raises Invalid where they cannot.
    `immediately` are the fixed charges whose new units the running period is billed for too.
    """

    def carried(version: PlanVersion, waiting: Prices) -> Prices:
        changed = carry(line.prices, prices, waiting)
        _check_carried(changed, version)
        return changed

    await _note_units(connection, line, prices.fixed_charges, immediately=immediately)
    return await _publish(connection, line, prices, carried, now=now)


async def rewrite(
    connection: Connection, line: Timeline, change: Callable[[Prices], Prices], *, now: datetime
) -> UUID | None:
    """Change every version of a timeline in the same way; as `publish`."""
    return await _publish(
        connection, line, change(line.prices), lambda _, waiting: change(waiting), now=now
    )


async def version_at(
    connection: Connection, organization_id: UUID, plan_id: UUID, at: datetime
) -> PlanVersion:
    """The version in force at a time, or the first there is; raises NotFound without a plan."""
    row = await _queries.version_at(
        connection, organization_id=organization_id, plan_id=plan_id, at=at
    )
    if row is None:
        raise NotFound("plan_version")
    return PlanVersion.of(row)


async def versions_between(
    connection: Connection,
    organization_id: UUID,
    plan_id: UUID,
    *,
    since: datetime,
    until: datetime,
) -> list[PlanVersion]:
    """The versions in force at some time from `since` until before `until`, in their order."""
    rows = _queries.versions_between(
        connection, organization_id=organization_id, plan_id=plan_id, since=since, until=until
    )
    found = [PlanVersion.of(row) async for row in rows]
    return found or [await version_at(connection, organization_id, plan_id, since)]


async def in_order(
    connection: Connection, organization_id: UUID, plan_id: UUID
) -> list[PlanVersion]:
    """A plan's versions in the order in which they take effect; of one time, the last counts."""
    rows = _queries.versions_in_order(connection, organization_id=organization_id, plan_id=plan_id)
    return [PlanVersion.of(row) async for row in rows]


async def load_rate_card(
    connection: Connection, organization_id: UUID, plan_version_id: UUID
) -> RateCard:
    """Compile a version for pricing; raises NotFound. Worth keeping: a version never changes."""
    row = await _queries.find_charges(
        connection, organization_id=organization_id, id=plan_version_id
    )
    if row is None:
        raise NotFound("plan_version")
    return RateCard.compile(
        plan_version_id, (charge.for_rating() for charge in _read_charges(row["charges"]))
    )


async def find_all(
    connection: Connection, organization_id: UUID, plan_id: UUID, *, window: Window
) -> Page[ListedVersion]:
    """A page of versions, the last published first."""
    rows = _queries.list_versions(
        connection,
        organization_id=organization_id,
        plan_id=plan_id,
        limit=window.size,
        offset=window.offset,
    )
    items = [ListedVersion.of(row) async for row in rows]
    count = await _queries.count_versions(
        connection, organization_id=organization_id, plan_id=plan_id
    )
    return Page(items, count)


async def agreed_units(
    connection: Connection, organization_id: UUID, fixed_charge_id: UUID, *, limit: int
) -> list[AgreedUnits]:
    """How many units of a fixed charge were agreed over time, the newest first."""
    rows = _queries.find_units_history(
        connection, organization_id=organization_id, fixed_charge_id=fixed_charge_id, limit=limit
    )
    return [AgreedUnits.of(row) async for row in rows]


async def copy_units(
    connection: Connection,
    organization_id: UUID,
    plan_id: UUID,
    copy_id: UUID,
    ids: Mapping[UUID, UUID],
) -> None:
    """Agree of a copy what was agreed of its plan; `ids` are its fixed charges' and theirs."""
    await _queries.copy_units(
        connection,
        organization_id=organization_id,
        plan_id=plan_id,
        copy_id=copy_id,
        ids=list(ids),
        copy_ids=list(ids.values()),
    )


async def _note_units(
    connection: Connection,
    line: Timeline,
    charges: list[PlanFixedCharge],
    *,
    immediately: Container[UUID],
) -> None:
    """Remember how many units are agreed from the timeline's time on, where that is new."""
    before = {charge.id: charge.units for charge in line.prices.fixed_charges}
    new = [charge for charge in charges if before.get(charge.id) != charge.units]
    if new:
        await _queries.insert_units(
            connection,
            organization_id=line.organization_id,
            plan_id=line.plan_id,
            effective_at=line.effective_at,
            fixed_charge_ids=[charge.id for charge in new],
            units=[charge.units for charge in new],
            applies_immediately=[charge.id in immediately for charge in new],
        )


async def _publish(
    connection: Connection,
    line: Timeline,
    prices: Prices,
    later: Callable[[PlanVersion, Prices], Prices],
    *,
    now: datetime,
) -> UUID | None:
    """Insert what has changed of a timeline, in the order in which it takes effect."""
    version_id = None if prices == line.prices else new_uuid(now)
    new: list[tuple[datetime, dict[str, Any]]] = []
    if version_id:
        new.append((line.effective_at, _columns(version_id, prices, before=line.prices_before)))
    previous = prices
    for version, waiting in line.later:
        changed = later(version, waiting)
        if changed != waiting:
            columns = _columns(new_uuid(now), changed, before=previous)
            new.append((version.effective_at, columns))
        previous = changed
    for effective_at, columns in new:
        await _insert(connection, line, effective_at, columns)
    return version_id


async def _insert(
    connection: Connection, line: Timeline, effective_at: datetime, columns: dict[str, Any]
) -> None:
    await _queries.insert_plan_version(
        connection,
        organization_id=line.organization_id,
        plan_id=line.plan_id,
        effective_at=effective_at,
        **columns,
    )


def _columns(version_id: UUID, prices: Prices, *, before: Prices | None) -> dict[str, Any]:
    return {
        "id": version_id,
        "charges": to_json(prices.charges),
        "fixed_charges": to_json(prices.fixed_charges),
        "changes": to_json(summarize(before, prices)),
    }


def _prices_of(row: Any) -> Prices:
    return Prices(
        charges=_read_charges(row["charges"]),
        fixed_charges=_read_fixed_charges(row["fixed_charges"]),
    )


def _check_carried(prices: Prices, version: PlanVersion) -> None:
    """Raise Invalid where a version that waits cannot take a change over."""
    try:
        check_assets(prices.charges)
        for charges in (prices.charges, prices.fixed_charges):
            if len({charge.code for charge in charges}) != len(charges):
                raise Invalid.field("code", "value_already_exist")
    except Invalid as error:
        message = f"in the version that waits until {version.effective_at.isoformat()}"
        raise Invalid(error.details, message) from None
