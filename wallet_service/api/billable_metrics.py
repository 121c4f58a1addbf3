"""`/billable_metrics`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import billable_metrics
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.billable_metrics import (
    MetricBody,
    MetricReply,
    MetricRequest,
    MetricsReply,
)


class BillableMetrics(Controller):
    """How events become a number."""

    path = "/billable_metrics"
    tags = ("billable_metrics",)
    opt = {"resource": "billable_metrics"}  # noqa: RUF012

    @post("/", status_code=200, summary="Create a billable metric")
    async def create(
        self, data: JSONBody[MetricRequest], tenant: Tenant, services: Services, now: Now
    ) -> MetricReply:
        """Add a metric."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            metric = await billable_metrics.create(
                connection, tenant.organization_id, data.billable_metric.changes(), now=now
            )
        return MetricReply(MetricBody.of(metric))

    @get("/", summary="List billable metrics")
    async def list(self, tenant: Tenant, services: Services, window: Window) -> MetricsReply:
        """All metrics, newest first."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await billable_metrics.find_all(
                connection, tenant.organization_id, window=window
            )
        return MetricsReply([MetricBody.of(item) for item in page.items], meta(page, window))

    @get("/{code:str}", summary="Find a billable metric")
    async def find(self, code: FromPath[str], tenant: Tenant, services: Services) -> MetricReply:
        """One metric."""
        async with services.database.tenant(tenant.organization_id) as connection:
            metric = await billable_metrics.get(connection, tenant.organization_id, code)
        return MetricReply(MetricBody.of(metric))

    @put("/{code:str}", status_code=200, summary="Change a billable metric")
    async def update(
        self,
        code: FromPath[str],
        data: JSONBody[MetricRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> MetricReply:
        """Change a metric; plans that price it get a new version."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            metric = await billable_metrics.update(
                connection, tenant.organization_id, code, data.billable_metric.changes(), now=now
            )
        return MetricReply(MetricBody.of(metric))

    @delete("/{code:str}", status_code=200, summary="Delete a billable metric")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> MetricReply:
        """Remove a metric, and its charges from every plan."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            metric = await billable_metrics.delete(
                connection, tenant.organization_id, code, now=now
            )
        return MetricReply(MetricBody.of(metric))
