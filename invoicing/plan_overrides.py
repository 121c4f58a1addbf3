"""Plans made for one subscription: a copy of another, with its own prices and terms.

The charges of the copy have the ids and codes of those they were made from, so usage that was
counted goes on being counted; fixed charges have the codes alone, since units are agreed by id. It
is shown with the code of its parent, and is in no list.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import plan_versions, plans
from invoicing.charge_changes import ChargeChanges
from invoicing.charges import PlanCharge
from invoicing.errors import Invalid
from invoicing.fixed_charges import FixedChargeChanges, PlanFixedCharge
from invoicing.minimum_commitments import CommitmentChanges
from invoicing.plan_pricing import WantedPrices
from invoicing.plans import Plan, PlanChanges
from invoicing.price_changes import Prices
from invoicing.records import Connection, apply
from invoicing.usage_thresholds import ThresholdChanges
from ledger.ids import new_uuid

__all__ = ["PlanOverrides", "override"]

_NO_UNITS: Final[Mapping[str, int]] = {}
_Changes = TypeVar("_Changes", ChargeChanges, FixedChargeChanges)


class PlanOverrides(Struct, kw_only=True):
    """What is to be different for one subscription: UNSET leaves it as in the plan."""

    name: str | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    amount_cents: int | UnsetType = UNSET
    amount_currency: str | UnsetType = UNSET
    trial_period: Decimal | UnsetType | None = UNSET
    tax_codes: list[str] | UnsetType = UNSET
    metadata: dict[str, str | None] | UnsetType = UNSET
    minimum_commitment: CommitmentChanges | UnsetType | None = UNSET
    usage_thresholds: list[ThresholdChanges] | UnsetType = UNSET
    charges: list[ChargeChanges] = []
    """Each names a charge of the plan, by its id or code; the others stay as they are."""
    fixed_charges: list[FixedChargeChanges] = []


async def override(
    connection: Connection,
    organization_id: UUID,
    plan: Plan,
    overrides: PlanOverrides,
    *,
    units: Mapping[str, int] = _NO_UNITS,
    now: datetime,
) -> Plan:
    """A plan with these overrides for one subscription; raises Invalid.

    Where `plan` is one already it is changed, else a copy of it is made. `units` as in
    `plans.create`.
    """
    changes = apply(overrides, PlanChanges())
    changes.wanted_commitment = overrides.minimum_commitment
    changes.wanted_thresholds = overrides.usage_thresholds
    charges = _all_of(plan.charges, overrides.charges, ChargeChanges, "charges")
    fixed_charges = _all_of(
        plan.fixed_charges, overrides.fixed_charges, FixedChargeChanges, "fixed_charges"
    )
    if plan.parent_id is not None:
        changes.wanted_fixed_charges = fixed_charges
        return await plans.update(
            connection, organization_id, plan.code, changes, charges, units=units, now=now
        )
    own_ids = {charge.id: new_uuid(now) for charge in plan.fixed_charges}
    for wanted_charge in fixed_charges:
        assert wanted_charge.id is not None, "each names a fixed charge of the plan"
        wanted_charge.id = own_ids[wanted_charge.id]
    wanted = WantedPrices(charges=charges, fixed_charges=fixed_charges)
    plan_id = new_uuid(now)
    copy = structs.replace(
        plan,
        id=plan_id,
        code=f"{plan_id}",
        parent_id=plan.id,
        is_default=False,
        current_version_id=new_uuid(now),
        created_at=now,
        updated_at=now,
    )
    prices = Prices(
        charges=plan.charges,
        fixed_charges=[structs.replace(one, id=own_ids[one.id]) for one in plan.fixed_charges],
    )
    made = await plans.insert(
        connection, copy, changes, wanted, before=prices, units=units, now=now
    )
    if own_ids:
        await plan_versions.copy_units(connection, organization_id, plan.id, copy.id, own_ids)
    return made


def _all_of(
    existing: Sequence[PlanCharge] | Sequence[PlanFixedCharge],
    given: Sequence[_Changes],
    kind: type[_Changes],
    field: str,
) -> list[_Changes]:
    """A change for each that there is, empty where nothing is to be different; raises Invalid."""
    by_code = {one.code: one.id for one in existing}
    known = set(by_code.values())
    changed: dict[UUID, _Changes] = {}
    for position, changes in enumerate(given):
        one = changes.id or by_code.get(changes.code or "")
        if one not in known:
            raise Invalid.field(f"plan_overrides.{field}.{position}.id", f"{field[:-1]}_not_found")
        assert one is not None, "what is known has an id"
        changes.id, changes.code = one, None
        changed[one] = changes
    return [changed.get(one.id) or kind(id=one.id) for one in existing]
