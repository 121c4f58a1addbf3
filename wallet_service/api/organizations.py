"""`/organizations`: the caller's own one."""

from litestar import Controller, get, put
from litestar.params import JSONBody

from wallet_service import organizations
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.schemas.organizations import (
    OrganizationBody,
    OrganizationReply,
    OrganizationRequest,
)


class Organizations(Controller):
    """The tenant behind the key."""

    path = "/organizations"
    tags = ("organizations",)
    opt = {"resource": "organizations"}  # noqa: RUF012

    @get("/", summary="Show the organization")
    async def find(self, tenant: Tenant, services: Services) -> OrganizationReply:
        """The organization that the key belongs to."""
        async with services.database.tenant(tenant.organization_id) as connection:
            organization = await organizations.get(connection, tenant.organization_id)
        return OrganizationReply(OrganizationBody.of(organization))

    @put("/", status_code=200, summary="Change the organization")
    async def update(
        self,
        data: JSONBody[OrganizationRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> OrganizationReply:
        """Change what is given of the organization."""
        async with services.database.tenant(tenant.organization_id) as connection:
            organization = await organizations.update(
                connection, tenant.organization_id, data.organization.changes(), now=now
            )
        return OrganizationReply(OrganizationBody.of(organization))
