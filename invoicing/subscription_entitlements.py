"""How single subscriptions differ from their plans in features (see `entitlements`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from invoicing import catalogue_changes, features, subscriptions
from invoicing.access import Access
from invoicing.entitlements import (
    NOTHING,
    Difference,
    Entitlement,
    Row,
    Wanted,
    checked,
    compile_access,
    effective,
    granted,
    merged,
    pick,
    without,
)
from invoicing.features import Feature
from invoicing.records import Connection, from_json, load_queries, to_json

_queries: Final = load_queries(__file__)


async def find_all(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str] = ("active",),
) -> list[Entitlement]:
    """All that a subscription has, oldest feature first; raises NotFound."""
    subscription = await subscriptions.get(
        connection, organization_id, external_id, statuses=statuses
    )
    return await _read(connection, organization_id, subscription.id)


async def merge(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    wanted: Wanted,
    *,
    statuses: Sequence[str] = ("active",),
    now: datetime,
) -> list[Entitlement]:
    """Give a subscription features and values of its own; what is named is restored, if removed.

    A value of None means the plan's again. Raises NotFound, or Invalid.
    """
    await catalogue_changes.bump_for_subscription(connection, organization_id, external_id)
    subscription = await subscriptions.get(
        connection, organization_id, external_id, statuses=statuses
    )
    given = checked(await features.find_every(connection, organization_id), wanted)
    rows = await _read_rows(connection, organization_id, subscription.id)
    changed: dict[UUID, Difference] = {}
    for feature, values in given:
        _, before = rows.get(feature.id, NOTHING)
        changed[feature.id] = merged(before or Difference(), values)
    await _write(connection, organization_id, subscription.id, rows, changed, now=now)
    return await _read(connection, organization_id, subscription.id)


async def remove(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    feature_code: str,
    *,
    statuses: Sequence[str] = ("active",),
    now: datetime,
) -> Entitlement:
    """Take a feature from one subscription, whatever its plan gives; what it had.

    Raises NotFound.
    """
    await catalogue_changes.bump_for_subscription(connection, organization_id, external_id)
    subscription = await subscriptions.get(
        connection, organization_id, external_id, statuses=statuses
    )
    had = await _read(connection, organization_id, subscription.id)
    entitlement = pick(had, feature_code)
    rows = await _read_rows(connection, organization_id, subscription.id)
    changed = {entitlement.feature.id: Difference(is_removed=True)}
    await _write(connection, organization_id, subscription.id, rows, changed, now=now)
    return entitlement


async def remove_privilege(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    feature_code: str,
    privilege_code: str,
    *,
    statuses: Sequence[str] = ("active",),
    now: datetime,
) -> Entitlement:
    """Take a privilege from one subscription, whatever its plan gives; what is left.

    Raises NotFound.
    """
    await catalogue_changes.bump_for_subscription(connection, organization_id, external_id)
    subscription = await subscriptions.get(
        connection, organization_id, external_id, statuses=statuses
    )
    had = await _read(connection, organization_id, subscription.id)
    entitlement = pick(had, feature_code)
    feature_id = entitlement.feature.id
    granted(entitlement, privilege_code)
    rows = await _read_rows(connection, organization_id, subscription.id)
    plan_values, before = rows.get(feature_id, NOTHING)
    changed = {feature_id: without(before or Difference(), privilege_code, plan_values or {})}
    await _write(connection, organization_id, subscription.id, rows, changed, now=now)
    after = await _read(connection, organization_id, subscription.id)
    return pick(after, feature_code)


async def load_access(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID | None,
    every: Sequence[Feature],
) -> Access:
    """What a subscription may use, or who has none, for asking fast; `every` feature there is."""
    rows = (
        {}
        if subscription_id is None
        else await _read_rows(connection, organization_id, subscription_id)
    )
    return compile_access(every, effective(every, rows))


async def _read_rows(
    connection: Connection, organization_id: UUID, subscription_id: UUID
) -> dict[UUID, Row]:
    rows = _queries.find_entitlements(
        connection, organization_id=organization_id, subscription_id=subscription_id
    )
    return {row["feature_id"]: _row(row) async for row in rows}


def _row(row: Any) -> Row:
    plan_values = row["privilege_values"]
    return (
        None if plan_values is None else from_json(plan_values),
        None
        if row["is_removed"] is None
        else Difference(
            is_removed=row["is_removed"],
            overrides=from_json(row["overrides"]),
            removed_privileges=tuple(from_json(row["removed_privileges"])),
        ),
    )


async def _read(
    connection: Connection, organization_id: UUID, subscription_id: UUID
) -> list[Entitlement]:
    rows = await _read_rows(connection, organization_id, subscription_id)
    return effective(await features.find_every(connection, organization_id), rows)


async def _write(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    rows: Mapping[UUID, Row],
    changed: Mapping[UUID, Difference],
    *,
    now: datetime,
) -> None:
    """Store how a subscription differs; what is no difference from the plan is not kept."""
    same = [
        feature_id
        for feature_id, difference in changed.items()
        if _is_same(difference, in_plan=rows.get(feature_id, NOTHING)[0] is not None)
    ]
    kept = {key: difference for key, difference in changed.items() if key not in same}
    place = {"organization_id": organization_id, "subscription_id": subscription_id}
    await _queries.delete_entitlements(connection, **place, feature_ids=same)
    await _queries.put_entitlements(
        connection,
        **place,
        feature_ids=list(kept),
        removals=[one.is_removed for one in kept.values()],
        overrides=[to_json(one.overrides) for one in kept.values()],
        removed_privileges=[to_json(one.removed_privileges) for one in kept.values()],
        now=now,
    )


def _is_same(difference: Difference, *, in_plan: bool) -> bool:
    """Whether a difference says nothing: it removes what the plan lacks, or changes nothing."""
    if difference.is_removed:
        return not in_plan
    return in_plan and difference == Difference()
