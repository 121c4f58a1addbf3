"""The charges of a plan: which metric they price, and how. Pure; `plan_versions` stores them.

A charge keeps its id and code for as long as the plan has it, whatever else of it changes: running
totals and invoices are kept by that id.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from msgspec import Struct, field, structs

from invoicing.charge_assets import AppliedPricingUnit, PlanChargeAlternative
from invoicing.charge_filters import PlanChargeFilter
from invoicing.charge_properties import PresentationKey, model_of
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid
from invoicing.records import Record
from rating.charges import Charge
from rating.exact import ZERO


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

    def declared(self) -> dict[str, list[str]]:
        """The values that filters may choose, by key."""
        return {entry["key"]: entry["values"] for entry in self.filters}


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
    pricing_group_keys: list[str] = []
    presentation_group_keys: list[PresentationKey] = []
    asset_code: str
    alternatives: list[PlanChargeAlternative] = []
    applied_pricing_unit: AppliedPricingUnit | None = None
    pay_in_advance: bool = False
    invoiceable: bool = True
    prorated: bool = False
    regroup_paid_fees: str | None = None
    invoice_display_name: str | None = None
    min_amount_cents: int = 0
    accepts_target_wallet: bool = False
    tax_codes: list[str] = []
    created_at: datetime

    def for_rating(self) -> Charge:
        """The same, as `rating` compiles it."""
        exponent = CURRENCIES.get(self.asset_code, 0)
        unit = self.applied_pricing_unit
        return structs.replace(
            self._priced(self),
            alternatives=tuple(self._priced(entry) for entry in self.alternatives),
            conversion=unit.for_rating() if unit else None,
            min_amount=Decimal(self.min_amount_cents).scaleb(-exponent)
            if self.min_amount_cents
            else ZERO,
        )

    def _priced(self, price: "PlanCharge | PlanChargeAlternative") -> Charge:
        """The charge at one of its prices: its own, or that of an alternative."""
        return Charge(
            id=price.id,
            code=self.code,
            billable_metric_code=self.billable_metric_code,
            aggregation=self.aggregation_type,  # pyright: ignore[reportArgumentType] (checked by billable_metrics)
            field_name=self.field_name,
            recurring=self.recurring,
            rounding_function=self.rounding_function,
            rounding_precision=self.rounding_precision or 0,
            expression=self.expression,
            model=model_of(price.charge_model, price.properties),
            filters=tuple(entry.for_rating(price.charge_model) for entry in price.filters),
            metric_filters={key: tuple(values) for key, values in self.metric_filters.items()},
            asset_code=price.asset_code,
            prorated=self.prorated,
            pricing_group_keys=tuple(self.pricing_group_keys),
            presentation_group_keys=tuple(key.value for key in self.presentation_group_keys),
            accepts_target_wallet=self.accepts_target_wallet,
            pay_in_advance=self.pay_in_advance,
            invoiceable=self.invoiceable,
        )


def with_metric(charge: PlanCharge, metric: PricedMetric) -> PlanCharge:
    """The charge as it is after a change of its metric."""
    return structs.replace(
        charge,
        billable_metric_id=metric.id,
        billable_metric_code=metric.code,
        aggregation_type=metric.aggregation_type,
        field_name=metric.field_name,
        recurring=metric.recurring,
        rounding_function=metric.rounding_function,
        rounding_precision=metric.rounding_precision,
        expression=metric.expression,
        metric_filters=metric.declared(),
    )


def check_assets(charges: Sequence[PlanCharge]) -> None:
    """Raise Invalid where charges of one metric are not in the same assets, in the same order.

    An event is paid from one balance, whatever number of charges it is priced by.
    """
    position = mixed_assets(charges)
    if position is not None:
        code = charges[position].billable_metric_code
        message = f"all charges of {code} are in the same assets, in the same order"
        raise Invalid.field("asset_code", "mixed_assets", message)


def mixed_assets(charges: Sequence[PlanCharge]) -> int | None:
    """The first charge whose assets are not those of the charges of its metric before it."""
    assets: dict[UUID, tuple[str, ...]] = {}
    for position, charge in enumerate(charges):
        own = (charge.asset_code, *(entry.asset_code for entry in charge.alternatives))
        if assets.setdefault(charge.billable_metric_id, own) != own:
            return position
    return None
