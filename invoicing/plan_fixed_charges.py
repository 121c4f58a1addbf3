"""The fixed charges of a plan, one by one. Every change is a new version of the plan's prices."""

from datetime import datetime
from uuid import UUID

from msgspec import structs

from invoicing import billing_schedule, fixed_charges, plan_charges, plan_versions, plans
from invoicing.errors import Invalid, NotFound
from invoicing.fixed_charges import FIXED_CHARGES_MAX, FixedChargeChanges, PlanFixedCharge
from invoicing.pages import Page, Window, cut
from invoicing.plan_charges import OpenPlan
from invoicing.plan_pricing import find_add_ons
from invoicing.plan_versions import AgreedUnits
from invoicing.records import Connection


async def create(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    changes: FixedChargeChanges,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanFixedCharge:
    """Add a fixed charge to a plan; raises NotFound or Invalid."""
    opened = await plan_charges.open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charges = opened.line.prices.fixed_charges
    if len(charges) >= FIXED_CHARGES_MAX:
        raise Invalid.field("fixed_charges", "invalid_count")
    changes.id = None
    if any(charge.code == changes.code for charge in charges):
        raise Invalid.field("code", "value_already_exist")
    await plan_charges.check_taxes(connection, organization_id, changes)
    charge = fixed_charges.merge_one(
        charges,
        changes,
        await find_add_ons(connection, organization_id, [changes], []),
        taken=charges,
        currency=opened.plan.amount_currency,
        now=now,
    )
    await _publish(connection, opened, [*charges, charge], changes, charge, now=now)
    return charge


async def update(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    code: str,
    changes: FixedChargeChanges,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanFixedCharge:
    """Change a fixed charge of a plan; raises NotFound or Invalid."""
    opened = await plan_charges.open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charges = opened.line.prices.fixed_charges
    before = _find(charges, code)
    changes.id = before.id
    await plan_charges.check_taxes(connection, organization_id, changes)
    charge = fixed_charges.merge_one(
        charges,
        changes,
        await find_add_ons(connection, organization_id, [changes], [before]),
        taken=[other for other in charges if other is not before],
        currency=opened.plan.amount_currency,
        now=now,
    )
    wanted = [charge if each is before else each for each in charges]
    await _publish(connection, opened, wanted, changes, charge, now=now)
    return charge


async def delete(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    code: str,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanFixedCharge:
    """Take a fixed charge out of a plan; raises NotFound."""
    opened = await plan_charges.open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charges = opened.line.prices.fixed_charges
    charge = _find(charges, code)
    kept = [other for other in charges if other is not charge]
    await _publish(connection, opened, kept, FixedChargeChanges(), charge, now=now)
    return charge


async def get(
    connection: Connection, organization_id: UUID, plan_code: str, code: str, *, now: datetime
) -> PlanFixedCharge:
    """The fixed charge with this code, as it is in force; raises NotFound."""
    plan = await plans.get(connection, organization_id, plan_code, now=now)
    return _find(plan.fixed_charges, code)


async def find_all(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    *,
    window: Window,
    now: datetime,
) -> Page[PlanFixedCharge]:
    """A page of the plan's fixed charges in force, in its order; raises NotFound."""
    plan = await plans.get(connection, organization_id, plan_code, now=now)
    return cut(plan.fixed_charges, window)


async def units_history(
    connection: Connection, organization_id: UUID, charge: PlanFixedCharge, *, limit: int
) -> list[AgreedUnits]:
    """How many units were agreed over time, the newest first."""
    return await plan_versions.agreed_units(connection, organization_id, charge.id, limit=limit)


async def _publish(
    connection: Connection,
    opened: OpenPlan,
    charges: list[PlanFixedCharge],
    changes: FixedChargeChanges,
    charge: PlanFixedCharge,
    *,
    now: datetime,
) -> None:
    prices = structs.replace(opened.line.prices, fixed_charges=charges)
    plan = await plans.publish(
        connection,
        opened.plan,
        opened.line,
        prices,
        immediately=[charge.id] if changes.apply_units_immediately is True else [],
        now=now,
    )
    await plans.store(connection, plan)
    await billing_schedule.look_again(connection, plan.organization_id, plan_id=plan.id, now=now)


def _find(charges: list[PlanFixedCharge], code: str) -> PlanFixedCharge:
    for charge in charges:
        if charge.code == code:
            return charge
    raise NotFound("fixed_charge")
