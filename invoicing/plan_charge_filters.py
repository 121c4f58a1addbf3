"""The filters of a plan's charge, one by one. Each change is a new version of the plan's prices."""

from datetime import datetime
from uuid import UUID

from msgspec import structs

from invoicing import plan_charges
from invoicing.charge_filters import (
    FilterChanges,
    PlanChargeFilter,
    check_filters,
    declared_values,
    merge_filter,
)
from invoicing.charge_properties import needs_settings
from invoicing.charges import PlanCharge
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window, cut
from invoicing.records import Connection


async def create(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    charge_code: str,
    changes: FilterChanges,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanChargeFilter:
    """Add a filter to a charge; raises NotFound or Invalid."""
    opened = await plan_charges.open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charge = opened.charge(charge_code)
    entry = _merged(charge, None, changes, now=now)
    after = _with_filters(charge, [*charge.filters, entry])
    await plan_charges.replace(connection, opened, charge, after, now=now)
    return entry


async def update(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    charge_code: str,
    filter_id: UUID,
    changes: FilterChanges,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanChargeFilter:
    """Change a filter; raises NotFound or Invalid. With other values it is another, of a new id."""
    opened = await plan_charges.open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charge = opened.charge(charge_code)
    before = _find(charge, filter_id)
    entry = _merged(charge, before, changes, now=now)
    filters = [entry if each is before else each for each in charge.filters]
    after = _with_filters(charge, filters)
    await plan_charges.replace(connection, opened, charge, after, now=now)
    return entry


async def delete(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    charge_code: str,
    filter_id: UUID,
    *,
    effective_at: datetime | None = None,
    now: datetime,
) -> PlanChargeFilter:
    """Take a filter out of a charge; raises NotFound, or Invalid if no price would be left."""
    opened = await plan_charges.open_plan(
        connection, organization_id, plan_code, effective_at=effective_at, now=now
    )
    charge = opened.charge(charge_code)
    entry = _find(charge, filter_id)
    after = _with_filters(charge, [each for each in charge.filters if each is not entry])
    await plan_charges.replace(connection, opened, charge, after, now=now)
    return entry


async def get(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    charge_code: str,
    filter_id: UUID,
    *,
    now: datetime,
) -> PlanChargeFilter:
    """A filter of a charge in force; raises NotFound."""
    charge = await plan_charges.get(connection, organization_id, plan_code, charge_code, now=now)
    return _find(charge, filter_id)


async def find_all(
    connection: Connection,
    organization_id: UUID,
    plan_code: str,
    charge_code: str,
    *,
    window: Window,
    now: datetime,
) -> Page[PlanChargeFilter]:
    """A page of the filters of a charge in force, in its order; raises NotFound."""
    charge = await plan_charges.get(connection, organization_id, plan_code, charge_code, now=now)
    return cut(charge.filters, window)


def _merged(
    charge: PlanCharge, before: PlanChargeFilter | None, changes: FilterChanges, *, now: datetime
) -> PlanChargeFilter:
    """The filter after the changes; raises Invalid."""
    entry, group_keys = merge_filter(
        before,
        changes,
        charge_model=charge.charge_model,
        declared=declared_values(charge.metric_filters),
        now=now,
    )
    if group_keys is not None and group_keys != charge.pricing_group_keys:
        raise Invalid.field(
            "properties.pricing_group_keys",
            "value_is_invalid",
            "all prices of a charge are grouped by the same keys: change the charge",
        )
    return entry


def _with_filters(charge: PlanCharge, filters: list[PlanChargeFilter]) -> PlanCharge:
    """The charge with these filters; raises Invalid, naming the fields of one filter."""
    try:
        check_filters(filters)
    except Invalid as error:
        fields = {name.rpartition(".")[2]: codes for name, codes in error.details.items()}
        raise Invalid(fields) from None
    if not filters and not charge.properties and needs_settings(charge.charge_model):
        raise Invalid.field("properties", "value_is_mandatory", "the charge would have no price")
    return structs.replace(charge, filters=filters)


def _find(charge: PlanCharge, filter_id: UUID) -> PlanChargeFilter:
    for entry in charge.filters:
        if entry.id == filter_id:
            return entry
    raise NotFound("charge_filter")
