"""What a period's usage comes to on an invoice: a line for each charge, filter and group. Pure.

Each line is rounded to the currency by itself, half away from zero; its exact price stays beside
it. Usage in native units is paid from wallets alone, and is no line of an invoice.
Source: Lago, charge fees.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import usage_pricing
from invoicing.amount_details import amount_details
from invoicing.charge_filters import PlanChargeFilter
from invoicing.charges import PlanCharge
from invoicing.currencies import CURRENCIES
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.passed_units import is_billed_once
from invoicing.periods import Bounds
from invoicing.records import from_json, to_json
from invoicing.usage import ChargeUsage, PeriodUsage
from invoicing.usage_versions import PricedCharge
from ledger import money
from ledger.money import Rounding
from rating.exact import EXACT, ONE, ZERO, divided
from rating.minimums import true_up
from rating.rounding import rounded

__all__ = [
    "BilledUsage",
    "FeePlace",
    "cents_of",
    "each_of",
    "filter_name",
    "nothing_left",
    "true_up_id",
    "usage_fees",
    "usage_line",
]

_UNIT_DIGITS: Final = 15
"""Digits after the point of what one unit costs on average, which is only shown."""


class FeePlace(Struct, frozen=True, kw_only=True):
    """Whose fees are made, and where they go."""

    organization_id: UUID
    parent_id: UUID
    """What ids are derived from: the invoice, or what stands for it."""
    invoice_id: UUID | None
    customer_id: UUID
    subscription_id: UUID | None
    currency: str
    now: datetime


class BilledUsage(Struct, frozen=True, kw_only=True):
    """The usage of a period that is to be billed."""

    usage: PeriodUsage
    bounds: Bounds
    metric_names: Mapping[UUID, str]
    without: frozenset[UUID] = frozenset()
    """Charges whose usage is billed otherwise."""
    with_minimums: bool = True
    followed_by: frozenset[UUID] = frozenset()
    """The metrics whose units stay in the plan that took this one's place within the period."""

    def leaves(self, charge: PricedCharge) -> bool:
        """Whether the plan that follows bills all of a charge's period."""
        return is_billed_once(charge.rated) and charge.listed.billable_metric_id in self.followed_by


def cents_of(amount: Decimal, currency: str) -> tuple[int, Decimal]:
    """An amount rounded to the currency, half away from zero, and exactly in its minor unit."""
    exponent = CURRENCIES[currency]
    return money.to_minor(amount, exponent, Rounding.HALF_AWAY), EXACT.scaleb(amount, exponent)


def usage_fees(place: FeePlace, billed: BilledUsage) -> list[Fee]:
    """The lines of all charges in the currency, each with its true-up to the minimum behind it."""
    fees: list[Fee] = []
    for charge in billed.usage.charges:
        rated = charge.charge.rated
        if rated.asset_code != place.currency or charge.charge.listed.id in billed.without:
            continue
        lines = [
            line for fee in charge.fees if (line := _fee(place, billed, charge, fee)) is not None
        ]
        if billed.leaves(charge.charge):
            fees += [_left(line) for line in lines if line.debited_minor]
            continue
        fees += lines
        if rated.min_amount and billed.with_minimums:
            fees += _missing(place, billed, charge, lines)
    return fees


def usage_line(fee: Fee) -> str | None:
    """What makes lines of one period's usage the same: charge, filter and group.

    None for what is missing to a minimum, which is no usage.
    """
    if fee.true_up_parent_fee_id is not None:
        return None
    return f"{fee.charge_id}:{fee.charge_filter_id}:{to_json(fee.pricing_group)}"


def nothing_left(fee: Fee, place: FeePlace, bounds: Bounds) -> Fee:
    """A line of nothing in the place of one that was billed, and whose usage was taken back."""
    return structs.replace(
        fee,
        id=derived_id(place.parent_id, "nothing_left", fee.id, bounds.start.isoformat()),
        invoice_id=place.invoice_id,
        position=0,
        true_up_parent_fee_id=None,
        original_fee_id=None,
        units=ZERO,
        total_aggregated_units=ZERO,
        events_count=0,
        amount_cents=0,
        precise_amount_cents=ZERO,
        precise_unit_amount=ZERO,
        precise_coupons_amount_cents=ZERO,
        taxes_amount_cents=0,
        taxes_precise_amount_cents=ZERO,
        taxes_rate=ZERO,
        applied_taxes=[],
        amount_details={},
        presentation_breakdowns=[],
        pricing_unit_details=None,
        debited_minor=ZERO,
        is_adjusted=False,
        adjustment=None,
        event_transaction_id=None,
        from_datetime=bounds.start,
        to_datetime=bounds.end,
        payment_status="pending",
        succeeded_at=None,
        created_at=place.now,
        updated_at=place.now,
    )


def _fee(
    place: FeePlace, billed: BilledUsage, charge: ChargeUsage, fee: usage_pricing.Fee
) -> Fee | None:
    """A line, or None where there is nothing to tell: no event, no unit, no price."""
    usage = fee.usage
    if not (usage.events or usage.units or fee.amount or fee.debited_minor):
        return None
    listed = charge.charge.listed
    cents, precise = cents_of(fee.amount, place.currency)
    group: dict[str, Any] = from_json(fee.group) if fee.group else {}
    return Fee(
        organization_id=place.organization_id,
        id=derived_id(
            place.parent_id,
            "charge",
            place.subscription_id or "",
            charge.charge.rated.id,
            fee.filter_id or "",
            fee.group,
            billed.bounds.start.isoformat(),
        ),
        invoice_id=place.invoice_id,
        customer_id=place.customer_id,
        subscription_id=place.subscription_id,
        fee_type="charge",
        charge_id=charge.charge.rated.id,
        charge_filter_id=fee.filter_id,
        item_code=listed.billable_metric_code,
        item_name=billed.metric_names.get(listed.billable_metric_id, listed.billable_metric_code),
        invoice_display_name=listed.invoice_display_name,
        filter_display_name=filter_name(listed, fee.filter_id),
        filter_values=filter_values(listed, fee.filter_id),
        billable_metric_code=listed.billable_metric_code,
        pricing_group=group,
        units=usage.units,
        total_aggregated_units=usage.total_units,
        events_count=usage.events,
        amount_cents=cents,
        precise_amount_cents=precise,
        precise_unit_amount=each_of(precise, usage.units, place.currency),
        amount_currency=place.currency,
        tax_codes=listed.tax_codes,
        amount_details=amount_details(fee, charge.charge.rated),
        presentation_breakdowns=[
            {"presentation_by": from_json(by), "units": format(units, "f")}
            for by, units in fee.presented
        ],
        pricing_unit_details=_in_pricing_unit(listed, fee),
        debited_minor=Decimal(fee.debited_minor),
        pay_in_advance=listed.pay_in_advance,
        invoiceable=listed.invoiceable,
        from_datetime=billed.bounds.start,
        to_datetime=billed.bounds.end,
        created_at=place.now,
        updated_at=place.now,
    )


def _missing(
    place: FeePlace, billed: BilledUsage, charge: ChargeUsage, lines: Iterable[Fee]
) -> list[Fee]:
    """What is missing to the charge's minimum, for the days that the period has."""
    lines = list(lines)
    listed = charge.charge.listed
    used = _sum(EXACT.scaleb(fee.precise_amount_cents, -_exponent(place)) for fee in lines)
    amount = true_up(charge.charge.rated.min_amount, used=used, period=billed.usage.period)
    cents, precise = cents_of(amount, place.currency)
    if not cents:
        return []
    fee_id = true_up_id(place.parent_id, place.subscription_id, listed.id, billed.bounds.start)
    return [
        Fee(
            organization_id=place.organization_id,
            id=fee_id,
            invoice_id=place.invoice_id,
            customer_id=place.customer_id,
            subscription_id=place.subscription_id,
            fee_type="charge",
            charge_id=listed.id,
            true_up_parent_fee_id=lines[0].id if lines else fee_id,
            item_code=listed.billable_metric_code,
            item_name=billed.metric_names.get(
                listed.billable_metric_id, listed.billable_metric_code
            ),
            invoice_display_name=listed.invoice_display_name,
            billable_metric_code=listed.billable_metric_code,
            units=ONE,
            events_count=0,
            amount_cents=cents,
            precise_amount_cents=precise,
            precise_unit_amount=amount,
            amount_currency=place.currency,
            tax_codes=listed.tax_codes,
            from_datetime=billed.bounds.start,
            to_datetime=billed.bounds.end,
            created_at=place.now,
            updated_at=place.now,
        )
    ]


def true_up_id(
    invoice_id: UUID, subscription_id: UUID | None, charge_id: UUID, start: datetime
) -> UUID:
    """The id of the line with what is missing to a charge's minimum in a period."""
    parts = subscription_id or "", charge_id, start.isoformat()
    return derived_id(invoice_id, "true_up", *parts)


def _left(line: Fee) -> Fee:
    """A line that is left to the next plan: what was debited of it goes back."""
    return structs.replace(
        line,
        units=ZERO,
        amount_cents=0,
        precise_amount_cents=ZERO,
        precise_unit_amount=ZERO,
        amount_details={},
        pricing_unit_details=None,
    )


def filter_name(charge: PlanCharge, filter_id: UUID | None) -> str | None:
    """What invoices call a filter: its name, or its values."""
    found = _filter_of(charge, filter_id)
    if found is None:
        return None
    return found.invoice_display_name or ", ".join(
        value for values in found.values.values() for value in values
    )


def filter_values(charge: PlanCharge, filter_id: UUID | None) -> dict[str, list[str]] | None:
    """The values of a filter, by key."""
    found = _filter_of(charge, filter_id)
    return None if found is None else found.values


def _filter_of(charge: PlanCharge, filter_id: UUID | None) -> PlanChargeFilter | None:
    if filter_id is None:
        return None
    return next((one for one in charge.filters if one.id == filter_id), None)


def _in_pricing_unit(charge: PlanCharge, fee: usage_pricing.Fee) -> dict[str, Any] | None:
    """The amount in the unit that the charge's prices are in, before it was converted."""
    unit = charge.applied_pricing_unit
    if unit is None:
        return None
    conversion = unit.for_rating()
    amount = rounded(fee.usage.amount, function="round", precision=conversion.scale)
    return {
        "short_name": conversion.code,
        "conversion_rate": format(conversion.rate, "f"),
        "amount_cents": int(EXACT.scaleb(amount, conversion.scale)),
        "precise_amount_cents": format(EXACT.scaleb(fee.usage.amount, conversion.scale), "f"),
        "precise_unit_amount": format(_each(fee.usage.amount, fee.usage.units), "f"),
    }


def each_of(precise_cents: Decimal, units: Decimal, currency: str) -> Decimal:
    """What one unit costs, on average, in the currency."""
    return _each(EXACT.scaleb(precise_cents, -CURRENCIES[currency]), units)


def _each(amount: Decimal, units: Decimal) -> Decimal:
    return divided(amount, units, digits=_UNIT_DIGITS) if units else ZERO


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, ZERO)


def _exponent(place: FeePlace) -> int:
    return CURRENCIES[place.currency]
