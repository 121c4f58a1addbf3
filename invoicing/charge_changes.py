"""Changes of a plan's charges: what a caller asks for, and the charges that come of it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing.charge_assets import (
    AlternativeChanges,
    AppliedPricingUnitChanges,
    PlanAssets,
    merge_alternatives,
    read_pricing_unit,
)
from invoicing.charge_filters import FilterChanges, declared_values, merge_filters
from invoicing.charge_options import check_options
from invoicing.charge_properties import check_model, needs_settings, read_properties
from invoicing.charges import PlanCharge, PricedMetric, check_assets, mixed_assets, with_metric
from invoicing.codes import free_code
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid
from invoicing.records import apply
from ledger.ids import new_uuid

CHARGES_MAX: Final = 500


class ChargeChanges(Struct, kw_only=True):
    """A charge as a caller gives it: an `id` or `code` of the plan means that charge."""

    id: UUID | None = None
    billable_metric_id: UUID | None = None
    billable_metric_code: str | None = None
    code: str | None = None
    charge_model: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    filters: list[FilterChanges] | UnsetType = UNSET
    asset_code: str | UnsetType = UNSET
    alternatives: list[AlternativeChanges] | UnsetType = UNSET
    applied_pricing_unit: AppliedPricingUnitChanges | UnsetType | None = UNSET
    pay_in_advance: bool | UnsetType = UNSET
    invoiceable: bool | UnsetType = UNSET
    prorated: bool | UnsetType = UNSET
    regroup_paid_fees: str | UnsetType | None = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    min_amount_cents: int | UnsetType = UNSET
    accepts_target_wallet: bool | UnsetType = UNSET
    tax_codes: list[str] | UnsetType = UNSET


def named_units(wanted: Sequence[ChargeChanges]) -> set[str]:
    """The codes of assets that charges name, other than currencies."""
    codes: set[object] = set()
    for changes in wanted:
        codes.add(changes.asset_code)
        if isinstance(changes.applied_pricing_unit, AppliedPricingUnitChanges):
            codes.add(changes.applied_pricing_unit.code)
        if isinstance(changes.alternatives, list):
            codes |= {entry.asset_code for entry in changes.alternatives}
    return {code for code in codes if isinstance(code, str) and code not in CURRENCIES}


def merge(
    existing: Sequence[PlanCharge],
    wanted: Sequence[ChargeChanges],
    metrics: Sequence[PricedMetric],
    *,
    assets: PlanAssets,
    now: datetime,
) -> list[PlanCharge]:
    """The charges of the next version: those of `wanted`, in its order; raises Invalid.

    What `wanted` does not name is gone. `metrics` are those that it names. Charges that say no
    asset are in the plan's currency.
    """
    if len(wanted) > CHARGES_MAX:
        raise Invalid.field("charges", "invalid_count")
    problems: dict[str, list[str]] = {}
    messages: list[str] = []
    merged: list[PlanCharge] = []
    for position, changes in enumerate(wanted):
        try:
            charge = merge_one(existing, changes, metrics, taken=merged, assets=assets, now=now)
        except Invalid as error:
            error = error.under(f"charges.{position}")
            problems |= error.details
            messages += [error.message] if error.message else []
        else:
            merged.append(charge)
    if problems:
        raise Invalid(problems, "; ".join(dict.fromkeys(messages)))
    try:
        check_assets(merged)
    except Invalid as error:
        raise error.under(f"charges.{mixed_assets(merged)}") from None
    return merged


def merge_one(
    existing: Sequence[PlanCharge],
    changes: ChargeChanges,
    metrics: Sequence[PricedMetric],
    *,
    taken: Sequence[PlanCharge],
    assets: PlanAssets,
    now: datetime,
) -> PlanCharge:
    """One charge after the changes; raises Invalid. `taken` are the others of the version."""
    before = _named(existing, changes)
    metric = _metric(changes, before, metrics)
    codes = {charge.code for charge in (*existing, *taken)}
    code = changes.code or (before.code if before else free_code(metric.code, codes))
    if any(other.code == code or (before and other.id == before.id) for other in taken):
        raise Invalid.field("code", "value_already_exist")
    charge_model = changes.charge_model or (before.charge_model if before else "")
    check_model(charge_model)
    if before is None:
        before = PlanCharge(
            id=new_uuid(now),
            code=code,
            billable_metric_id=metric.id,
            billable_metric_code=metric.code,
            aggregation_type=metric.aggregation_type,
            field_name=metric.field_name,
            metric_filters={},
            charge_model=charge_model,
            properties={},
            asset_code=assets.currency,
            created_at=now,
        )
    elif before.charge_model != charge_model:  # prices of one model mean nothing to another
        filters = [structs.replace(entry, properties={}) for entry in before.filters]
        before = structs.replace(before, properties={}, filters=filters)
    charge = with_metric(apply(_Settings.of(changes, code, charge_model), before), metric)
    charge = _with_prices(charge, changes, assets=assets, now=now)
    check_options(charge)
    return _with_ids(charge, before, now=now)


class _Settings(Struct, kw_only=True):
    """The fields that are taken over as they are."""

    code: str
    charge_model: str
    asset_code: str | UnsetType
    pay_in_advance: bool | UnsetType
    invoiceable: bool | UnsetType
    prorated: bool | UnsetType
    regroup_paid_fees: str | UnsetType | None
    invoice_display_name: str | UnsetType | None
    min_amount_cents: int | UnsetType
    accepts_target_wallet: bool | UnsetType
    tax_codes: list[str] | UnsetType

    @classmethod
    def of(cls, changes: ChargeChanges, code: str, charge_model: str) -> "_Settings":
        given = {
            name: getattr(changes, name)
            for name in cls.__struct_fields__
            if name not in {"code", "charge_model"}
        }
        return cls(code=code, charge_model=charge_model, **given)


def _with_prices(
    charge: PlanCharge, changes: ChargeChanges, *, assets: PlanAssets, now: datetime
) -> PlanCharge:
    """The charge with the prices that the changes name; raises Invalid."""
    if not isinstance(changes.asset_code, UnsetType):
        assets.check(changes.asset_code)
    declared = declared_values(charge.metric_filters)
    new: dict[str, Any] = {}
    group_keys: dict[str, list[str]] = {}
    if not isinstance(changes.properties, UnsetType):
        given = read_properties(charge.charge_model, changes.properties)
        new["properties"] = given.settings
        new["presentation_group_keys"] = given.presentation_group_keys or []
        if given.pricing_group_keys is not None:
            group_keys["properties.pricing_group_keys"] = given.pricing_group_keys
    if not isinstance(changes.filters, UnsetType):
        filters = merge_filters(
            charge.filters,
            changes.filters,
            charge_model=charge.charge_model,
            declared=declared,
            now=now,
        )
        new["filters"] = filters.filters
        group_keys |= filters.group_keys
    elif needs_settings(charge.charge_model):  # where the model changed, prices are gone
        new["filters"] = [entry for entry in charge.filters if entry.properties]
    if not isinstance(changes.alternatives, UnsetType):
        alternatives = merge_alternatives(
            charge.alternatives,
            changes.alternatives,
            charge_model=charge.charge_model,
            declared=declared,
            assets=assets,
            now=now,
        )
        new["alternatives"] = alternatives.alternatives
        group_keys |= alternatives.group_keys
    keys_before = [] if "properties" in new else charge.pricing_group_keys
    new["pricing_group_keys"] = _one_grouping(group_keys, keys_before)
    if not isinstance(unit := changes.applied_pricing_unit, UnsetType):
        new["applied_pricing_unit"] = unit and read_pricing_unit(unit, assets)
    charge = structs.replace(charge, **new)
    if not charge.properties and not charge.filters and needs_settings(charge.charge_model):
        raise Invalid.field("properties", "value_is_mandatory")
    return charge


def _with_ids(charge: PlanCharge, before: PlanCharge, *, now: datetime) -> PlanCharge:
    """What is priced in an asset keeps its id, whether it is the charge or an alternative now.

    Usage is counted by that id, and what was counted by another metric, or charged in another
    asset, says nothing of it.
    """
    is_same_metric = charge.billable_metric_id == before.billable_metric_id
    if is_same_metric and charge.asset_code == before.asset_code:
        return charge
    prices = (before, *before.alternatives) if is_same_metric else ()
    ids = {entry.asset_code: entry.id for entry in prices}
    return structs.replace(
        charge,
        id=ids.get(charge.asset_code) or new_uuid(now),
        alternatives=[
            structs.replace(entry, id=ids.get(entry.asset_code) or new_uuid(now))
            for entry in charge.alternatives
        ],
    )


def _one_grouping(named: Mapping[str, list[str]], before: list[str]) -> list[str]:
    """The pricing group keys of a charge, which are those of all its prices; raises Invalid."""
    keys = before
    for position, (name, own) in enumerate(named.items()):
        if position and own != keys:
            raise Invalid.field(
                name, "value_is_invalid", "all prices of a charge are grouped by the same keys"
            )
        keys = own
    return keys


def _named(existing: Sequence[PlanCharge], changes: ChargeChanges) -> PlanCharge | None:
    """The charge that is meant. An unknown id is as good as none."""
    for charge in existing:
        if charge.id == changes.id:
            return charge
    if changes.id is None and changes.code is not None:
        return next((charge for charge in existing if charge.code == changes.code), None)
    return None


def _metric(
    changes: ChargeChanges, before: PlanCharge | None, metrics: Sequence[PricedMetric]
) -> PricedMetric:
    metric_id = changes.billable_metric_id
    metric_code = changes.billable_metric_code
    if metric_id is None and metric_code is None:
        if before is None:
            raise Invalid.field("billable_metric_id", "value_is_mandatory")
        metric_id = before.billable_metric_id
    for metric in metrics:
        if metric.id == metric_id or (metric_id is None and metric.code == metric_code):
            return metric
    field = "billable_metric_id" if metric_id is not None else "billable_metric_code"
    raise Invalid.field(field, "billable_metric_not_found")
