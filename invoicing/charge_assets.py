"""What charges are counted in: money, native units, and the choice between several. Pure.

A charge is in one asset, and may have alternatives: the same usage, priced in another asset, for
customers who cannot pay in the first. A charge in money may be worked out in a native unit that is
worth a fixed amount of that money (Lago's applied pricing unit).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing.charge_filters import (
    Declared,
    FilterChanges,
    PlanChargeFilter,
    merge_filters,
)
from invoicing.charge_properties import check_model, needs_settings, read_properties
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid
from ledger.ids import new_uuid
from rating.charges import Conversion
from rating.errors import InvalidModel
from rating.quantities import price

ALTERNATIVES_MAX: Final = 5
_ASSET_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,31}", re.ASCII)


class PlanAssets(Struct, frozen=True, kw_only=True):
    """What a plan's charges may be in: currencies, and the native units that there are."""

    currency: str
    """The plan's own."""
    units: Mapping[str, int] = {}
    """The native units that charges name, and how many decimals each has."""

    def check(self, code: str) -> None:
        """Raise Invalid unless a charge can be in this asset."""
        if not _ASSET_CODE.fullmatch(code):
            raise Invalid.field("asset_code", "value_is_invalid")
        if code not in CURRENCIES and code not in self.units:
            raise Invalid.field("asset_code", "asset_not_found")


class AppliedPricingUnit(Struct, frozen=True, kw_only=True):
    """The native unit that a charge is worked out in, and what one is worth in its asset."""

    code: str
    conversion_rate: Decimal
    scale: int

    def for_rating(self) -> Conversion:
        """The same, as `rating` takes it."""
        return Conversion(code=self.code, scale=self.scale, rate=self.conversion_rate)


class AppliedPricingUnitChanges(Struct, kw_only=True):
    """A pricing unit as a caller gives it."""

    code: str | None = None
    conversion_rate: Any = None


class PlanChargeAlternative(Struct, frozen=True, kw_only=True):
    """The price of a charge in another asset. Keeps its id as long as it is in that asset."""

    id: UUID
    asset_code: str
    charge_model: str
    properties: dict[str, Any]
    filters: list[PlanChargeFilter] = []
    created_at: datetime


class AlternativeChanges(Struct, kw_only=True):
    """An alternative as a caller gives it. In a list, they are replaced as a whole."""

    asset_code: str | None = None
    charge_model: str | None = None
    properties: dict[str, Any] | UnsetType = UNSET
    filters: list[FilterChanges] | UnsetType = UNSET


class MergedAlternatives(Struct, frozen=True):
    """Alternatives as they will be stored."""

    alternatives: list[PlanChargeAlternative]
    group_keys: dict[str, list[str]]
    """The pricing group keys that they named, by the field where they stood."""


def read_pricing_unit(changes: AppliedPricingUnitChanges, assets: PlanAssets) -> AppliedPricingUnit:
    """A pricing unit as it will be stored; raises Invalid."""
    if not changes.code:
        raise Invalid.field("applied_pricing_unit.code", "value_is_mandatory")
    scale = assets.units.get(changes.code)
    if scale is None:
        raise Invalid.field("applied_pricing_unit.code", "asset_not_found")
    name = "applied_pricing_unit.conversion_rate"
    if changes.conversion_rate is None:
        raise Invalid.field(name, "value_is_mandatory")
    try:
        rate = price(changes.conversion_rate, field=name, reason="value_is_invalid")
    except InvalidModel as error:
        raise Invalid.field(name, error.reason) from None
    if not rate:
        raise Invalid.field(name, "value_is_out_of_range")
    return AppliedPricingUnit(code=changes.code, conversion_rate=rate, scale=scale)


def merge_alternatives(
    existing: Sequence[PlanChargeAlternative],
    wanted: Sequence[AlternativeChanges],
    *,
    charge_model: str,
    declared: Declared,
    assets: PlanAssets,
    now: datetime,
) -> MergedAlternatives:
    """The alternatives that replace the existing ones, in order of choice; raises Invalid.

    One that names no charge model has that of the charge.
    """
    if len(wanted) > ALTERNATIVES_MAX:
        raise Invalid.field("alternatives", "invalid_count")
    by_asset = {entry.asset_code: entry for entry in existing}
    merged: list[PlanChargeAlternative] = []
    group_keys: dict[str, list[str]] = {}
    for position, changes in enumerate(wanted):
        prefix = f"alternatives.{position}"
        try:
            entry, keys = _merge_one(
                by_asset.get(changes.asset_code or ""),
                changes,
                charge_model=changes.charge_model or charge_model,
                declared=declared,
                assets=assets,
                now=now,
            )
        except Invalid as error:
            raise error.under(prefix) from None
        merged.append(entry)
        group_keys |= {f"{prefix}.{field}": named for field, named in keys.items()}
    return MergedAlternatives(merged, group_keys)


def _merge_one(
    before: PlanChargeAlternative | None,
    changes: AlternativeChanges,
    *,
    charge_model: str,
    declared: Declared,
    assets: PlanAssets,
    now: datetime,
) -> tuple[PlanChargeAlternative, dict[str, list[str]]]:
    if not changes.asset_code:
        raise Invalid.field("asset_code", "value_is_mandatory")
    assets.check(changes.asset_code)
    check_model(charge_model)
    group_keys: dict[str, list[str]] = {}
    properties: dict[str, Any] = {}
    if not isinstance(changes.properties, UnsetType):
        given = read_properties(charge_model, changes.properties)
        properties = given.settings
        if given.pricing_group_keys is not None:
            group_keys["properties.pricing_group_keys"] = given.pricing_group_keys
    filters = merge_filters(
        [structs.replace(entry, properties={}) for entry in before.filters] if before else [],
        [] if isinstance(changes.filters, UnsetType) else changes.filters,
        charge_model=charge_model,
        declared=declared,
        now=now,
    )
    if not properties and not filters.filters and needs_settings(charge_model):
        raise Invalid.field("properties", "value_is_mandatory")
    entry = PlanChargeAlternative(
        id=before.id if before else new_uuid(now),
        asset_code=changes.asset_code,
        charge_model=charge_model,
        properties=properties,
        filters=filters.filters,
        created_at=before.created_at if before else now,
    )
    return entry, group_keys | filters.group_keys
