"""`/invoice_custom_sections`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import invoice_custom_sections
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.invoice_custom_sections import (
    SectionBody,
    SectionReply,
    SectionRequest,
    SectionsReply,
)


class InvoiceCustomSections(Controller):
    """Texts that invoices carry."""

    path = "/invoice_custom_sections"
    tags = ("invoice_custom_sections",)
    opt = {"resource": "invoice_custom_sections"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create an invoice custom section")
    async def create(
        self, data: JSONBody[SectionRequest], tenant: Tenant, services: Services, now: Now
    ) -> SectionReply:
        """Add a section, for billing entities and customers to name by its code."""
        changes = data.invoice_custom_section.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            section = await invoice_custom_sections.create(
                connection, tenant.organization_id, changes, now=now
            )
        return SectionReply(SectionBody.of(section))

    @get("/", summary="List invoice custom sections")
    async def list(self, tenant: Tenant, services: Services, window: Window) -> SectionsReply:
        """All sections, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await invoice_custom_sections.find_all(
                connection, tenant.organization_id, window=window
            )
        return SectionsReply([SectionBody.of(item) for item in page.items], meta(page, window))

    @get("/{code:str}", summary="Find an invoice custom section")
    async def find(self, code: FromPath[str], tenant: Tenant, services: Services) -> SectionReply:
        """One section."""
        async with services.database.tenant(tenant.organization_id) as connection:
            section = await invoice_custom_sections.get(connection, tenant.organization_id, code)
        return SectionReply(SectionBody.of(section))

    @put("/{code:str}", status_code=200, summary="Change an invoice custom section")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[SectionRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> SectionReply:
        """Change a section, for invoices that are not final yet. Its code stays."""
        changes = data.invoice_custom_section.changes()
        async with services.database.tenant(tenant.organization_id) as connection:
            section = await invoice_custom_sections.update(
                connection, tenant.organization_id, code, changes, now=now
            )
        return SectionReply(SectionBody.of(section))

    @delete("/{code:str}", status_code=200, summary="Delete an invoice custom section")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> SectionReply:
        """Withdraw a section: new invoices do not carry it."""
        async with services.database.tenant(tenant.organization_id) as connection:
            section = await invoice_custom_sections.delete(
                connection, tenant.organization_id, code, now=now
            )
        return SectionReply(SectionBody.of(section))
