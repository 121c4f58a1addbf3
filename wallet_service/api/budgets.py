"""`/budgets`: how much may be spent of what, by whom, in which time."""

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from wallet_service import budget_reports, budgets
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import ExternalId
from wallet_service.budget_reports import AlertBody, BucketBody
from wallet_service.budget_terms import BudgetChanges, BudgetRequest
from wallet_service.budgets import BudgetBody


class BudgetEnvelope(Struct, forbid_unknown_fields=True):
    """The envelope of a budget to make."""

    budget: BudgetRequest


class BudgetChangesEnvelope(Struct, forbid_unknown_fields=True):
    """The envelope of what is to change."""

    budget: BudgetChanges


class BudgetReply(Struct):
    """The envelope of a budget."""

    budget: BudgetBody


class BudgetsReply(Struct):
    """A page of budgets."""

    budgets: list[BudgetBody]
    meta: Meta


class BudgetUsageReply(Struct):
    """A page of a budget's buckets."""

    usage: list[BucketBody]
    meta: Meta


class AlertsReply(Struct):
    """A page of alerts."""

    alerts: list[AlertBody]
    meta: Meta


class Budgets(Controller):
    """Limits on spending, decided together with the wallets."""

    path = "/budgets"
    tags = ("budgets",)
    opt = {"resource": "budgets"}  # noqa: RUF012

    @post("/", status_code=200, summary="Make a budget")
    async def create(
        self, data: JSONBody[BudgetEnvelope], tenant: Tenant, services: Services, now: Now
    ) -> BudgetReply:
        """Limit what may be spent, from now on. Its scope, asset and window stay as they are."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            body = await budgets.create(connection, tenant.organization_id, data.budget, now=now)
        return BudgetReply(body)

    @get("/", summary="List budgets")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        external_customer_id: FromQuery[ExternalId | None] = None,
    ) -> BudgetsReply:
        """All budgets, newest first; of one customer those that name it."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await budgets.find_all(
                connection,
                tenant.organization_id,
                external_customer_id=external_customer_id,
                window=window,
                now=now,
            )
        return BudgetsReply(page.items, meta(page, window))

    @get("/{code:str}", summary="Find a budget")
    async def find(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> BudgetReply:
        """One budget."""
        async with services.database.tenant(tenant.organization_id) as connection:
            return BudgetReply(await budgets.get(connection, tenant.organization_id, code, now=now))

    @put("/{code:str}", summary="Change a budget")
    async def change(
        self,
        code: FromPath[str],
        data: JSONBody[BudgetChangesEnvelope],
        tenant: Tenant,
        services: Services,
        now: Now,
    ) -> BudgetReply:
        """Change its name, limit, mode or alerts. The next decision goes by it."""
        async with services.database.tenant(tenant.organization_id) as connection:
            body = await budgets.change(
                connection, tenant.organization_id, code, data.budget, now=now
            )
        return BudgetReply(body)

    @delete("/{code:str}", status_code=200, summary="Delete a budget")
    async def remove(
        self, code: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> BudgetReply:
        """End a budget: it limits and counts nothing any more. Its code is free again."""
        async with services.changing_catalogue(tenant.organization_id) as connection:
            body = await budgets.delete(connection, tenant.organization_id, code, now=now)
        return BudgetReply(body)

    @get("/{code:str}/usage", summary="What was spent of a budget")
    async def usage(
        self,
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        bucket: FromQuery[ExternalId | None] = None,
        external_customer_id: FromQuery[ExternalId | None] = None,
    ) -> BudgetUsageReply:
        """Spent, held and remaining of each bucket, by its name. The count stops at 100,000."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await budget_reports.find_usage(
                connection,
                tenant.organization_id,
                code,
                bucket=bucket,
                external_customer_id=external_customer_id,
                window=window,
                now=now,
            )
        return BudgetUsageReply(page.items, meta(page, window))

    @get("/{code:str}/alerts", summary="Alerts of a budget")
    async def alerts(
        self,
        code: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        bucket: FromQuery[ExternalId | None] = None,
    ) -> AlertsReply:
        """The alerts that were raised, newest first. The count stops at 100,000."""
        async with services.database.tenant(tenant.organization_id) as connection:
            page = await budget_reports.find_alerts(
                connection, tenant.organization_id, code, bucket=bucket, window=window, now=now
            )
        return AlertsReply(page.items, meta(page, window))
