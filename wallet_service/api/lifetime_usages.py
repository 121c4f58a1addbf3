"""`/subscriptions/{external_id}/lifetime_usage`."""

from typing import Annotated

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from invoicing import lifetime_usages, plans, subscriptions
from invoicing.lifetime_usages import LifetimeUsage, ReachedThreshold
from invoicing.subscriptions import Subscription
from invoicing.usage import Wanted
from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.schemas.formats import Cents, iso_seconds, optional_iso
from wallet_service.api.usage import shown_usage


class LifetimeUsageInput(Struct):
    """What was used before it was counted here, in the plan's currency."""

    external_historical_usage_amount_cents: Annotated[
        Cents, Meta(description="Replaces what was said before.")
    ]


class LifetimeUsageRequest(Struct):
    """The envelope of lifetime usage to change."""

    lifetime_usage: LifetimeUsageInput


class ThresholdReachedBody(Struct, kw_only=True):
    """How far usage is on its way to a threshold."""

    amount_cents: int
    completion_ratio: float
    reached_at: str | None

    @classmethod
    def of(cls, threshold: ReachedThreshold) -> "ThresholdReachedBody":
        """Show a threshold."""
        return cls(
            amount_cents=threshold.amount_cents,
            completion_ratio=round(float(threshold.completion), 4),
            reached_at=optional_iso(threshold.reached_at),
        )


class LifetimeUsageBody(Struct, kw_only=True):
    """What a subscription has used since it began."""

    lago_id: str
    lago_subscription_id: str
    external_subscription_id: str
    external_historical_usage_amount_cents: int
    invoiced_usage_amount_cents: int
    current_usage_amount_cents: int
    from_datetime: str | None
    to_datetime: str
    usage_thresholds: list[ThresholdReachedBody]


class LifetimeUsageReply(Struct):
    """The envelope of lifetime usage."""

    lifetime_usage: LifetimeUsageBody


class LifetimeUsages(Controller):
    """What a subscription has used over all of its periods."""

    path = "/subscriptions/{external_id:str}/lifetime_usage"
    tags = ("subscriptions",)
    opt = {"resource": "subscriptions"}  # noqa: RUF012

    @get("/", summary="Usage since a subscription began")
    async def find(
        self, external_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> LifetimeUsageReply:
        """What was used before, what was invoiced, and what was used in the running period."""
        return await _reply(external_id, tenant, services, now)

    @put("/", status_code=200, summary="Say what was used before it was counted")
    async def update(
        self,
        external_id: FromPath[str],
        data: JSONBody[LifetimeUsageRequest],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> LifetimeUsageReply:
        """Usage of another system counts towards thresholds too."""
        async with services.database.tenant(tenant.organization_id) as connection:
            subscription = await subscriptions.get(connection, tenant.organization_id, external_id)
            await lifetime_usages.put_historical(
                connection,
                subscription,
                data.lifetime_usage.external_historical_usage_amount_cents,
                now=now,
            )
        return await _reply(external_id, tenant, services, now)


async def _reply(
    external_id: str, tenant: Tenant, services: Services, now: Now
) -> LifetimeUsageReply:
    async with services.database.tenant(tenant.organization_id) as connection:
        subscription = await subscriptions.get(connection, tenant.organization_id, external_id)
        usage = await lifetime_usages.find(connection, subscription, now=now)
        plan = await plans.get(
            connection, tenant.organization_id, subscription.own_plan_code, now=now
        )
    report = await services.usage_reports.current(
        tenant.organization_id,
        subscription.external_customer_id,
        external_id,
        Wanted(),
        now=now,
    )
    current_cents = (await shown_usage(report, services, tenant)).amount_cents
    total_cents = usage.historical_cents + usage.invoiced_cents + current_cents
    thresholds = lifetime_usages.reached(plan.usage_thresholds, total_cents, usage.reached_at)
    return LifetimeUsageReply(_body(subscription, usage, current_cents, thresholds, now))


def _body(
    subscription: Subscription,
    usage: LifetimeUsage,
    current_cents: int,
    thresholds: list[ReachedThreshold],
    now: Now,
) -> LifetimeUsageBody:
    return LifetimeUsageBody(
        lago_id=str(usage.id),
        lago_subscription_id=str(subscription.id),
        external_subscription_id=subscription.external_id,
        external_historical_usage_amount_cents=usage.historical_cents,
        invoiced_usage_amount_cents=usage.invoiced_cents,
        current_usage_amount_cents=current_cents,
        from_datetime=optional_iso(usage.started_at),
        to_datetime=iso_seconds(now),
        usage_thresholds=[ThresholdReachedBody.of(one) for one in thresholds],
    )
