"""Fees as they are shown, and told to the world, in Lago's shape.

Cents are what is billed; the exact amounts stand beside them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from invoicing.coupon_shares import net_cents
from invoicing.currencies import CURRENCIES
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.records import Connection, load_queries
from ledger.money import Rounding
from rating.exact import EXACT, ZERO, divided
from wallet_service.replies import decimal_text, iso

__all__ = [
    "FeeBody",
    "FeeFacts",
    "FeeItem",
    "FeePricingUnit",
    "FeeTax",
    "PresentedUnits",
    "facts_of_fees",
    "last_moment",
    "show_fees",
]

_queries: Final[Any] = load_queries(__file__)

_NOTHING: Final = decimal_text(ZERO)

_ITEM_TYPES: Final[Mapping[str, str]] = {
    "subscription": "Subscription",
    "charge": "BillableMetric",
    "fixed_charge": "AddOn",
    "commitment": "Commitment",
    "add_on": "AddOn",
    "credit": "WalletTransaction",
}
"""What Lago calls the thing that a fee is for, by the type of the fee."""


class FeeItem(Struct, kw_only=True):
    """What a fee is for."""

    type: str
    code: str
    name: str
    invoice_display_name: str | None
    filter_invoice_display_name: str | None
    filters: dict[str, list[str]] | None
    lago_item_id: UUID | None
    item_type: str
    grouped_by: dict[str, str]


class FeePricingUnit(Struct, kw_only=True):
    """A fee in the pricing unit of its charge; its cents are the unit's smallest parts."""

    lago_pricing_unit_id: UUID | None
    pricing_unit_code: str
    short_name: str
    amount_cents: int
    precise_amount_cents: str
    unit_amount_cents: int
    precise_unit_amount: str
    conversion_rate: str


class FeeTax(Struct, kw_only=True):
    """A tax on a fee."""

    lago_id: UUID
    lago_fee_id: UUID
    lago_tax_id: UUID | None
    tax_name: str
    tax_code: str
    tax_rate: float
    tax_description: str | None
    amount_cents: int
    amount_currency: str
    created_at: str


class PresentedUnits(Struct, kw_only=True):
    """A part of the units of a fee, by what is only shown and not priced apart."""

    presentation_by: dict[str, str]
    units: str


class FeeBody(Struct, kw_only=True):
    """A fee. `asset_code` is ours: what it would be paid in, which may be no money."""

    lago_id: UUID | None = None
    lago_charge_id: UUID | None
    lago_charge_filter_id: UUID | None
    lago_fixed_charge_id: UUID | None = None
    lago_invoice_id: UUID | None = None
    lago_true_up_fee_id: UUID | None = None
    lago_true_up_parent_fee_id: UUID | None = None
    lago_original_fee_id: UUID | None = None
    lago_subscription_id: UUID | None
    external_subscription_id: str | None
    lago_customer_id: UUID
    external_customer_id: str | None
    amount_cents: int
    amount_currency: str | None
    asset_code: str
    precise_amount: str
    precise_amount_cents: str
    precise_unit_amount: str
    precise_total_amount: str
    precise_coupons_amount_cents: str = _NOTHING
    sub_total_excluding_taxes_amount_cents: int
    sub_total_excluding_taxes_precise_amount_cents: str
    taxes_amount_cents: int = 0
    taxes_precise_amount: str = _NOTHING
    taxes_rate: float = 0.0
    total_amount_cents: int
    total_amount_currency: str | None
    units: str
    total_aggregated_units: str | None = None
    events_count: int | None = 1
    payment_status: str = "pending"
    pay_in_advance: bool
    invoiceable: bool
    self_billed: bool = False
    is_adjusted: bool = False
    event_transaction_id: str | None
    from_date: str | None
    to_date: str | None
    created_at: str | None = None
    succeeded_at: str | None = None
    failed_at: str | None = None
    refunded_at: str | None = None
    description: str | None = None
    amount_details: dict[str, Any] = {}
    pricing_unit_details: FeePricingUnit | None
    presentation_breakdowns: list[PresentedUnits] = []
    item: FeeItem
    applied_taxes: list[FeeTax] = []

    @classmethod
    def of(cls, fee: Fee, facts: "FeeFacts") -> "FeeBody":
        """Show a fee as stored. It ends at the last second of its period, as Lago's do."""
        exponent = CURRENCIES[fee.amount_currency]
        precise_excluding = EXACT.subtract(
            fee.precise_amount_cents, fee.precise_coupons_amount_cents
        )
        precise_total = EXACT.add(fee.precise_amount_cents, fee.taxes_precise_amount_cents)
        return cls(
            lago_id=fee.id,
            lago_charge_id=fee.charge_id,
            lago_charge_filter_id=fee.charge_filter_id,
            lago_fixed_charge_id=fee.fixed_charge_id,
            lago_invoice_id=fee.invoice_id,
            lago_true_up_fee_id=facts.true_ups.get(fee.id),
            # Where nothing was used there is no line to which it is the true-up.
            lago_true_up_parent_fee_id=None
            if fee.true_up_parent_fee_id == fee.id
            else fee.true_up_parent_fee_id,
            lago_original_fee_id=fee.original_fee_id,
            lago_subscription_id=fee.subscription_id,
            external_subscription_id=None
            if fee.subscription_id is None
            else facts.subscriptions.get(fee.subscription_id),
            lago_customer_id=fee.customer_id,
            external_customer_id=facts.customers.get(fee.customer_id),
            amount_cents=fee.amount_cents,
            amount_currency=fee.amount_currency,
            asset_code=fee.amount_currency,
            precise_amount=_money(fee.precise_amount_cents, exponent),
            precise_amount_cents=decimal_text(fee.precise_amount_cents),
            precise_unit_amount=decimal_text(fee.precise_unit_amount),
            precise_total_amount=_money(precise_total, exponent),
            precise_coupons_amount_cents=decimal_text(fee.precise_coupons_amount_cents),
            sub_total_excluding_taxes_amount_cents=int(
                net_cents(fee).to_integral_value(Rounding.HALF_AWAY)
            ),
            sub_total_excluding_taxes_precise_amount_cents=decimal_text(precise_excluding),
            taxes_amount_cents=fee.taxes_amount_cents,
            taxes_precise_amount=_money(fee.taxes_precise_amount_cents, exponent),
            taxes_rate=float(fee.taxes_rate),
            total_amount_cents=fee.amount_cents + fee.taxes_amount_cents,
            total_amount_currency=fee.amount_currency,
            units=decimal_text(fee.units),
            total_aggregated_units=None
            if fee.total_aggregated_units is None
            else decimal_text(fee.total_aggregated_units),
            events_count=fee.events_count,
            payment_status=fee.payment_status,
            pay_in_advance=fee.pay_in_advance,
            invoiceable=fee.invoiceable,
            is_adjusted=fee.is_adjusted,
            event_transaction_id=fee.event_transaction_id,
            from_date=_optional(fee.from_datetime),
            to_date=_end(fee),
            created_at=iso(fee.created_at),
            succeeded_at=_optional(fee.succeeded_at),
            failed_at=_optional(fee.failed_at),
            refunded_at=_optional(fee.refunded_at),
            description=fee.description,
            amount_details=fee.amount_details,
            pricing_unit_details=_pricing_unit(fee),
            presentation_breakdowns=[
                PresentedUnits(
                    presentation_by=_texts(part["presentation_by"]), units=str(part["units"])
                )
                for part in fee.presentation_breakdowns
            ],
            item=_item(fee, facts),
            applied_taxes=[_tax(tax, fee) for tax in fee.applied_taxes],
        )


class FeeFacts(Struct, frozen=True, kw_only=True):
    """What is shown with fees and not stored in them."""

    customers: Mapping[UUID, str] = {}
    """External ids."""
    subscriptions: Mapping[UUID, str] = {}
    """External ids."""
    metrics: Mapping[str, UUID] = {}
    """Ids, by code."""
    true_ups: Mapping[UUID, UUID] = {}
    """The fee that brings another one up to the minimum of its charge, by that other one."""


async def facts_of_fees(
    connection: Connection, organization_id: UUID, fees: Sequence[Fee]
) -> FeeFacts:
    """What is shown with these fees; the world is asked once for all of them."""
    if not fees:
        return FeeFacts()
    found: dict[str, dict[Any, Any]] = {"customer": {}, "subscription": {}, "metric": {}}
    rows = _queries.names_of_fees(
        connection,
        organization_id=organization_id,
        customer_ids=list({fee.customer_id for fee in fees}),
        subscription_ids=list({fee.subscription_id for fee in fees if fee.subscription_id}),
        metric_codes=list({fee.billable_metric_code for fee in fees if fee.billable_metric_code}),
    )
    async for row in rows:
        if row["kind"] == "metric":
            found["metric"][row["name"]] = row["id"]
        else:
            found[row["kind"]][row["id"]] = row["name"]
    invoice_ids = list({fee.invoice_id for fee in fees if fee.invoice_id})
    true_ups = _queries.true_ups(
        connection, organization_id=organization_id, invoice_ids=invoice_ids
    )
    return FeeFacts(
        customers=found["customer"],
        subscriptions=found["subscription"],
        metrics=found["metric"],
        true_ups={row["parent_id"]: row["id"] async for row in true_ups},
    )


async def show_fees(
    connection: Connection, organization_id: UUID, fees: Sequence[Fee]
) -> list[FeeBody]:
    """Fees as callers see them."""
    facts = await facts_of_fees(connection, organization_id, fees)
    return [FeeBody.of(fee, facts) for fee in fees]


def last_moment(end: datetime) -> str:
    """The last second of what ends just before `end`."""
    return iso(end - timedelta(seconds=1))


def _item(fee: Fee, facts: FeeFacts) -> FeeItem:
    ids: dict[str, UUID | None] = {
        "subscription": fee.subscription_id,
        "charge": facts.metrics.get(fee.billable_metric_code or ""),
        "fixed_charge": fee.add_on_id,
        "commitment": fee.subscription_id,
        "add_on": fee.add_on_id,
        "credit": fee.wallet_transaction_id,
    }
    return FeeItem(
        type=fee.fee_type,
        code=fee.item_code,
        name=fee.item_name,
        invoice_display_name=fee.invoice_display_name,
        filter_invoice_display_name=fee.filter_display_name,
        filters=fee.filter_values,
        lago_item_id=ids[fee.fee_type],
        item_type=_ITEM_TYPES[fee.fee_type],
        grouped_by=_texts(fee.pricing_group),
    )


def _pricing_unit(fee: Fee) -> FeePricingUnit | None:
    unit = fee.pricing_unit_details
    if unit is None:
        return None
    precise = Decimal(unit["precise_amount_cents"])
    each = divided(precise, fee.units) if fee.units else ZERO
    return FeePricingUnit(
        lago_pricing_unit_id=None,
        pricing_unit_code=unit["short_name"],
        short_name=unit["short_name"],
        amount_cents=unit["amount_cents"],
        precise_amount_cents=decimal_text(precise),
        unit_amount_cents=int(each.to_integral_value(Rounding.HALF_AWAY)),
        precise_unit_amount=decimal_text(Decimal(unit["precise_unit_amount"])),
        conversion_rate=decimal_text(Decimal(unit["conversion_rate"])),
    )


def _tax(tax: dict[str, Any], fee: Fee) -> FeeTax:
    return FeeTax(
        lago_id=derived_id(fee.id, "tax", tax["tax_code"], str(tax["tax_rate"])),
        lago_fee_id=fee.id,
        lago_tax_id=None if tax["tax_id"] is None else UUID(tax["tax_id"]),
        tax_name=tax["tax_name"],
        tax_code=tax["tax_code"],
        tax_rate=float(Decimal(tax["tax_rate"])),
        tax_description=tax["tax_description"],
        amount_cents=tax["amount_cents"],
        amount_currency=fee.amount_currency,
        created_at=iso(fee.created_at),
    )


def _texts(group: Mapping[str, Any]) -> dict[str, str]:
    """Lago's client takes texts alone, so a key that the event lacked is left out."""
    return {key: str(value) for key, value in group.items() if value is not None}


def _end(fee: Fee) -> str | None:
    """The last moment of what a fee is for; that of an add-on is what was said of it."""
    if fee.to_datetime is None:
        return None
    is_period = fee.fee_type not in {"add_on", "credit"}
    return last_moment(fee.to_datetime) if is_period else iso(fee.to_datetime)


def _money(cents: Decimal, exponent: int) -> str:
    return decimal_text(EXACT.scaleb(cents, -exponent))


def _optional(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
