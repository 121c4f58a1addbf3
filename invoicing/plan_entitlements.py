"""What plans give: features, with values for their privileges (see `entitlements`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from invoicing import catalogue_versions, features, plans
from invoicing.entitlements import Entitlement, Wanted, checked, effective, granted, pick
from invoicing.privileges import Value
from invoicing.records import Connection, from_json, load_queries, to_json

_queries: Final = load_queries(__file__)


async def find_all(
    connection: Connection, organization_id: UUID, plan_code: str
) -> list[Entitlement]:
    """All that a plan gives, oldest feature first; raises NotFound."""
    plan_id = await plans.get_id(connection, organization_id, plan_code)
    return await _read(connection, organization_id, plan_id)


async def get(
    connection: Connection, organization_id: UUID, plan_code: str, feature_code: str
) -> Entitlement:
    """What a plan gives of one feature; raises NotFound."""
    return pick(await find_all(connection, organization_id, plan_code), feature_code)


async def put(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    wanted: Wanted,
    *,
    replaces: bool,
    now: datetime,
) -> list[Entitlement]:
    """Give a plan these features, instead of all it gave or merged into that.

    A value of None takes a privilege's value away. Raises NotFound, or Invalid.
    """
    await catalogue_versions.bump(connection, organization_id)
    plan_id = await plans.get_id(connection, organization_id, plan_code)
    given = checked(await features.find_every(connection, organization_id), wanted)
    place = {"organization_id": organization_id, "plan_id": plan_id}
    if replaces:
        ids = [feature.id for feature, _ in given]
        await _queries.keep_entitlements(connection, **place, feature_ids=ids)
        before: Mapping[UUID, Mapping[str, Value]] = {}
    else:
        before = await _values(connection, organization_id, plan_id)
    values = [
        {
            code: value
            for code, value in {**before.get(feature.id, {}), **own}.items()
            if value is not None
        }
        for feature, own in given
    ]
    await _queries.put_entitlements(
        connection,
        **place,
        feature_ids=[feature.id for feature, _ in given],
        privilege_values=[to_json(one) for one in values],
        now=now,
    )
    return await _read(connection, organization_id, plan_id)


async def delete(
    connection: Connection, organization_id: UUID, plan_code: str, feature_code: str
) -> Entitlement:
    """Withdraw a feature from a plan; what it gave. Raises NotFound."""
    await catalogue_versions.bump(connection, organization_id)
    plan_id = await plans.get_id(connection, organization_id, plan_code)
    entitlements = await _read(connection, organization_id, plan_id)
    entitlement = pick(entitlements, feature_code)
    await _queries.delete_entitlement(
        connection,
        organization_id=organization_id,
        plan_id=plan_id,
        feature_id=entitlement.feature.id,
    )
    return entitlement


async def delete_privilege(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    feature_code: str,
    privilege_code: str,
    *,
    now: datetime,
) -> Entitlement:
    """Take a privilege's value from a plan; what is left of the feature. Raises NotFound."""
    await catalogue_versions.bump(connection, organization_id)
    entitlement = await get(connection, organization_id, plan_code, feature_code)
    granted(entitlement, privilege_code)
    wanted = {feature_code: {privilege_code: None}}
    after = await put(connection, organization_id, plan_code, wanted, replaces=False, now=now)
    return pick(after, feature_code)


async def _values(
    connection: Connection, organization_id: UUID, plan_id: UUID
) -> dict[UUID, dict[str, Value]]:
    rows = _queries.find_entitlements(connection, organization_id=organization_id, plan_id=plan_id)
    return {row["feature_id"]: from_json(row["privilege_values"]) async for row in rows}


async def _read(connection: Connection, organization_id: UUID, plan_id: UUID) -> list[Entitlement]:
    values = await _values(connection, organization_id, plan_id)
    every = await features.find_every(connection, organization_id)
    return effective(every, {feature_id: (one, None) for feature_id, one in values.items()})
