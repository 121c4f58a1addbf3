"""`/plans/{code}/metadata`: what a caller wants to remember of a plan."""

from litestar import Controller, delete, patch, post
from litestar.params import FromPath, JSONBody

from invoicing import plan_metadata
from invoicing.errors import NotFound
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.plan_news import changing_plan
from wallet_service.api.schemas.metadata import MetadataEnvelope, MetadataReply


class PlanMetadata(Controller):
    """What a caller wants to remember of a plan. It changes no price."""

    path = "/plans/{code:str}/metadata"
    tags = ("plans",)
    opt = {"resource": "plans"}  # noqa: RUF012

    @post("/", status_code=200, summary="Replace a plan's metadata")
    async def replace(
        self,
        code: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Have these entries and no others."""
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            metadata = await plan_metadata.change(
                connection, tenant.organization_id, code, lambda _: data.metadata, now=now
            )
        return MetadataReply(metadata)

    @patch("/", status_code=200, summary="Merge a plan's metadata")
    async def merge(
        self,
        code: FromPath[str],
        data: JSONBody[MetadataEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetadataReply:
        """Add these entries, or give them new values."""
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            metadata = await plan_metadata.change(
                connection,
                tenant.organization_id,
                code,
                lambda before: before | data.metadata,
                now=now,
            )
        return MetadataReply(metadata)

    @delete("/", status_code=200, summary="Delete a plan's metadata")
    async def delete_all(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> MetadataReply:
        """Remove all entries; answers null, as Lago does."""
        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            await plan_metadata.change(
                connection, tenant.organization_id, code, lambda _: {}, now=now
            )
        return MetadataReply(None)

    @delete("/{name:str}", status_code=200, summary="Delete one entry of a plan's metadata")
    async def delete_entry(
        self, code: FromPath[str], name: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> MetadataReply:
        """Remove one entry; answers what is left. Raises 404 where there is no such entry."""

        def without(before: dict[str, str | None]) -> dict[str, str | None]:
            if name not in before:
                raise NotFound("metadata")
            return {key: value for key, value in before.items() if key != name}

        async with changing_plan(services, tenant.organization_id, code, now=now) as connection:
            metadata = await plan_metadata.change(
                connection, tenant.organization_id, code, without, now=now
            )
        return MetadataReply(metadata)
