"""The fixed charges of plans on the wire."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from invoicing.fixed_charges import FixedChargeChanges, PlanFixedCharge
from invoicing.pages import Page, Window
from invoicing.plan_versions import AgreedUnits
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import (
    Code,
    Given,
    Name,
    ShortList,
    Word,
    changes,
    iso_seconds,
)
from wallet_service.api.schemas.plan_charges import Properties, Time
from wallet_service.api.schemas.taxes import ShownTaxes, TaxBody


class FixedChargeInput(Struct):
    """What a caller says of a fixed charge. An `id` or `code` that the plan has means that one.

    `effective_at` (of one fixed charge by itself) is ours.
    """

    id: Given[UUID] = UNSET
    add_on_id: Given[UUID] = UNSET
    add_on_code: Given[Code] = UNSET
    code: Given[Code] = UNSET
    charge_model: Given[Word] = UNSET
    properties: Given[Properties] = UNSET
    units: Given[Decimal] = UNSET
    pay_in_advance: Given[bool] = UNSET
    prorated: Given[bool] = UNSET
    invoice_display_name: Given[Name] = UNSET
    apply_units_immediately: Given[bool] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET
    effective_at: Given[Time] = UNSET

    def changes(self) -> FixedChargeChanges:
        """The same for the domain."""
        return changes(self, FixedChargeChanges)


class FixedChargeRequest(Struct):
    """The envelope of a fixed charge to create or change."""

    fixed_charge: FixedChargeInput


class AgreedUnitsBody(Struct, kw_only=True):
    """How many units were agreed, from when on, and whether for the period running then too."""

    units: str
    effective_at: str
    applies_immediately: bool

    @classmethod
    def of(cls, agreed: AgreedUnits) -> "AgreedUnitsBody":
        """Show an entry of the history."""
        return cls(
            units=format(agreed.units, "f"),
            effective_at=iso_seconds(agreed.effective_at),
            applies_immediately=agreed.applies_immediately,
        )


class FixedChargeBody(Struct, kw_only=True):
    """A fixed charge. `units_history`, the newest first, is ours: of one by itself."""

    lago_id: str
    lago_add_on_id: str
    invoice_display_name: str
    add_on_code: str
    code: str
    charge_model: str
    pay_in_advance: bool
    prorated: bool
    properties: dict[str, Any]
    units: str
    units_history: list[AgreedUnitsBody] | UnsetType = UNSET
    lago_parent_id: str | None
    taxes: list[TaxBody]
    created_at: str

    @classmethod
    def of(cls, charge: PlanFixedCharge, taxes: ShownTaxes) -> "FixedChargeBody":
        """Show a fixed charge; `taxes` has those that it names."""
        return cls(
            lago_id=str(charge.id),
            lago_add_on_id=str(charge.add_on_id),
            invoice_display_name=charge.invoice_display_name or charge.add_on_name,
            add_on_code=charge.add_on_code,
            code=charge.code,
            charge_model=charge.charge_model,
            pay_in_advance=charge.pay_in_advance,
            prorated=charge.prorated,
            properties=charge.properties,
            units=format(charge.units, "f"),
            lago_parent_id=None,
            taxes=taxes.of(charge.tax_codes),
            created_at=iso_seconds(charge.created_at),
        )


class FixedChargeReply(Struct):
    """The envelope of a fixed charge."""

    fixed_charge: FixedChargeBody


class FixedChargesReply(Struct):
    """A page of fixed charges."""

    fixed_charges: list[FixedChargeBody]
    meta: Meta

    @classmethod
    def of(
        cls, page: Page[PlanFixedCharge], window: Window, taxes: ShownTaxes
    ) -> "FixedChargesReply":
        """Show a page of fixed charges."""
        return cls([FixedChargeBody.of(item, taxes) for item in page.items], meta(page, window))
