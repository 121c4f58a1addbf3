"""Entitlements on the wire."""

from typing import Any

from msgspec import Struct

from invoicing.entitlements import Entitlement
from invoicing.privileges import Value
from wallet_service.api.schemas.features import PrivilegeConfigBody


class EntitlementsRequest(Struct):
    """By feature, by privilege, a value: `{"entitlements": {"seats": {"max": 10}}}`."""

    entitlements: dict[str, Any]


class PlanPrivilegeBody(Struct, kw_only=True):
    """A privilege and the value that the plan gives it."""

    code: str
    name: str | None
    value_type: str
    config: PrivilegeConfigBody
    value: Value


class PlanEntitlementBody(Struct, kw_only=True):
    """A feature that a plan gives."""

    code: str
    name: str | None
    description: str | None
    privileges: list[PlanPrivilegeBody]

    @classmethod
    def of(cls, entitlement: Entitlement) -> "PlanEntitlementBody":
        """Show what a plan gives."""
        feature = entitlement.feature
        return cls(
            code=feature.code,
            name=feature.name,
            description=feature.description,
            privileges=[
                PlanPrivilegeBody(
                    code=one.privilege.code,
                    name=one.privilege.name,
                    value_type=one.privilege.value_type,
                    config=PrivilegeConfigBody.of(one.privilege),
                    value=one.value,
                )
                for one in entitlement.privileges
            ],
        )


class PrivilegeValueBody(Struct, kw_only=True):
    """A privilege of a subscription: the value that counts, the plan's, and its own."""

    code: str
    name: str | None
    value_type: str
    config: PrivilegeConfigBody
    value: Value
    plan_value: Value | None
    override_value: Value | None


class EntitlementBody(Struct, kw_only=True):
    """A feature that a subscription has."""

    code: str
    name: str | None
    description: str | None
    privileges: list[PrivilegeValueBody]
    overrides: dict[str, Value]

    @classmethod
    def of(cls, entitlement: Entitlement) -> "EntitlementBody":
        """Show what a subscription has."""
        feature = entitlement.feature
        return cls(
            code=feature.code,
            name=feature.name,
            description=feature.description,
            privileges=[
                PrivilegeValueBody(
                    code=one.privilege.code,
                    name=one.privilege.name,
                    value_type=one.privilege.value_type,
                    config=PrivilegeConfigBody.of(one.privilege),
                    value=one.value,
                    plan_value=one.plan_value,
                    override_value=one.override_value,
                )
                for one in entitlement.privileges
            ],
            overrides=entitlement.overrides,
        )


class PlanEntitlementReply(Struct):
    """The envelope of what a plan gives of one feature."""

    entitlement: PlanEntitlementBody


class PlanEntitlementsReply(Struct):
    """All that a plan gives."""

    entitlements: list[PlanEntitlementBody]


class EntitlementReply(Struct):
    """The envelope of what a subscription has of one feature."""

    entitlement: EntitlementBody


class EntitlementsReply(Struct):
    """All that a subscription has."""

    entitlements: list[EntitlementBody]
