"""The charges of a plan: which metric they price, and how. Pure; `plans` stores them.

A charge keeps its id and code for as long as the plan has it, whatever else of it changes: running
totals and invoices are kept by that id.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from invoicing.errors import Invalid
from invoicing.records import Record, apply
from ledger.ids import new_uuid
from rating.charge_models import ChargeModel, read_model
from rating.charges import Charge, ChargeFilter
from rating.errors import InvalidModel
from rating.filters import ALL_VALUES

CHARGE_MODELS: Final = frozenset({"standard", "package", "percentage"})
LATER_CHARGE_MODELS: Final = frozenset(
    {"graduated", "graduated_percentage", "volume", "dynamic", "custom"}
)
_DECIMAL: Final = "decimal"
_INTEGER: Final = "integer"
_PROPERTIES: Final[Mapping[str, Mapping[str, str]]] = {
    "standard": {"amount": _DECIMAL},
    "package": {"amount": _DECIMAL, "package_size": _INTEGER, "free_units": _INTEGER},
    "percentage": {
        "rate": _DECIMAL,
        "fixed_amount": _DECIMAL,
        "free_units_per_events": _INTEGER,
        "free_units_per_total_aggregation": _DECIMAL,
        "per_transaction_min_amount": _DECIMAL,
        "per_transaction_max_amount": _DECIMAL,
    },
}
_LATER_PROPERTIES: Final = ("pricing_group_keys", "grouped_by", "presentation_group_keys")

CHARGES_MAX: Final = 500
FILTERS_MAX: Final = 20_000
_COMBINATIONS_MAX: Final = 100_000
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_ASSET_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,31}")


class PricedMetric(Record, frozen=True, kw_only=True):
    """What a charge takes over from its metric, so that a plan version is whole by itself."""

    json_columns: ClassVar[tuple[str, ...]] = ("filters",)

    id: UUID
    code: str
    aggregation_type: str
    field_name: str | None = None
    recurring: bool = False
    rounding_function: str | None = None
    rounding_precision: int | None = None
    expression: str | None = None
    filters: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class PlanChargeFilter(Struct, frozen=True, kw_only=True):
    """A price of its own for events with these values."""

    id: UUID
    values: dict[str, list[str]]
    properties: dict[str, Any]
    invoice_display_name: str | None = None
    created_at: datetime


class PlanCharge(Struct, frozen=True, kw_only=True):
    """A charge as a plan version stores it. No `properties`: no price but that of the filters."""

    id: UUID
    code: str
    billable_metric_id: UUID
    billable_metric_code: str
    aggregation_type: str
    field_name: str | None
    recurring: bool = False
    rounding_function: str | None = None
    rounding_precision: int | None = None
    expression: str | None = None
    metric_filters: dict[str, list[str]]
    charge_model: str
    properties: dict[str, Any]
    filters: list[PlanChargeFilter] = []
    asset_code: str
    pay_in_advance: bool = False
    invoiceable: bool = True
    prorated: bool = False
    regroup_paid_fees: str | None = None
    invoice_display_name: str | None = None
    min_amount_cents: int = 0
    accepts_target_wallet: bool = False
    created_at: datetime

    def for_rating(self) -> Charge:
        """The same, as `rating` compiles it."""
        return Charge(
            id=self.id,
            code=self.code,
            billable_metric_code=self.billable_metric_code,
            aggregation=self.aggregation_type,  # pyright: ignore[reportArgumentType] (checked by billable_metrics)
            field_name=self.field_name,
            recurring=self.recurring,
            rounding_function=self.rounding_function,
            rounding_precision=self.rounding_precision or 0,
            expression=self.expression,
            model=_model(self.charge_model, self.properties),
            filters=tuple(
                ChargeFilter(
                    id=entry.id,
                    values={key: tuple(values) for key, values in entry.values.items()},
                    model=read_model(self.charge_model, entry.properties),
                )
                for entry in self.filters
            ),
            metric_filters={key: tuple(values) for key, values in self.metric_filters.items()},
            asset_code=self.asset_code,
            pay_in_advance=self.pay_in_advance,
            invoiceable=self.invoiceable,
        )


class FilterChanges(Struct, kw_only=True):
    """A filter as a caller gives it. Filters are replaced as a whole."""

    values: dict[str, list[str]] | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET


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
    pay_in_advance: bool | UnsetType = UNSET
    invoiceable: bool | UnsetType = UNSET
    prorated: bool | UnsetType = UNSET
    regroup_paid_fees: str | UnsetType | None = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    min_amount_cents: int | UnsetType = UNSET
    accepts_target_wallet: bool | UnsetType = UNSET
    applied_pricing_unit: Any = None
    tax_codes: list[str] | None = None


def merge(
    existing: Sequence[PlanCharge],
    wanted: Sequence[ChargeChanges],
    metrics: Sequence[PricedMetric],
    *,
    asset_code: str,
    now: datetime,
) -> list[PlanCharge]:
    """The charges of the next version: those of `wanted`, in its order; raises Invalid.

    What `wanted` does not name is gone. `metrics` are those that it names. Charges that say no
    asset are in `asset_code`, the plan's currency.
    """
    if len(wanted) > CHARGES_MAX:
        raise Invalid.field("charges", "invalid_count")
    problems: dict[str, list[str]] = {}
    messages: list[str] = []
    merged: list[PlanCharge] = []
    for position, changes in enumerate(wanted):
        try:
            charge = merge_one(
                existing, changes, metrics, taken=merged, asset_code=asset_code, now=now
            )
        except Invalid as error:
            problems |= {
                f"charges.{position}.{field}": codes for field, codes in error.details.items()
            }
            messages += [error.message] if error.message else []
        else:
            merged.append(charge)
    if problems:
        raise Invalid(problems, "; ".join(dict.fromkeys(messages)))
    return merged


def merge_one(
    existing: Sequence[PlanCharge],
    changes: ChargeChanges,
    metrics: Sequence[PricedMetric],
    *,
    taken: Sequence[PlanCharge],
    asset_code: str,
    now: datetime,
) -> PlanCharge:
    """One charge after the changes; raises Invalid. `taken` are the others of the version."""
    before = _named(existing, changes)
    metric = _metric(changes, before, metrics)
    _refuse_what_is_missing(changes)
    code = changes.code or (before.code if before else _free_code(metric.code, existing, taken))
    if any(other.code == code or (before and other.id == before.id) for other in taken):
        raise Invalid.field("code", "value_already_exist")
    charge_model = changes.charge_model or (before.charge_model if before else "")
    if charge_model not in CHARGE_MODELS:
        message = ""
        if charge_model in LATER_CHARGE_MODELS:
            message = f"{charge_model} is not available yet; standard, package and percentage are"
        known = "value_is_invalid" if charge_model else "value_is_mandatory"
        raise Invalid.field("charge_model", known, message)
    keeps_model = before is not None and before.charge_model == charge_model
    filters = (
        [
            _filter(entry, charge_model, metric, before, now=now)
            for entry in _positioned(changes.filters)
        ]
        if changes.filters is not UNSET
        else (before.filters if before and keeps_model else [])
    )
    _check_filters(filters)
    properties = (
        _read_properties(charge_model, changes.properties)
        if changes.properties is not UNSET
        else (before.properties if before and keeps_model else {})
    )
    if not properties and not filters:
        raise Invalid.field("properties", "value_is_mandatory")
    blank = before or PlanCharge(
        id=new_uuid(now),
        code=code,
        billable_metric_id=metric.id,
        billable_metric_code=metric.code,
        aggregation_type=metric.aggregation_type,
        field_name=metric.field_name,
        metric_filters={},
        charge_model=charge_model,
        properties={},
        asset_code=asset_code,
        created_at=now,
    )
    charge = with_metric(
        apply(
            _Settled(code=code, charge_model=charge_model, properties=properties, filters=filters),
            apply(_settings(changes), blank),
        ),
        metric,
    )
    _check(charge)
    return charge


def with_metric(charge: PlanCharge, metric: PricedMetric) -> PlanCharge:
    """The charge as it is after a change of its metric."""
    return apply(
        _OfMetric(
            billable_metric_id=metric.id,
            billable_metric_code=metric.code,
            aggregation_type=metric.aggregation_type,
            field_name=metric.field_name,
            recurring=metric.recurring,
            rounding_function=metric.rounding_function,
            rounding_precision=metric.rounding_precision,
            expression=metric.expression,
            metric_filters={entry["key"]: entry["values"] for entry in metric.filters},
        ),
        charge,
    )


class _OfMetric(Struct, kw_only=True):
    billable_metric_id: UUID
    billable_metric_code: str
    aggregation_type: str
    field_name: str | None
    recurring: bool
    rounding_function: str | None
    rounding_precision: int | None
    expression: str | None
    metric_filters: dict[str, list[str]]


class _Settled(Struct, kw_only=True):
    code: str
    charge_model: str
    properties: dict[str, Any]
    filters: list[PlanChargeFilter]


class _Settings(Struct, kw_only=True):
    asset_code: str | UnsetType
    pay_in_advance: bool | UnsetType
    invoiceable: bool | UnsetType
    regroup_paid_fees: str | UnsetType | None
    invoice_display_name: str | UnsetType | None
    min_amount_cents: int | UnsetType


def _settings(changes: ChargeChanges) -> _Settings:
    """The fields that are taken over as they are."""
    return _Settings(**{name: getattr(changes, name) for name in _Settings.__struct_fields__})


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


def _refuse_what_is_missing(changes: ChargeChanges) -> None:
    """Say no to what would change a price and is not there yet: else we would charge too much."""
    asked = {
        "prorated": changes.prorated is True,
        "accepts_target_wallet": changes.accepts_target_wallet is True,
        "applied_pricing_unit": bool(changes.applied_pricing_unit),
        "tax_codes": bool(changes.tax_codes),
    }
    problems = {field: ["value_is_invalid"] for field, is_asked in asked.items() if is_asked}
    if problems:
        raise Invalid(problems, f"{', '.join(problems)}: not available yet")


def _free_code(wanted: str, existing: Sequence[PlanCharge], taken: Sequence[PlanCharge]) -> str:
    """The metric's code, with a number behind if the plan prices the metric more than once."""
    codes = {charge.code for charge in (*existing, *taken)}
    number = 2
    code = wanted
    while code in codes:
        code = f"{wanted}_{number}"
        number += 1
    return code


def _positioned(filters: Sequence[FilterChanges] | UnsetType) -> list[tuple[int, FilterChanges]]:
    if filters is UNSET:
        return []
    assert not isinstance(filters, UnsetType)
    if len(filters) > FILTERS_MAX:
        raise Invalid.field("filters", "invalid_count")
    return list(enumerate(filters))


def _filter(
    given: tuple[int, FilterChanges],
    charge_model: str,
    metric: PricedMetric,
    before: PlanCharge | None,
    *,
    now: datetime,
) -> PlanChargeFilter:
    """A filter as it will be stored; one with the same values as before keeps its id."""
    position, changes = given
    values = {} if isinstance(changes.values, UnsetType) else changes.values
    declared = {entry["key"]: entry["values"] for entry in metric.filters}
    if not values or not all(
        chosen
        and len(set(chosen)) == len(chosen)
        and (chosen == [ALL_VALUES] or set(chosen) <= set(declared.get(key, ())))
        and key in declared
        for key, chosen in values.items()
    ):
        raise Invalid.field(f"filters.{position}.values", "value_is_invalid")
    try:
        properties = _read_properties(
            charge_model, {} if isinstance(changes.properties, UnsetType) else changes.properties
        )
    except Invalid as error:
        raise Invalid(
            {f"filters.{position}.{field}": codes for field, codes in error.details.items()},
            error.message,
        ) from None
    if not properties:
        raise Invalid.field(f"filters.{position}.properties", "value_is_mandatory")
    same = next((old for old in before.filters if old.values == values), None) if before else None
    name = changes.invoice_display_name
    return PlanChargeFilter(
        id=same.id if same else new_uuid(now),
        values=values,
        properties=properties,
        invoice_display_name=(same.invoice_display_name if same else None)
        if isinstance(name, UnsetType)
        else name,
        created_at=same.created_at if same else now,
    )


def _check_filters(filters: Sequence[PlanChargeFilter]) -> None:
    """Refuse what would never be found, and what would take too much memory to find quickly."""
    seen: set[tuple[tuple[str, frozenset[str]], ...]] = set()
    combinations = 0
    for position, entry in enumerate(filters):
        values = tuple(sorted((key, frozenset(chosen)) for key, chosen in entry.values.items()))
        if values in seen:
            raise Invalid.field(f"filters.{position}.values", "value_is_duplicated")
        seen.add(values)
        combinations += math.prod(len(chosen) for chosen in entry.values.values())
    if combinations > _COMBINATIONS_MAX:
        raise Invalid.field("filters", "invalid_count")


def _read_properties(charge_model: str, given: Mapping[str, Any] | UnsetType) -> dict[str, Any]:
    """The model's own settings, in the form they are stored and shown in; raises Invalid."""
    assert not isinstance(given, UnsetType)
    later = [name for name in _LATER_PROPERTIES if given.get(name)]
    if later:
        raise Invalid(
            {f"properties.{name}": ["value_is_invalid"] for name in later},
            f"{', '.join(later)}: not available yet",
        )
    known = _PROPERTIES[charge_model]
    properties = {
        name: _decimal(given[name]) if kind is _DECIMAL else _integer(given[name])
        for name, kind in known.items()
        if given.get(name) is not None
    }
    if not properties:
        return {}
    try:
        read_model(charge_model, properties)
    except InvalidModel as error:
        raise Invalid.field(f"properties.{error.field}", error.reason) from None
    return properties


def _decimal(value: Any) -> Any:
    """A price as Lago shows it, a string; anything that is none is left for the model to refuse."""
    if type(value) is int:
        return str(value) if abs(value) < 10**18 else value
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 40:  # noqa: PLR2004
        return format(value, "f")
    return value


def _integer(value: Any) -> Any:
    """A whole number, also from a string; anything else is left for the model to refuse."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 18:  # noqa: PLR2004
        return int(value) if value == value.to_integral_value() else value
    return value


def _model(charge_model: str, properties: Mapping[str, Any]) -> ChargeModel | None:
    return read_model(charge_model, properties) if properties else None


def _check(charge: PlanCharge) -> None:
    problems: dict[str, list[str]] = {}
    if not charge.code.strip():
        problems["code"] = ["value_is_mandatory"]
    if not _ASSET_CODE.fullmatch(charge.asset_code):
        problems["asset_code"] = ["value_is_invalid"]
    if charge.min_amount_cents < 0:
        problems["min_amount_cents"] = ["value_is_out_of_range"]
    if charge.regroup_paid_fees not in {None, "invoice"}:
        problems["regroup_paid_fees"] = ["value_is_invalid"]
    if problems:
        raise Invalid(problems)
