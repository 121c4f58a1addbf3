"""New versions of plans because of what they price: metrics and add-ons that change or go."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import structs

from invoicing import plan_versions, plans
from invoicing.charge_options import check_options
from invoicing.charges import PlanCharge, PricedMetric, with_metric
from invoicing.errors import Invalid
from invoicing.fixed_charges import PricedAddOn, with_add_on
from invoicing.price_changes import Prices
from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


async def are_subscribed(
    connection: Connection, organization_id: UUID, metric_id: UUID, *, now: datetime
) -> bool:
    """Whether anyone is subscribed to a plan that prices the metric, now or in time."""
    subscribed: bool = await _queries.are_plans_of_metric_subscribed(
        connection, organization_id=organization_id, billable_metric_id=str(metric_id), now=now
    )
    return subscribed


async def republish_with_metrics(
    connection: Connection,
    organization_id: UUID,
    metrics: Sequence[PricedMetric],
    *,
    but_plan: str | None = None,
    now: datetime,
) -> None:
    """Take changed metrics over into every plan that prices one of them; raises Invalid.

    Each plan has one new version of it, but for `but_plan`, which its caller publishes.
    """
    by_id = {metric.id: metric for metric in metrics}

    def change(prices: Prices) -> Prices:
        changed = [
            _repriced(charge, by_id[charge.billable_metric_id])
            if charge.billable_metric_id in by_id
            else charge
            for charge in prices.charges
        ]
        return structs.replace(prices, charges=changed)

    codes: dict[str, None] = {}
    for metric_id in by_id:
        found = _queries.find_plans_of_metric(
            connection, organization_id=organization_id, billable_metric_id=str(metric_id), now=now
        )
        codes |= {row["code"]: None async for row in found if row["code"] != but_plan}
    await _republish(connection, organization_id, list(codes), change, now)


async def republish_without_metric(
    connection: Connection, organization_id: UUID, metric_id: UUID, *, now: datetime
) -> None:
    """Take the charges of a deleted metric out of every plan."""

    def change(prices: Prices) -> Prices:
        kept = [charge for charge in prices.charges if charge.billable_metric_id != metric_id]
        return structs.replace(prices, charges=kept)

    codes = _queries.find_plans_of_metric(
        connection, organization_id=organization_id, billable_metric_id=str(metric_id), now=now
    )
    await _republish(connection, organization_id, [row["code"] async for row in codes], change, now)


async def republish_with_add_on(
    connection: Connection, organization_id: UUID, add_on: PricedAddOn, *, now: datetime
) -> None:
    """Take the changed names of an add-on over into every plan that has it."""

    def change(prices: Prices) -> Prices:
        changed = [
            with_add_on(charge, add_on) if charge.add_on_id == add_on.id else charge
            for charge in prices.fixed_charges
        ]
        return structs.replace(prices, fixed_charges=changed)

    codes = _queries.find_plans_of_add_on(
        connection, organization_id=organization_id, add_on_id=str(add_on.id), now=now
    )
    await _republish(connection, organization_id, [row["code"] async for row in codes], change, now)


async def _republish(
    connection: Connection,
    organization_id: UUID,
    codes: Sequence[str],
    change: Callable[[Prices], Prices],
    now: datetime,
) -> None:
    """Change all that is in force now or later, of these plans."""
    for code in codes:
        plan = await plans.lock(connection, organization_id, code, now=now)
        line = await plan_versions.timeline(
            connection, organization_id, plan.id, effective_at=None, now=now
        )
        version_id = await plan_versions.rewrite(connection, line, change, now=now)
        if version_id is not None:
            await plans.store(
                connection, structs.replace(plan, current_version_id=version_id, updated_at=now)
            )


def _repriced(charge: PlanCharge, metric: PricedMetric) -> PlanCharge:
    """The charge with the changed metric; raises Invalid where it cannot price it any more."""
    changed = with_metric(charge, metric)
    if _goes_together(charge) and not _goes_together(changed):
        raise Invalid.field(
            "aggregation_type",
            "invalid_aggregation_type_or_charge_model",
            f"the charge {charge.code} of a plan cannot price it so",
        )
    return changed


def _goes_together(charge: PlanCharge) -> bool:
    try:
        check_options(charge)
    except Invalid:
        return False
    return True
