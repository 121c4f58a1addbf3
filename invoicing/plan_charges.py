"""The charges of a plan, one by one. Every change is a new version of the plan's prices."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct, UnsetType, structs

from invoicing import charge_changes, plan_versions, plans, tax_codes
from invoicing.charge_assets import PlanAssets
from invoicing.charge_changes import CHARGES_MAX, ChargeChanges
from invoicing.charges import PlanCharge, check_assets
from invoicing.errors import Invalid, NotFound
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.pages import Page, Window, cut
from invoicing.plan_pricing import find_metrics
from invoicing.plan_versions import Timeline
from invoicing.plans import Plan
from invoicing.records import Connection

_NO_UNITS: Final[Mapping[str, int]] = {}


class OpenPlan(Struct, frozen=True):
    """A plan that is locked to be changed, and the prices that the change begins from."""

    plan: Plan
    line: Timeline

    def charge(self, code: str) -> PlanCharge:
        """The charge with this code; raises NotFound."""
        return _find(self.line.prices.charges, code)


async def create(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    changes: ChargeChanges,
    *,
    units: Mapping[str, int] = _NO_UNITS,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanCharge:
    """Add a charge to a plan; raises NotFound or Invalid.

    `units` are the native units that there are, with their scales, of those that it names.
    """
    opened = await open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charges = opened.line.prices.charges
    if len(charges) >= CHARGES_MAX:
        raise Invalid.field("charges", "invalid_count")
    changes.id = None
    if any(charge.code == changes.code for charge in charges):
        raise Invalid.field("code", "value_already_exist")
    metrics = await find_metrics(connection, organization_id, [changes], [])
    assets = PlanAssets(currency=opened.plan.amount_currency, units=units)
    await check_taxes(connection, organization_id, changes)
    charge = charge_changes.merge_one(
        charges, changes, metrics, taken=charges, assets=assets, now=now
    )
    await publish(connection, opened, [*charges, charge], now=now)
    return charge


async def update(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    code: str,
    changes: ChargeChanges,
    *,
    units: Mapping[str, int] = _NO_UNITS,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanCharge:
    """Change a charge of a plan; raises NotFound or Invalid. `units` as in `create`."""
    opened = await open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    before = opened.charge(code)
    changes.id = before.id
    charges = opened.line.prices.charges
    metrics = await find_metrics(connection, organization_id, [changes], [before])
    await check_taxes(connection, organization_id, changes)
    charge = charge_changes.merge_one(
        charges,
        changes,
        metrics,
        taken=[other for other in charges if other is not before],
        assets=PlanAssets(currency=opened.plan.amount_currency, units=units),
        now=now,
    )
    await replace(connection, opened, before, charge, now=now)
    return charge


async def delete(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    code: str,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanCharge:
    """Take a charge out of a plan; raises NotFound."""
    opened = await open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charge = opened.charge(code)
    kept = [other for other in opened.line.prices.charges if other is not charge]
    await publish(connection, opened, kept, now=now)
    return charge


async def get(
    connection: Connection, organization_id: UUID, plan_code: str, code: str, *, now: datetime
) -> PlanCharge:
    """The charge with this code, as it is in force; raises NotFound."""
    plan = await plans.get(connection, organization_id, plan_code, now=now)
    return _find(plan.charges, code)


async def find_all(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    *,
    window: Window,
    now: datetime,
) -> Page[PlanCharge]:
    """A page of the plan's charges in force, in its order; raises NotFound."""
    plan = await plans.get(connection, organization_id, plan_code, now=now)
    return cut(plan.charges, window)


async def check_taxes(
    connection: Connection, organization_id: UUID, changes: ChargeChanges | FixedChargeChanges
) -> None:
    """Raise Invalid unless the taxes that a charge is to have are there."""
    if not isinstance(changes.tax_codes, UnsetType):
        await tax_codes.check(connection, organization_id, changes.tax_codes)


async def open_plan(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    *,
    effective_at: datetime | None,
    now: datetime,
) -> OpenPlan:
    """Begin a change of a plan's prices; raises NotFound, or Invalid for a time gone by."""
    plan = await plans.lock(connection, organization_id, plan_code, now=now)
    line = await plan_versions.timeline(
        connection, organization_id, plan.id, effective_at=effective_at, now=now
    )
    return OpenPlan(plan, line)


async def replace(
    connection: Connection,
    opened: OpenPlan,
    before: PlanCharge,
    after: PlanCharge,
    *,
    now: datetime,
) -> None:
    """Publish the plan's prices with one charge instead of another; raises Invalid."""
    charges = [after if each is before else each for each in opened.line.prices.charges]
    await publish(connection, opened, charges, now=now)


async def publish(
    connection: Connection, opened: OpenPlan, charges: list[PlanCharge], *, now: datetime
) -> None:
    """Publish the plan's prices with these charges; raises Invalid."""
    check_assets(charges)
    prices = structs.replace(opened.line.prices, charges=charges)
    plan = await plans.publish(connection, opened.plan, opened.line, prices, now=now)
    await plans.store(connection, plan)


def _find(charges: list[PlanCharge], code: str) -> PlanCharge:
    for charge in charges:
        if charge.code == code:
            return charge
    raise NotFound("charge")
