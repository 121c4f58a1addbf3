"""`/billing_entities`."""

from collections.abc import Sequence
from uuid import UUID

from litestar import Controller, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import billing_entities, invoice_custom_sections
from invoicing.billing_entities import BillingEntity
from invoicing.records import Connection
from wallet_service.api import shown_taxes
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.billing_entities import (
    BillingEntitiesReply,
    BillingEntityBody,
    BillingEntityReply,
    BillingEntityRequest,
)


class BillingEntities(Controller):
    """In whose name customers are billed."""

    path = "/billing_entities"
    tags = ("billing_entities",)
    opt = {"resource": "billing_entities"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a billing entity")
    async def create(
        self, data: JSONBody[BillingEntityRequest], tenant: Tenant, services: Services, now: Now
    ) -> BillingEntityReply:
        """Add a billing entity beside the default one."""
        changes = data.billing_entity.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            entity = await billing_entities.create(
                connection, tenant.organization_id, changes, now=now
            )
            (body,) = await _bodies(connection, tenant.organization_id, [entity])
        return BillingEntityReply(body)

    @get("/", summary="List billing entities")
    async def list(
        self, tenant: Tenant, services: Services, window: Window, now: Now
    ) -> BillingEntitiesReply:
        """All billing entities, oldest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await billing_entities.find_all(
                connection, tenant.organization_id, window=window, now=now
            )
            bodies = await _bodies(connection, tenant.organization_id, page.items)
        return BillingEntitiesReply(bodies, meta(page, window))

    @get("/{code:str}", summary="Find a billing entity")
    async def find(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> BillingEntityReply:
        """One billing entity; the first is called `default`."""
        async with services.database.tenant(tenant.organization_id) as connection:
            entity = await billing_entities.get(connection, tenant.organization_id, code, now=now)
            (body,) = await _bodies(connection, tenant.organization_id, [entity])
        return BillingEntityReply(body)

    @put("/{code:str}", status_code=200, summary="Change a billing entity")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[BillingEntityRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> BillingEntityReply:
        """Change a billing entity, for invoices that are not final yet. Its code stays."""
        changes = data.billing_entity.changes()
        async with services.changing_catalogue(tenant.organization_id) as connection:
            entity = await billing_entities.update(
                connection, tenant.organization_id, code, changes, now=now
            )
            (body,) = await _bodies(connection, tenant.organization_id, [entity])
        return BillingEntityReply(body)


async def _bodies(
    connection: Connection, organization_id: UUID, entities: Sequence[BillingEntity]
) -> list[BillingEntityBody]:
    """Show entities with the taxes and sections that they name."""
    taxes = await shown_taxes.find(
        connection, organization_id, {code for entity in entities for code in entity.tax_codes}
    )
    sections = await invoice_custom_sections.of_codes(
        connection,
        organization_id,
        {code for entity in entities for code in entity.invoice_custom_section_codes},
    )
    return [BillingEntityBody.of(entity, taxes, sections) for entity in entities]
