"""The prices of one subscription: those of its plan or, once they differ, of a plan of its own."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import structs

from invoicing import catalogue_changes, plans, subscriptions
from invoicing.plan_overrides import PlanOverrides, override
from invoicing.records import Connection

__all__ = ["own_plan", "plan_of"]


async def plan_of(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str] = ("active",),
) -> str:
    """The code of the plan that prices a subscription, to be read; raises NotFound."""
    found = await subscriptions.get(connection, organization_id, external_id, statuses=statuses)
    return found.own_plan_code


async def own_plan(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    *,
    statuses: Sequence[str] = ("active",),
    now: datetime,
) -> str:
    """The code of a plan that is this subscription's alone, to be changed; raises NotFound."""
    await catalogue_changes.bump_for_subscription(connection, organization_id, external_id)
    found = await subscriptions.lock(connection, organization_id, external_id, statuses=statuses)
    plan = await plans.get(connection, organization_id, found.own_plan_code, now=now)
    if plan.parent_id is None:
        plan = await override(connection, organization_id, plan, PlanOverrides(), now=now)
        changed = structs.replace(found, plan_id=plan.id, updated_at=now)
        await subscriptions.save(connection, changed)
    return plan.code
