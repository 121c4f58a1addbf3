"""Entitlements: which features a plan or a subscription has, and with which values.

A subscription has what its plan gives, with its own values over the plan's, features of its own
beside them, and without what was removed for it alone. Pure: how both are stored is said in
`plan_entitlements` and `subscription_entitlements`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from msgspec import Struct, structs

from invoicing.access import Access, Gate, Limit
from invoicing.errors import Invalid, NotFound
from invoicing.features import Feature
from invoicing.privileges import Privilege, Value, read_value

Wanted = Mapping[str, Any]
"""What a caller gives: by feature, by privilege, a value; checked here."""


class GrantedPrivilege(Struct, frozen=True, kw_only=True):
    """A privilege with the value that counts, and where it comes from."""

    privilege: Privilege
    value: Value
    plan_value: Value | None = None
    override_value: Value | None = None


class Entitlement(Struct, frozen=True, kw_only=True):
    """One feature that a plan or a subscription has."""

    feature: Feature
    privileges: list[GrantedPrivilege]

    @property
    def overrides(self) -> dict[str, Value]:
        """The values of the subscription's own."""
        return {
            one.privilege.code: one.override_value
            for one in self.privileges
            if one.override_value is not None
        }


class Difference(Struct, frozen=True, kw_only=True):
    """How one subscription differs from its plan in one feature."""

    is_removed: bool = False
    overrides: Mapping[str, Value] = {}
    removed_privileges: tuple[str, ...] = ()


Row = tuple[Mapping[str, Value] | None, Difference | None]
"""What the plan gives of a feature, and how the subscription differs; None is nothing said."""

NOTHING: Final[Row] = (None, None)


def effective(every: Sequence[Feature], rows: Mapping[UUID, Row]) -> list[Entitlement]:
    """What counts in the end: the plan's values, overridden and completed, without what is removed.

    In the order of `every`. A privilege without a value is not granted.
    """
    found: list[Entitlement] = []
    for feature in every:
        plan_values, difference = rows.get(feature.id, NOTHING)
        own = difference or Difference()
        if own.is_removed or (plan_values is None and difference is None):
            continue
        kept: list[GrantedPrivilege] = []
        for privilege in feature.privileges:
            plan_value = (plan_values or {}).get(privilege.code)
            override_value = own.overrides.get(privilege.code)
            value = plan_value if override_value is None else override_value
            if value is not None and privilege.code not in own.removed_privileges:
                kept.append(
                    GrantedPrivilege(
                        privilege=privilege,
                        value=value,
                        plan_value=plan_value,
                        override_value=override_value,
                    )
                )
        found.append(Entitlement(feature=feature, privileges=kept))
    return found


def merged(before: Difference, values: Mapping[str, Value | None]) -> Difference:
    """A difference with further values; what they name is no longer removed."""
    overrides = {**before.overrides, **values}
    return Difference(
        overrides={code: value for code, value in overrides.items() if value is not None},
        removed_privileges=tuple(code for code in before.removed_privileges if code not in values),
    )


def without(
    before: Difference, privilege_code: str, plan_values: Mapping[str, Value]
) -> Difference:
    """A difference without a privilege: not the subscription's own, nor the plan's."""
    removed = before.removed_privileges
    if privilege_code in plan_values:
        removed = (*removed, privilege_code)
    overrides = {code: value for code, value in before.overrides.items() if code != privilege_code}
    return structs.replace(before, overrides=overrides, removed_privileges=removed)


def compile_access(every: Sequence[Feature], entitlements: Sequence[Entitlement]) -> Access:
    """Gates by metric, for all features that name metrics, entitled or not."""
    by_feature = {one.feature.id: one for one in entitlements}
    gates: dict[str, list[Gate]] = {}
    for feature in every:
        entitlement = by_feature.get(feature.id)
        gate = Gate(feature.code, entitlement is not None, _limits(entitlement))
        for code in feature.billable_metric_codes:
            gates.setdefault(code, []).append(gate)
    return Access({feature.code: feature.id in by_feature for feature in every}, gates)


def _limits(entitlement: Entitlement | None) -> tuple[Limit, ...]:
    return tuple(
        Limit(one.privilege.code, one.privilege.config.limited_property, one.value)
        for one in (entitlement.privileges if entitlement is not None else ())
        if one.privilege.config.limited_property is not None and isinstance(one.value, int)
    )


def pick(entitlements: Sequence[Entitlement], feature_code: str) -> Entitlement:
    """The entitlement to one feature; raises NotFound."""
    for entitlement in entitlements:
        if entitlement.feature.code == feature_code:
            return entitlement
    raise NotFound("entitlement")


def granted(entitlement: Entitlement, privilege_code: str) -> GrantedPrivilege:
    """One privilege of an entitlement; raises NotFound."""
    for one in entitlement.privileges:
        if one.privilege.code == privilege_code:
            return one
    raise NotFound("privilege")


def checked(
    every: Sequence[Feature], wanted: Wanted
) -> list[tuple[Feature, dict[str, Value | None]]]:
    """The features that a caller names, with values of the right types; raises Invalid with all."""
    by_code = {feature.code: feature for feature in every}
    problems: dict[str, list[str]] = {}
    found: list[tuple[Feature, dict[str, Value | None]]] = []
    for feature_code, given in wanted.items():
        feature = by_code.get(feature_code)
        if feature is None:
            problems[feature_code or "base"] = ["feature_not_found"]
            continue
        values: dict[str, Value | None] = {}
        problems |= _read_values(feature, given, into=values)
        found.append((feature, values))
    if problems:
        raise Invalid(problems)
    return found


def _read_values(
    feature: Feature, given: object, *, into: dict[str, Value | None]
) -> dict[str, list[str]]:
    """Read the values for a feature's privileges; what is wrong with them, by field."""
    if not isinstance(given, dict):
        return {} if given is None else {feature.code: ["value_is_invalid"]}
    problems: dict[str, list[str]] = {}
    for code, value in cast("dict[str, object]", given).items():
        place = f"{feature.code}.{code}"
        privilege = feature.privilege(code)
        if privilege is None:
            problems[place] = ["privilege_not_found"]
            continue
        try:
            into[code] = None if value is None else read_value(privilege, value, place=place)
        except Invalid as error:
            problems |= error.details
    return problems
