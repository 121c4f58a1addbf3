"""`/plans/{code}/entitlements` and `/subscriptions/{external_id}/entitlements`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import plan_entitlements, subscription_entitlements
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.schemas.entitlements import (
    EntitlementBody,
    EntitlementReply,
    EntitlementsReply,
    EntitlementsRequest,
    PlanEntitlementBody,
    PlanEntitlementReply,
    PlanEntitlementsReply,
)
from wallet_service.api.schemas.formats import Word
from wallet_service.api.subscriptions import read_statuses

_Status: TypeAlias = Annotated[
    Word | None,
    QueryParameter(name="subscription_status", description="Of those with the same external id."),
]


class PlanEntitlements(Controller):
    """Which features a plan gives, and with which values."""

    path = "/plans/{code:str}/entitlements"
    tags = ("entitlements",)
    opt = {"resource": "entitlements"}  # noqa: RUF012

    @post("/", status_code=200, summary="Set the entitlements of a plan")
    async def replace(
        self,
        code: FromPath[str],
        data: JSONBody[EntitlementsRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> PlanEntitlementsReply:
        """Give these features, instead of all that the plan gave."""
        return await _put(services, tenant, code, data.entitlements, replaces=True, now=now)

    @patch("/", status_code=200, summary="Change entitlements of a plan")
    async def merge(
        self,
        code: FromPath[str],
        data: JSONBody[EntitlementsRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> PlanEntitlementsReply:
        """Give these features and values; all that is not named stays, null takes a value away."""
        return await _put(services, tenant, code, data.entitlements, replaces=False, now=now)

    @get("/", summary="List the entitlements of a plan")
    async def list(
        self, code: FromPath[str], tenant: Tenant, services: Services
    ) -> PlanEntitlementsReply:
        """All that the plan gives, oldest feature first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            found = await plan_entitlements.find_all(connection, tenant.organization_id, code)
        return PlanEntitlementsReply([PlanEntitlementBody.of(one) for one in found])

    @get("/{feature_code:str}", summary="Find an entitlement of a plan")
    async def find(
        self, code: FromPath[str], feature_code: FromPath[str], tenant: Tenant, services: Services
    ) -> PlanEntitlementReply:
        """What the plan gives of one feature."""
        async with services.database.tenant(tenant.organization_id) as connection:
            found = await plan_entitlements.get(
                connection, tenant.organization_id, code, feature_code
            )
        return PlanEntitlementReply(PlanEntitlementBody.of(found))

    @delete(
        "/{feature_code:str}/privileges/{privilege_code:str}",
        status_code=200,
        summary="Delete a privilege of a plan's entitlement",
    )
    async def delete_privilege(
        self,
        code: FromPath[str],
        feature_code: FromPath[str],
        privilege_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> PlanEntitlementReply:
        """Take a privilege from what the plan gives; answers what is left of the feature."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            left = await plan_entitlements.delete_privilege(
                connection, tenant.organization_id, code, feature_code, privilege_code, now=now
            )
        return PlanEntitlementReply(PlanEntitlementBody.of(left))

    @delete("/{feature_code:str}", status_code=200, summary="Delete an entitlement of a plan")
    async def delete(
        self, code: FromPath[str], feature_code: FromPath[str], tenant: Tenant, services: Services
    ) -> PlanEntitlementReply:
        """Withdraw a feature from the plan; answers what it gave."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            deleted = await plan_entitlements.delete(
                connection, tenant.organization_id, code, feature_code
            )
        return PlanEntitlementReply(PlanEntitlementBody.of(deleted))


class SubscriptionEntitlements(Controller):
    """Which features a subscription has: its plan's, and how it differs."""

    path = "/subscriptions/{external_id:str}/entitlements"
    tags = ("entitlements",)
    opt = {"resource": "entitlements"}  # noqa: RUF012

    @get("/", summary="List the entitlements of a subscription")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        subscription_status: _Status = None,
    ) -> EntitlementsReply:
        """All that counts for it: the plan's, with what it has of its own, without what is gone."""
        statuses = read_statuses(subscription_status, field="subscription_status")
        async with services.database.tenant(tenant.organization_id) as connection:
            found = await subscription_entitlements.find_all(
                connection, tenant.organization_id, external_id, statuses=statuses
            )
        return EntitlementsReply([EntitlementBody.of(one) for one in found])

    @patch("/", status_code=200, summary="Change entitlements of a subscription")
    async def merge(
        self,
        external_id: FromPath[str],
        data: JSONBody[EntitlementsRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
        subscription_status: _Status = None,
    ) -> EntitlementsReply:
        """Give it features and values of its own; null means the plan's value again.

        What is named is restored, where it had been removed. All else stays.
        """
        statuses = read_statuses(subscription_status, field="subscription_status")
        async with services.changing_catalogue(tenant.organization_id) as connection:
            found = await subscription_entitlements.merge(
                connection,
                tenant.organization_id,
                external_id,
                data.entitlements,
                statuses=statuses,
                now=now,
            )
        return EntitlementsReply([EntitlementBody.of(one) for one in found])

    @delete("/{feature_code:str}", status_code=200, summary="Remove a feature of a subscription")
    async def remove(
        self,
        external_id: FromPath[str],
        feature_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        subscription_status: _Status = None,
    ) -> EntitlementReply:
        """Take a feature from this subscription, whatever its plan gives; answers what it had."""
        statuses = read_statuses(subscription_status, field="subscription_status")
        async with services.changing_catalogue(tenant.organization_id) as connection:
            had = await subscription_entitlements.remove(
                connection,
                tenant.organization_id,
                external_id,
                feature_code,
                statuses=statuses,
                now=now,
            )
        return EntitlementReply(EntitlementBody.of(had))

    @delete(
        "/{feature_code:str}/privileges/{privilege_code:str}",
        status_code=200,
        summary="Remove a privilege of a subscription",
    )
    async def remove_privilege(
        self,
        external_id: FromPath[str],
        feature_code: FromPath[str],
        privilege_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        subscription_status: _Status = None,
    ) -> EntitlementReply:
        """Take a privilege from this subscription, whatever its plan gives; what is left."""
        statuses = read_statuses(subscription_status, field="subscription_status")
        async with services.changing_catalogue(tenant.organization_id) as connection:
            left = await subscription_entitlements.remove_privilege(
                connection,
                tenant.organization_id,
                external_id,
                feature_code,
                privilege_code,
                statuses=statuses,
                now=now,
            )
        return EntitlementReply(EntitlementBody.of(left))


async def _put(
    services: Services,
    tenant: Tenant,
    code: str,
    wanted: Mapping[str, Any],
    *,
    replaces: bool,
    now: datetime,
) -> PlanEntitlementsReply:
    async with services.changing_catalogue(tenant.organization_id) as connection:
        found = await plan_entitlements.put(
            connection, tenant.organization_id, code, wanted, replaces=replaces, now=now
        )
    return PlanEntitlementsReply([PlanEntitlementBody.of(one) for one in found])
