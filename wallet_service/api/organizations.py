"""`/organizations`: the caller's own one."""

from uuid import UUID

from litestar import Controller, get, put
from litestar.params import JSONBody

from invoicing import billing_entities
from invoicing.records import Connection
from wallet_service import organizations
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.schemas.organizations import (
    OrganizationBody,
    OrganizationReply,
    OrganizationRequest,
)
from wallet_service.api.schemas.taxes import TaxBody


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
            taxes = await _taxes(connection, tenant.organization_id)
        return OrganizationReply(OrganizationBody.of(organization, taxes))

    @put("/", status_code=200, summary="Change the organization")
    async def update(
        self,
        data: JSONBody[OrganizationRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> OrganizationReply:
        """Change what is given of the organization."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            organization = await organizations.update(
                connection, tenant.organization_id, data.organization.changes(), now=now
            )
            taxes = await _taxes(connection, tenant.organization_id)
        return OrganizationReply(OrganizationBody.of(organization, taxes))


async def _taxes(connection: Connection, organization_id: UUID) -> list[TaxBody]:
    """The taxes of the default billing entity, if it has been needed yet."""
    entities = await billing_entities.by_code(connection, organization_id)
    codes = entities[None].tax_codes if None in entities else []
    return (await shown_taxes.find(connection, organization_id, codes)).of(codes)
