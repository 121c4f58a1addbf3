"""`/billable_metrics`."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from invoicing import billable_metrics
from rating.expressions import Expression
from wallet_service.api import news
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import field_error
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.billable_metrics import (
    EvaluationBody,
    EvaluationReply,
    EvaluationRequest,
    MetricBody,
    MetricReply,
    MetricRequest,
    MetricsReply,
    SampleEventInput,
)
from wallet_service.api.schemas.formats import text_of
from wallet_service.expressions import to_seconds
from wallet_service.usage_requests import read_timestamp


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
            body = MetricBody.of(metric)
            await news.tell(connection, "billable_metric.created", metric, body, now=now)
        return MetricReply(body)

    @post("/evaluate_expression", status_code=200, summary="Evaluate an expression")
    async def evaluate_expression(
        self, data: JSONBody[EvaluationRequest], now: Now
    ) -> EvaluationReply:
        """Try an expression on an event; nothing is stored."""
        if not isinstance(data.expression, str) or not data.expression.strip():
            is_text = data.expression is None or isinstance(data.expression, str)
            raise field_error("expression", "value_is_mandatory" if is_text else "value_is_invalid")
        event = data.event if isinstance(data.event, SampleEventInput) else SampleEventInput()
        value = Expression(data.expression).evaluate(
            code=text_of(event.code),
            timestamp=to_seconds(read_timestamp(event.timestamp) or now),
            properties=event.properties if isinstance(event.properties, dict) else {},
        )
        return EvaluationReply(EvaluationBody(value))

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
            body = MetricBody.of(metric)
            await news.tell(connection, "billable_metric.updated", metric, body, now=now)
        return MetricReply(body)

    @delete("/{code:str}", status_code=200, summary="Delete a billable metric")
    async def delete(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> MetricReply:
        """Remove a metric, and its charges from every plan."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            metric = await billable_metrics.delete(
                connection, tenant.organization_id, code, now=now
            )
            body = MetricBody.of(metric)
            await news.tell(connection, "billable_metric.deleted", metric, body, now=now)
        return MetricReply(body)
