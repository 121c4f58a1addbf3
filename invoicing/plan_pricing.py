"""What a plan is to charge: prices that somebody asks for, of the metrics and add-ons there are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import charge_changes, fixed_charges, tax_codes
from invoicing.charge_assets import PlanAssets
from invoicing.charge_changes import ChargeChanges
from invoicing.charges import PlanCharge, PricedMetric
from invoicing.errors import Invalid
from invoicing.fixed_charges import FixedChargeChanges, PlanFixedCharge, PricedAddOn
from invoicing.price_changes import Prices
from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)


class WantedPrices(Struct, frozen=True, kw_only=True):
    """The charges to have, in place of all there were. UNSET leaves them as they are."""

    charges: Sequence[ChargeChanges] | UnsetType = UNSET
    fixed_charges: Sequence[FixedChargeChanges] | UnsetType = UNSET

    @property
    def are_any(self) -> bool:
        """Whether something is to change."""
        return self.charges is not UNSET or self.fixed_charges is not UNSET

    def tax_codes(self) -> dict[str, list[str]]:
        """The codes of taxes that they name, by field."""
        return {
            f"{field}.{position}.tax_codes": changes.tax_codes
            for field, all_changes in (
                ("charges", self.charges),
                ("fixed_charges", self.fixed_charges),
            )
            if not isinstance(all_changes, UnsetType)
            for position, changes in enumerate(all_changes)
            if not isinstance(changes.tax_codes, UnsetType)
        }

    def immediately(self, prices: Prices) -> list[UUID]:
        """The fixed charges whose units the running period is billed for too."""
        if isinstance(self.fixed_charges, UnsetType):
            return []
        return [
            charge.id
            for changes, charge in zip(self.fixed_charges, prices.fixed_charges, strict=True)
            if changes.apply_units_immediately is True
        ]


async def merge_prices(
    connection: Connection,
    organization_id: UUID,
    before: Prices,
    wanted: WantedPrices,
    *,
    assets: PlanAssets,
    also: dict[str, list[str]],
    now: datetime,
) -> Prices:
    """The prices of the next version; raises Invalid with all that is wrong, `also` included."""
    problems, messages = dict(also), list[str]()
    problems |= await tax_codes.unknown(connection, organization_id, wanted.tax_codes())
    merged = before
    if not isinstance(wanted.charges, UnsetType):
        metrics = await find_metrics(connection, organization_id, wanted.charges, before.charges)
        try:
            charges = charge_changes.merge(
                before.charges, wanted.charges, metrics, assets=assets, now=now
            )
            merged = structs.replace(merged, charges=charges)
        except Invalid as error:
            problems |= error.details
            messages.append(error.message)
    if not isinstance(wanted.fixed_charges, UnsetType):
        fixed = wanted.fixed_charges
        add_ons = await find_add_ons(connection, organization_id, fixed, before.fixed_charges)
        try:
            entries = fixed_charges.merge(
                before.fixed_charges, fixed, add_ons, currency=assets.currency, now=now
            )
            merged = structs.replace(merged, fixed_charges=entries)
        except Invalid as error:
            problems |= error.details
            messages.append(error.message)
    if problems:
        raise Invalid(problems, "; ".join(filter(None, messages)))
    return merged


async def find_metrics(
    connection: Connection,
    organization_id: UUID,
    wanted: Sequence[ChargeChanges],
    existing: Sequence[PlanCharge],
) -> list[PricedMetric]:
    """The metrics that these charges name, and those that the plan prices already."""
    ids = {change.billable_metric_id for change in wanted if change.billable_metric_id}
    ids |= {charge.billable_metric_id for charge in existing}
    codes = {change.billable_metric_code for change in wanted if change.billable_metric_code}
    rows = _queries.find_metrics(
        connection, organization_id=organization_id, ids=list(ids), codes=list(codes)
    )
    return [PricedMetric.of(row) async for row in rows]


async def find_add_ons(
    connection: Connection,
    organization_id: UUID,
    wanted: Sequence[FixedChargeChanges],
    existing: Sequence[PlanFixedCharge],
) -> list[PricedAddOn]:
    """The add-ons that these fixed charges name, and those that the plan has, deleted or not."""
    ids = {change.add_on_id for change in wanted if change.add_on_id}
    codes = {change.add_on_code for change in wanted if change.add_on_code}
    rows = _queries.find_add_ons(
        connection,
        organization_id=organization_id,
        ids=list(ids),
        codes=list(codes),
        known=[charge.add_on_id for charge in existing],
    )
    return [PricedAddOn.of(row) async for row in rows]
