"""Estimated fees on the wire, in Lago's shape: the cents, and the exact amounts beside them."""

from typing import Final

from msgspec import Struct

from invoicing.currencies import CURRENCIES
from invoicing.records import from_json
from ledger import money
from rating.exact import EXACT, ZERO, divided
from wallet_service.estimates import EstimatedFee
from wallet_service.fee_bodies import FeeBody, FeeItem, FeePricingUnit
from wallet_service.replies import decimal_text, iso

_NOTHING: Final = decimal_text(ZERO)


class EstimatedFeesReply(Struct):
    """The fees that events would bring."""

    fees: list[FeeBody]


def estimated_fee_body(fee: EstimatedFee) -> FeeBody:
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
