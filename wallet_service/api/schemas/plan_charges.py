"""The charges of plans, and their filters, on the wire."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Protocol
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from msgspec import Meta as Limits

from invoicing.charge_assets import (
    AlternativeChanges,
    AppliedPricingUnit,
    AppliedPricingUnitChanges,
    PlanChargeAlternative,
)
from invoicing.charge_changes import ChargeChanges
from invoicing.charge_filters import FILTERS_MAX, FilterChanges, PlanChargeFilter
from invoicing.charges import PlanCharge
from invoicing.pages import Page, Window
from wallet_service.api.errors import field_error
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    Given,
    Name,
    ShortList,
    Word,
    changes,
    iso_seconds,
)
from wallet_service.api.schemas.taxes import ShownTaxes, TaxBody
from wallet_service.texts import read_time

Properties = Annotated[dict[str, Any], Limits(max_length=50)]
Time = Annotated[
    str, Limits(max_length=64, description="ISO 8601. From when on the change is in force.")
]


def read_effective_at(text: str | UnsetType | None) -> datetime | None:
    """When a change is to take effect; None: at once. Raises a field error."""
    return read_time(text, field="effective_at") if isinstance(text, str) else None


class ChargeFilterInput(Struct):
    """A price of its own for some values. `effective_at` is ours, for one filter by itself."""

    values: Given[
        Annotated[
            dict[str, Annotated[list[Name], Limits(max_length=20_000)]], Limits(max_length=20)
        ]
    ] = UNSET
    properties: Given[Properties] = UNSET
    invoice_display_name: Given[Name] = UNSET
    effective_at: Given[Time] = UNSET

    def changes(self) -> FilterChanges:
        """The same for the domain."""
        return changes(self, FilterChanges)


Filters = Annotated[list[ChargeFilterInput], Limits(max_length=FILTERS_MAX)]


class PricingUnitInput(Struct):
    """The native unit that a charge is worked out in, and what one is worth."""

    code: Given[Word] = UNSET
    conversion_rate: Given[Decimal] = UNSET


class AlternativeInput(Struct):
    """The price of a charge in another asset, for who cannot pay in the first."""

    asset_code: Given[Word] = UNSET
    charge_model: Given[Word] = UNSET
    properties: Given[Properties] = UNSET
    filters: Given[Filters] = UNSET

    def changes(self) -> AlternativeChanges:
        """The same for the domain."""
        return changes(self, AlternativeChanges, filters=_filters(self.filters))


class ChargeInput(Struct):
    """What a caller says of a charge. An `id` or a `code` that the plan has means that charge.

    `asset_code`, `alternatives` and `effective_at` (of one charge by itself) are ours.
    """

    id: Given[UUID] = UNSET
    billable_metric_id: Given[UUID] = UNSET
    billable_metric_code: Given[Code] = UNSET
    code: Given[Code] = UNSET
    charge_model: Given[Word] = UNSET
    properties: Given[Properties] = UNSET
    filters: Given[Filters] = UNSET
    asset_code: Given[Word] = UNSET
    alternatives: Given[Annotated[list[AlternativeInput], Limits(max_length=100)]] = UNSET
    applied_pricing_unit: Given[PricingUnitInput] = UNSET
    pay_in_advance: Given[bool] = UNSET
    invoiceable: Given[bool] = UNSET
    prorated: Given[bool] = UNSET
    regroup_paid_fees: Given[Word] = UNSET
    invoice_display_name: Given[Name] = UNSET
    min_amount_cents: Given[Cents] = UNSET
    accepts_target_wallet: Given[bool] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET
    effective_at: Given[Time] = UNSET

    def changes(self) -> ChargeChanges:
        """The same for the domain."""
        unit = self.applied_pricing_unit
        alternatives = self.alternatives
        return changes(
            self,
            ChargeChanges,
            filters=_filters(self.filters),
            applied_pricing_unit=changes(unit, AppliedPricingUnitChanges)
            if isinstance(unit, PricingUnitInput)
            else unit,
            alternatives=[entry.changes() for entry in alternatives]
            if isinstance(alternatives, list)
            else alternatives,
        )


class ChargeRequest(Struct):
    """The envelope of a charge to create or change."""

    charge: ChargeInput


class ChargeFilterRequest(Struct):
    """The envelope of a filter to create or change."""

    filter: ChargeFilterInput


class ChargeFilterBody(Struct, kw_only=True):
    """A price of its own for some values."""

    lago_id: str
    invoice_display_name: str | None
    properties: dict[str, Any]
    values: dict[str, list[str]]
    created_at: str

    @classmethod
    def of(cls, entry: PlanChargeFilter) -> "ChargeFilterBody":
        """Show a filter."""
        return cls(
            lago_id=str(entry.id),
            invoice_display_name=entry.invoice_display_name,
            properties=entry.properties,
            values=entry.values,
            created_at=iso_seconds(entry.created_at),
        )


class PricingUnitBody(Struct, kw_only=True):
    """The native unit that a charge is worked out in, and what one is worth."""

    code: str
    conversion_rate: str

    @classmethod
    def of(cls, unit: AppliedPricingUnit) -> "PricingUnitBody":
        """Show a pricing unit."""
        return cls(code=unit.code, conversion_rate=format(unit.conversion_rate, "f"))


class AlternativeBody(Struct, kw_only=True):
    """The price of a charge in another asset."""

    lago_id: str
    asset_code: str
    charge_model: str
    properties: dict[str, Any]
    filters: list[ChargeFilterBody]

    @classmethod
    def of(cls, entry: PlanChargeAlternative) -> "AlternativeBody":
        """Show an alternative."""
        return cls(
            lago_id=str(entry.id),
            asset_code=entry.asset_code,
            charge_model=entry.charge_model,
            properties=entry.properties,
            filters=[ChargeFilterBody.of(each) for each in entry.filters],
        )


class ChargeBody(Struct, kw_only=True):
    """A charge. `asset_code`, what it is charged in, and `alternatives` are ours."""

    lago_id: str
    lago_billable_metric_id: str
    billable_metric_code: str
    code: str
    charge_model: str
    asset_code: str
    alternatives: list[AlternativeBody]
    applied_pricing_unit: PricingUnitBody | None
    pay_in_advance: bool
    invoiceable: bool
    prorated: bool
    regroup_paid_fees: str | None
    invoice_display_name: str | None
    min_amount_cents: int
    accepts_target_wallet: bool
    properties: dict[str, Any]
    filters: list[ChargeFilterBody]
    taxes: list[TaxBody]
    created_at: str

    @classmethod
    def of(cls, charge: PlanCharge, taxes: ShownTaxes) -> "ChargeBody":
        """Show a charge; `taxes` has those that it names."""
        unit = charge.applied_pricing_unit
        return cls(
            lago_id=str(charge.id),
            lago_billable_metric_id=str(charge.billable_metric_id),
            billable_metric_code=charge.billable_metric_code,
            code=charge.code,
            charge_model=charge.charge_model,
            asset_code=charge.asset_code,
            alternatives=[AlternativeBody.of(entry) for entry in charge.alternatives],
            applied_pricing_unit=PricingUnitBody.of(unit) if unit else None,
            pay_in_advance=charge.pay_in_advance,
            invoiceable=charge.invoiceable,
            prorated=charge.prorated,
            regroup_paid_fees=charge.regroup_paid_fees,
            invoice_display_name=charge.invoice_display_name,
            min_amount_cents=charge.min_amount_cents,
            accepts_target_wallet=charge.accepts_target_wallet,
            properties=_properties(charge),
            filters=[ChargeFilterBody.of(entry) for entry in charge.filters],
            taxes=taxes.of(charge.tax_codes),
            created_at=iso_seconds(charge.created_at),
        )


class ChargeReply(Struct):
    """The envelope of a charge."""

    charge: ChargeBody


class ChargesReply(Struct):
    """A page of charges."""

    charges: list[ChargeBody]
    meta: Meta

    @classmethod
    def of(cls, page: Page[PlanCharge], window: Window, taxes: ShownTaxes) -> "ChargesReply":
        """Show a page of charges."""
        return cls([ChargeBody.of(item, taxes) for item in page.items], meta(page, window))


class ChargeFilterReply(Struct):
    """The envelope of a filter."""

    filter: ChargeFilterBody


class ChargeFiltersReply(Struct):
    """A page of filters."""

    filters: list[ChargeFilterBody]
    meta: Meta

    @classmethod
    def of(cls, page: Page[PlanChargeFilter], window: Window) -> "ChargeFiltersReply":
        """Show a page of filters."""
        return cls([ChargeFilterBody.of(item) for item in page.items], meta(page, window))


class _Timed(Protocol):
    effective_at: str | UnsetType | None


def refuse_times_of_parts(field: str, parts: Sequence[_Timed]) -> None:
    """A plan's version is in force as a whole: no charge in it has a time of its own."""
    for position, part in enumerate(parts):
        if isinstance(part.effective_at, str):
            name = f"{field}.{position}.effective_at"
            raise field_error(name, "value_is_invalid", "give it for the plan as a whole")


def _filters(given: list[ChargeFilterInput] | UnsetType | None) -> object:
    return [entry.changes() for entry in given] if isinstance(given, list) else given


def _properties(charge: PlanCharge) -> dict[str, Any]:
    """The settings of the model, and the keys that usage is grouped by, as Lago shows both."""
    shown = dict(charge.properties)
    if charge.pricing_group_keys:
        shown["pricing_group_keys"] = charge.pricing_group_keys
    if charge.presentation_group_keys:
        shown["presentation_group_keys"] = [
            {"value": key.value, "options": {"display_in_invoice": key.display_in_invoice}}
            for key in charge.presentation_group_keys
        ]
    return shown
