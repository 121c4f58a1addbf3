"""`/features`."""

from typing import Annotated

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import features
from wallet_service.api import news
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.features import (
    FeatureBody,
    FeatureReply,
    FeatureRequest,
    FeaturesReply,
)


class Features(Controller):
    """What a plan opens beside its prices."""

    path = "/features"
    tags = ("features",)
    opt = {"resource": "features"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a feature")
    async def create(
        self, data: JSONBody[FeatureRequest], tenant: Tenant, services: Services, now: Now
    ) -> FeatureReply:
        """Add a feature with its privileges. Usage of metrics it names is for the entitled only."""
        given = data.feature
        async with services.changing_catalogue(tenant.organization_id) as connection:
            feature = await features.create(
                connection,
                tenant.organization_id,
                given.changes(),
                given.privilege_changes(),
                now=now,
            )
            body = FeatureBody.of(feature)
            await news.tell(connection, "feature.created", feature, body, now=now)
        return FeatureReply(body)

    @get("/", summary="List features")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        search_term: Annotated[str | None, QueryParameter(max_length=255)] = None,
    ) -> FeaturesReply:
        """All features, newest first; `search_term` looks into code, name and description."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await features.find_all(
                connection, tenant.organization_id, window=window, search=search_term or None
            )
        return FeaturesReply([FeatureBody.of(item) for item in page.items], meta(page, window))

    @get("/{code:str}", summary="Find a feature")
    async def find(self, code: FromPath[str], tenant: Tenant, services: Services) -> FeatureReply:
        """One feature."""
        async with services.database.tenant(tenant.organization_id) as connection:
            feature = await features.get(connection, tenant.organization_id, code)
        return FeatureReply(FeatureBody.of(feature))

    @put("/{code:str}", status_code=200, summary="Change a feature")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[FeatureRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> FeatureReply:
        """Change a feature. Privileges that are named are changed or added, all others stay."""
        given = data.feature
        async with services.changing_catalogue(tenant.organization_id) as connection:
            feature = await features.update(
                connection,
                tenant.organization_id,
                code,
                given.changes(),
                given.privilege_changes(),
                now=now,
            )
            body = FeatureBody.of(feature)
            await news.tell(connection, "feature.updated", feature, body, now=now)
        return FeatureReply(body)

    @delete(
        "/{code:str}/privileges/{privilege_code:str}",
        status_code=200,
        summary="Delete a privilege of a feature",
    )
    async def delete_privilege(
        self,
        code: FromPath[str],
        privilege_code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> FeatureReply:
        """Take a privilege away, and its values from every plan and subscription."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            feature = await features.delete_privilege(
                connection, tenant.organization_id, code, privilege_code, now=now
            )
            body = FeatureBody.of(feature)
            await news.tell(connection, "feature.updated", feature, body, now=now)
        return FeatureReply(body)

    @delete("/{code:str}", status_code=200, summary="Delete a feature")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> FeatureReply:
        """Withdraw it from every plan and subscription; its metrics are for everybody again."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            feature = await features.delete(connection, tenant.organization_id, code, now=now)
            body = FeatureBody.of(feature)
            await news.tell(connection, "feature.deleted", feature, body, now=now)
        return FeatureReply(body)
