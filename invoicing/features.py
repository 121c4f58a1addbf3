"""Features: what a plan opens beside its prices, and which usage is for those who have it.

Which plan or subscription has a feature, and with which values, is said by its entitlements.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import catalogue_versions, privileges
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.privileges import Privilege, PrivilegeChanges
from invoicing.records import Connection, Record, apply, load_queries, to_json
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

FEATURES_MAX: Final = 1_000
"""How many an organization may have: all of them are read together."""


class Feature(Record, frozen=True, kw_only=True):
    """A feature as stored; its metrics are stored by id, and shown by code."""

    json_columns: ClassVar[tuple[str, ...]] = ("privileges",)

    organization_id: UUID
    id: UUID
    code: str
    name: str | None = None
    description: str | None = None
    privileges: list[Privilege] = field(default_factory=list[Privilege])
    billable_metric_codes: list[str] = field(default_factory=list[str])
    created_at: datetime
    updated_at: datetime

    def privilege(self, code: str) -> Privilege | None:
        """The privilege with this code."""
        return next((one for one in self.privileges if one.code == code), None)


class FeatureChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    billable_metric_codes: list[str] | UnsetType = UNSET


async def create(
    connection: Connection,
    organization_id: UUID,
    changes: FeatureChanges,
    wanted: Sequence[PrivilegeChanges] = (),
    *,
    now: datetime,
) -> Feature:
    """Add a feature; raises Invalid."""
    await catalogue_versions.bump(connection, organization_id)
    blank = Feature(
        organization_id=organization_id, id=new_uuid(now), code="", created_at=now, updated_at=now
    )
    feature = apply(changes, blank)
    if not feature.code.strip():
        raise Invalid.field("code", "value_is_mandatory")
    if await _count(connection, organization_id) >= FEATURES_MAX:
        raise Invalid.field("code", "feature_limit_reached", f"at most {FEATURES_MAX} features")
    feature = structs.replace(feature, privileges=privileges.merge((), wanted))
    metric_ids = await _metric_ids(connection, feature)
    if await _queries.insert_feature(connection, **_columns(feature, metric_ids)) is None:
        raise Invalid.field("code", "value_already_exist")
    return await get(connection, organization_id, feature.code)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: FeatureChanges,
    wanted: Sequence[PrivilegeChanges] = (),
    *,
    now: datetime,
) -> Feature:
    """Change a feature, which keeps its code; raises NotFound or Invalid.

    Privileges that `wanted` names are changed or added, all others stay.
    """
    await catalogue_versions.bump(connection, organization_id)
    before = await get(connection, organization_id, code)
    feature = structs.replace(apply(changes, before), updated_at=now)
    if feature.code != before.code:
        raise Invalid.field("code", "value_is_invalid", "a feature keeps its code")
    feature = structs.replace(feature, privileges=privileges.merge(before.privileges, wanted))
    metric_ids = await _metric_ids(connection, feature)
    await _queries.update_feature(connection, **_columns(feature, metric_ids))
    return await get(connection, organization_id, code)


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> Feature:
    """Withdraw a feature from every plan and subscription; its metrics are for everybody again."""
    await catalogue_versions.bump(connection, organization_id)
    feature = await get(connection, organization_id, code)
    place = {"organization_id": organization_id, "id": feature.id}
    await _queries.withdraw_from_plans(connection, **place)
    await _queries.withdraw_from_subscriptions(connection, **place)
    await _queries.delete_feature(connection, **place, now=now)
    return feature


async def delete_privilege(
    connection: Connection,
    organization_id: UUID,
    code: str,
    privilege_code: str,
    *,
    now: datetime,
) -> Feature:
    """Take a privilege from a feature, and its values from plans and subscriptions."""
    await catalogue_versions.bump(connection, organization_id)
    feature = await get(connection, organization_id, code)
    if feature.privilege(privilege_code) is None:
        raise NotFound("privilege")
    kept = [one for one in feature.privileges if one.code != privilege_code]
    feature = structs.replace(feature, privileges=kept, updated_at=now)
    place = {"organization_id": organization_id, "id": feature.id, "now": now}
    await _queries.forget_privilege_in_plans(connection, **place, privilege_code=privilege_code)
    await _queries.forget_privilege_in_subscriptions(
        connection, **place, privilege_code=privilege_code
    )
    metric_ids = await _metric_ids(connection, feature)
    await _queries.update_feature(connection, **_columns(feature, metric_ids))
    return feature


async def find(connection: Connection, organization_id: UUID, code: str) -> Feature | None:
    """The feature with this code, unless deleted."""
    row = await _queries.find_feature(connection, organization_id=organization_id, code=code)
    return None if row is None else Feature.of(row)


async def get(connection: Connection, organization_id: UUID, code: str) -> Feature:
    """As `find`, or raise NotFound."""
    feature = await find(connection, organization_id, code)
    if feature is None:
        raise NotFound("feature")
    return feature


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window, search: str | None = None
) -> Page[Feature]:
    """A page of features, newest first; `search` looks into code, name and description."""
    wanted = {"organization_id": organization_id, "search": search}
    rows = _queries.list_features(connection, **wanted, limit=window.size, offset=window.offset)
    items = [Feature.of(row) async for row in rows]
    return Page(items, await _queries.count_features(connection, **wanted))


async def find_every(connection: Connection, organization_id: UUID) -> tuple[Feature, ...]:
    """All features of an organization, oldest first."""
    rows = _queries.find_every(connection, organization_id=organization_id)
    return tuple([Feature.of(row) async for row in rows])


async def _count(connection: Connection, organization_id: UUID) -> int:
    count: int = await _queries.count_features(
        connection, organization_id=organization_id, search=None
    )
    return count


async def _metric_ids(connection: Connection, feature: Feature) -> list[UUID]:
    """The metrics that a feature names; raises Invalid for a code that no metric has."""
    rows = _queries.find_metric_ids(
        connection,
        organization_id=feature.organization_id,
        codes=feature.billable_metric_codes,
    )
    ids = {row["code"]: row["id"] async for row in rows}
    problems = {
        f"billable_metric_codes.{position}": ["billable_metric_not_found"]
        for position, code in enumerate(feature.billable_metric_codes)
        if code not in ids
    }
    if problems:
        raise Invalid(problems)
    return sorted(ids.values())


def _columns(feature: Feature, metric_ids: Sequence[UUID]) -> dict[str, object]:
    """The values to write, by column."""
    return {
        "organization_id": feature.organization_id,
        "id": feature.id,
        "code": feature.code,
        "name": feature.name,
        "description": feature.description,
        "privileges": to_json(feature.privileges),
        "billable_metric_ids": list(metric_ids),
        "created_at": feature.created_at,
        "updated_at": feature.updated_at,
    }
