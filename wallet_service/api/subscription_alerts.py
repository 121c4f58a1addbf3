"""`/subscriptions/{external_id}/alerts`."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias
from uuid import UUID

from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from invoicing import billable_metrics, subscription_alerts, subscriptions
from invoicing.records import Connection
from invoicing.subscription_alerts import SubscriptionAlert
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import bad_request
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.billable_metrics import MetricBody
from wallet_service.api.schemas.formats import Word
from wallet_service.api.schemas.invoices import NoReply
from wallet_service.api.schemas.subscription_alerts import (
    AlertBody,
    AlertEnvelope,
    AlertReply,
    AlertsReply,
    NewAlertsEnvelope,
    NewAlertsReply,
)
from wallet_service.api.subscriptions import read_statuses

_Status: TypeAlias = Annotated[
    Word | None,
    QueryParameter(
        name="subscription_status", description="Of subscriptions with the same external id."
    ),
]
_IN_USE = ("active", "pending", "incomplete")


class SubscriptionAlerts(Controller):
    """What the owner of a subscription is told of its usage."""

    path = "/subscriptions/{external_id:str}/alerts"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012

    @post("/", status_code=200, summary="Add alerts to a subscription")
    async def create(
        self,
        external_id: FromPath[str],
        data: JSONBody[NewAlertsEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: _Status = None,
    ) -> NewAlertsReply:
        """Add one (`alert`), or several at once (`alerts`): all of them, or none."""
        given = data.given()
        if not given:
            raise bad_request("param is missing or the value is empty: alert")
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            await _check(connection, organization_id, external_id, status)
            made = [
                await subscription_alerts.create(
                    connection, organization_id, external_id, one.changes(), now=now
                )
                for one in given
            ]
            bodies = await _bodies(connection, organization_id, made)
        return NewAlertsReply(alerts=bodies) if data.are_many else NewAlertsReply(alert=bodies[0])

    @get("/", summary="List a subscription's alerts")
    async def list(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        status: _Status = None,
    ) -> AlertsReply:
        """All alerts, newest first."""
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            await _check(connection, organization_id, external_id, status)
            page = await subscription_alerts.find_all(
                connection, organization_id, external_id, window=window
            )
            bodies = await _bodies(connection, organization_id, page.items)
        return AlertsReply(bodies, meta(page, window))

    @delete("/", status_code=200, summary="Delete all alerts of a subscription")
    async def delete_all(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: _Status = None,
    ) -> Response[NoReply]:
        """Delete all of them. The body is empty, as Lago's."""
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            await _check(connection, organization_id, external_id, status)
            await subscription_alerts.delete(connection, organization_id, external_id, now=now)
        return Response(content=b"", media_type="application/json")  # pyright: ignore[reportArgumentType, reportReturnType]

    @get("/{code:str}", summary="Find an alert of a subscription")
    async def find(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        status: _Status = None,
    ) -> AlertReply:
        """One alert."""
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            await _check(connection, organization_id, external_id, status)
            alert = await subscription_alerts.get(connection, organization_id, external_id, code)
            (body,) = await _bodies(connection, organization_id, [alert])
        return AlertReply(body)

    @put("/{code:str}", status_code=200, summary="Change an alert of a subscription")
    async def update(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        data: JSONBody[AlertEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: _Status = None,
    ) -> AlertReply:
        """Change what is given; `thresholds` replace all there were."""
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            await _check(connection, organization_id, external_id, status)
            alert = await subscription_alerts.update(
                connection, organization_id, external_id, code, data.alert.changes(), now=now
            )
            (body,) = await _bodies(connection, organization_id, [alert])
        return AlertReply(body)

    @delete("/{code:str}", status_code=200, summary="Delete an alert of a subscription")
    async def delete(
        self,
        external_id: FromPath[str],
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        status: _Status = None,
    ) -> AlertReply:
        """Delete one; it is told of no more."""
        organization_id = tenant.organization_id
        async with services.database.tenant(organization_id) as connection:
            await _check(connection, organization_id, external_id, status)
            alert = await subscription_alerts.get(connection, organization_id, external_id, code)
            await subscription_alerts.delete(
                connection, organization_id, external_id, code, now=now
            )
            (body,) = await _bodies(connection, organization_id, [alert])
        return AlertReply(body)


async def _check(
    connection: Connection, organization_id: UUID, external_id: str, status: str | None
) -> None:
    """Raise NotFound unless there is such a subscription."""
    statuses = read_statuses(status, field="subscription_status") if status else _IN_USE
    await subscriptions.get(connection, organization_id, external_id, statuses=statuses)


async def _bodies(
    connection: Connection, organization_id: UUID, alerts: Sequence[SubscriptionAlert]
) -> list[AlertBody]:
    metrics: dict[str, MetricBody] = {}
    for code in {alert.billable_metric_code for alert in alerts if alert.billable_metric_code}:
        metric = await billable_metrics.find(connection, organization_id, code)
        if metric is not None:
            metrics[code] = MetricBody.of(metric)
    return [AlertBody.of(one, metrics.get(one.billable_metric_code or "")) for one in alerts]
