"""Fees on the wire, in Lago's shape: cents that are billed, and the exact amounts beside them."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing.currencies import CURRENCIES
from invoicing.records import from_json
from ledger import money
from rating.exact import EXACT, ZERO, divided
from wallet_service.estimates import EstimatedFee
from wallet_service.replies import decimal_text, iso

_NOTHING: Final = decimal_text(ZERO)


class FeeItem(Struct, kw_only=True):
    """What a fee is for."""

    type: str
    code: str
    name: str
    invoice_display_name: str | None
    filter_invoice_display_name: str | None
    filters: dict[str, list[str]] | None
    lago_item_id: UUID
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

    tax_code: str
    tax_rate: float
    amount_cents: int


class FeeBody(Struct, kw_only=True):
    """A fee. `asset_code` is ours: what it would be paid in, which may be no money."""

    lago_id: UUID | None = None
    lago_charge_id: UUID
    lago_charge_filter_id: UUID | None
    lago_invoice_id: UUID | None = None
    lago_subscription_id: UUID
    external_subscription_id: str
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
    events_count: int = 1
    payment_status: str = "pending"
    pay_in_advance: bool
    invoiceable: bool
    self_billed: bool = False
    event_transaction_id: str | None
    from_date: str
    to_date: str
    created_at: str | None = None
    succeeded_at: str | None = None
    failed_at: str | None = None
    refunded_at: str | None = None
    description: str | None = None
    pricing_unit_details: FeePricingUnit | None
    item: FeeItem
    applied_taxes: list[FeeTax] = []


class FeesReply(Struct):
    """The fees that events would bring."""

    fees: list[FeeBody]


def fee_body(fee: EstimatedFee) -> FeeBody:
    """Show an estimated fee. What is no money has no cents: its exact amount says all."""
    exponent = CURRENCIES.get(fee.asset_code)
    currency = None if exponent is None else fee.asset_code
    cents = 0 if exponent is None else money.to_shown_minor(fee.amount, exponent)
    precise_cents = (
        _NOTHING if exponent is None else decimal_text(EXACT.scaleb(fee.amount, exponent))
    )
    amount = decimal_text(fee.amount)
    return FeeBody(
        lago_charge_id=fee.charge.id,
        lago_charge_filter_id=None if fee.filter is None else fee.filter.id,
        lago_subscription_id=fee.subscription_id,
        external_subscription_id=fee.external_subscription_id,
        lago_customer_id=fee.customer_id,
        external_customer_id=fee.external_customer_id,
        amount_cents=cents,
        amount_currency=currency,
        asset_code=fee.asset_code,
        precise_amount=amount,
        precise_amount_cents=precise_cents,
        precise_unit_amount=decimal_text(divided(fee.amount, fee.units) if fee.units else ZERO),
        precise_total_amount=amount,
        sub_total_excluding_taxes_amount_cents=cents,
        sub_total_excluding_taxes_precise_amount_cents=precise_cents,
        total_amount_cents=cents,
        total_amount_currency=currency,
        units=decimal_text(fee.units),
        pay_in_advance=fee.charge.pay_in_advance,
        invoiceable=fee.charge.invoiceable,
        event_transaction_id=fee.transaction_id,
        from_date=iso(fee.period.start),
        to_date=iso(fee.period.end),
        pricing_unit_details=_pricing_unit(fee),
        item=_item(fee),
    )


def _item(fee: EstimatedFee) -> FeeItem:
    charge, chosen = fee.charge, fee.filter
    groups: dict[str, str | None] = from_json(fee.group) if fee.group else {}
    return FeeItem(
        type="charge",
        code=charge.billable_metric_code,
        name=fee.metric_name,
        invoice_display_name=charge.invoice_display_name,
        filter_invoice_display_name=None if chosen is None else chosen.invoice_display_name,
        filters=None if chosen is None else chosen.values,
        lago_item_id=charge.billable_metric_id,
        item_type="BillableMetric",
        # Lago's client takes texts alone, so a key that the event lacks is left out.
        grouped_by={key: value for key, value in groups.items() if value is not None},
    )


def _pricing_unit(fee: EstimatedFee) -> FeePricingUnit | None:
    unit = fee.conversion
    if unit is None:
        return None
    each = divided(fee.unit_amount, fee.units) if fee.units else ZERO
    return FeePricingUnit(
        lago_pricing_unit_id=None,
        pricing_unit_code=unit.code,
        short_name=unit.code,
        amount_cents=money.to_shown_minor(fee.unit_amount, unit.scale),
        precise_amount_cents=decimal_text(EXACT.scaleb(fee.unit_amount, unit.scale)),
        unit_amount_cents=money.to_shown_minor(each, unit.scale),
        precise_unit_amount=decimal_text(each),
        conversion_rate=decimal_text(unit.rate),
    )
