"""Plans and their charges on the wire."""

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field
from msgspec import Meta as Limits

from invoicing.charges import CHARGES_MAX, FILTERS_MAX, ChargeChanges, FilterChanges, PlanCharge
from invoicing.errors import Invalid
from invoicing.plans import Plan, PlanChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    Given,
    Name,
    ShortList,
    Text,
    Word,
    changes,
    iso_seconds,
)

Properties = Annotated[dict[str, Any], Limits(max_length=50)]


class ChargeFilterInput(Struct):
    """A price of its own for some values."""

    values: Given[
        Annotated[
            dict[str, Annotated[list[Name], Limits(max_length=20_000)]], Limits(max_length=20)
        ]
    ] = UNSET
    properties: Given[Properties] = UNSET
    invoice_display_name: Given[Name] = UNSET


class ChargeInput(Struct):
    """What a caller says of a charge. An `id` or a `code` that the plan has means that charge."""

    id: Given[UUID] = UNSET
    billable_metric_id: Given[UUID] = UNSET
    billable_metric_code: Given[Code] = UNSET
    code: Given[Code] = UNSET
    charge_model: Given[Word] = UNSET
    properties: Given[Properties] = UNSET
    filters: Given[Annotated[list[ChargeFilterInput], Limits(max_length=FILTERS_MAX)]] = UNSET
    asset_code: Given[Word] = UNSET
    pay_in_advance: Given[bool] = UNSET
    invoiceable: Given[bool] = UNSET
    prorated: Given[bool] = UNSET
    regroup_paid_fees: Given[Word] = UNSET
    invoice_display_name: Given[Name] = UNSET
    min_amount_cents: Given[Cents] = UNSET
    accepts_target_wallet: Given[bool] = UNSET
    applied_pricing_unit: Given[dict[str, Any]] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> ChargeChanges:
        """The same for the domain."""
        filters = (
            [changes(entry, FilterChanges) for entry in self.filters]
            if isinstance(self.filters, list)
            else self.filters
        )
        return changes(self, ChargeChanges, filters=filters)


class PlanInput(Struct):
    """What a caller says of a plan. `default` is ours: the plan of customers who agreed to none."""

    name: Given[Name] = UNSET
    code: Given[Code] = UNSET
    invoice_display_name: Given[Name] = UNSET
    description: Given[Text] = UNSET
    interval: Given[Word] = UNSET
    amount_cents: Given[Cents] = UNSET
    amount_currency: Given[Word] = UNSET
    trial_period: Given[Annotated[Decimal, Limits(description="Days.")]] = UNSET
    pay_in_advance: Given[bool] = UNSET
    bill_charges_monthly: Given[bool] = UNSET
    bill_fixed_charges_monthly: Given[bool] = UNSET
    is_default: Given[bool] = field(default=UNSET, name="default")
    metadata: Given[Annotated[dict[Word, Name | None], Limits(max_length=50)]] = UNSET
    charges: Given[Annotated[list[ChargeInput], Limits(max_length=CHARGES_MAX)]] = UNSET
    fixed_charges: Given[list[Any]] = UNSET
    usage_thresholds: Given[list[Any]] = UNSET
    minimum_commitment: Given[dict[str, Any]] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> PlanChanges:
        """The same for the domain; raises Invalid for what costs something and is not there yet."""
        later = [
            name
            for name in ("fixed_charges", "usage_thresholds", "minimum_commitment", "tax_codes")
            if getattr(self, name)
        ]
        if later:
            raise Invalid(
                {name: ["value_is_invalid"] for name in later},
                f"{', '.join(later)}: not available yet",
            )
        return changes(self, PlanChanges)

    def charge_changes(self) -> list[ChargeChanges] | UnsetType:
        """The charges to have from now on; UNSET leaves them as they are."""
        if not isinstance(self.charges, list):
            return UNSET
        return [charge.changes() for charge in self.charges]


class PlanRequest(Struct):
    """The envelope of a plan to create or change."""

    plan: PlanInput


class ChargeFilterBody(Struct, kw_only=True):
    """A price of its own for some values."""

    lago_id: str
    invoice_display_name: str | None
    properties: dict[str, Any]
    values: dict[str, list[str]]
    created_at: str


class ChargeBody(Struct, kw_only=True):
    """A charge. `asset_code` is ours: what it is charged in."""

    lago_id: str
    lago_billable_metric_id: str
    billable_metric_code: str
    code: str
    charge_model: str
    asset_code: str
    pay_in_advance: bool
    invoiceable: bool
    prorated: bool
    regroup_paid_fees: str | None
    invoice_display_name: str | None
    min_amount_cents: int
    accepts_target_wallet: bool
    properties: dict[str, Any]
    filters: list[ChargeFilterBody]
    taxes: list[dict[str, Any]]
    created_at: str

    @classmethod
    def of(cls, charge: PlanCharge) -> "ChargeBody":
        """Show a charge."""
        return cls(
            lago_id=str(charge.id),
            lago_billable_metric_id=str(charge.billable_metric_id),
            billable_metric_code=charge.billable_metric_code,
            code=charge.code,
            charge_model=charge.charge_model,
            asset_code=charge.asset_code,
            pay_in_advance=charge.pay_in_advance,
            invoiceable=charge.invoiceable,
            prorated=charge.prorated,
            regroup_paid_fees=charge.regroup_paid_fees,
            invoice_display_name=charge.invoice_display_name,
            min_amount_cents=charge.min_amount_cents,
            accepts_target_wallet=charge.accepts_target_wallet,
            properties=charge.properties,
            filters=[
                ChargeFilterBody(
                    lago_id=str(entry.id),
                    invoice_display_name=entry.invoice_display_name,
                    properties=entry.properties,
                    values=entry.values,
                    created_at=iso_seconds(entry.created_at),
                )
                for entry in charge.filters
            ],
            taxes=[],
            created_at=iso_seconds(charge.created_at),
        )


class PlanBody(Struct, kw_only=True):
    """A plan. `default`, `version` and `lago_version_id` are ours."""

    lago_id: str
    name: str
    code: str
    invoice_display_name: str | None
    description: str | None
    interval: str
    amount_cents: int
    amount_currency: str
    trial_period: float | None
    pay_in_advance: bool
    bill_charges_monthly: bool | None
    bill_fixed_charges_monthly: bool | None
    is_default: bool = field(name="default")
    version: int
    lago_version_id: str
    active_subscriptions_count: int
    charges: list[ChargeBody]
    fixed_charges: list[dict[str, Any]]
    usage_thresholds: list[dict[str, Any]]
    minimum_commitment: dict[str, Any] | None
    taxes: list[dict[str, Any]]
    metadata: dict[str, str | None]
    created_at: str

    @classmethod
    def of(cls, plan: Plan) -> "PlanBody":
        """Show a plan."""
        return cls(
            lago_id=str(plan.id),
            name=plan.name,
            code=plan.code,
            invoice_display_name=plan.invoice_display_name,
            description=plan.description,
            interval=plan.interval,
            amount_cents=plan.amount_cents,
            amount_currency=plan.amount_currency,
            trial_period=None if plan.trial_period is None else float(plan.trial_period),
            pay_in_advance=plan.pay_in_advance,
            bill_charges_monthly=plan.bill_charges_monthly,
            bill_fixed_charges_monthly=plan.bill_fixed_charges_monthly,
            is_default=plan.is_default,
            version=plan.version,
            lago_version_id=str(plan.current_version_id),
            active_subscriptions_count=plan.active_subscriptions_count,
            charges=[ChargeBody.of(charge) for charge in plan.charges],
            fixed_charges=[],
            usage_thresholds=[],
            minimum_commitment=None,
            taxes=[],
            metadata=plan.metadata,
            created_at=iso_seconds(plan.created_at),
        )


class PlanReply(Struct):
    """The envelope of a plan."""

    plan: PlanBody


class PlansReply(Struct):
    """A page of plans."""

    plans: list[PlanBody]
    meta: Meta
