"""The word of plans that requests change, and of those whose charges they change one by one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from invoicing import plans
from invoicing.plans import Plan
from invoicing.records import Connection
from wallet_service.api import news, shown_taxes
from wallet_service.api.dependencies import Services
from wallet_service.api.schemas.plans import PlanBody

__all__ = ["changing_plan", "tell_plan"]


@asynccontextmanager
async def changing_plan(
    services: Services, organization_id: UUID, code: str, *, now: datetime
) -> AsyncGenerator[Connection]:
    """Open a tenant's transaction that changes a part of a plan; the plan is told of as updated."""
    async with services.changing_catalogue(organization_id) as connection:
        yield connection
        plan = await plans.get(connection, organization_id, code, now=now)
        await tell_plan(connection, "updated", plan, now=now)


async def tell_plan(connection: Connection, word: str, plan: Plan, *, now: datetime) -> PlanBody:
    """The plan as it is shown, and as the world is told of it."""
    taxes = await shown_taxes.of_plans(connection, plan.organization_id, [plan])
    body = PlanBody.of(plan, taxes)
    await news.tell(connection, f"plan.{word}", plan, body, now=now)
    return body
