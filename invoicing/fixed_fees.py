"""What a moment bills beside usage and the plan's amount: fixed charges and commitments. Pure.

A fixed charge that is paid in advance costs, when a period begins, the units that are there then;
units that are added within a period are billed as they are. Fewer give nothing back.
Source: Lago, fixed charges and minimum commitments.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Final

from msgspec import structs

from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import ScheduledSubscription
from invoicing.days import Days
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.fixed_charges import PlanFixedCharge
from invoicing.period_fees import fixed_terms
from invoicing.periods import period_at
from invoicing.plan_terms import PlanTerms
from invoicing.subscription_fees import commitment_fee, subscription_fee
from invoicing.usage_fees import FeePlace, cents_of, each_of
from rating.exact import EXACT, ONE, ZERO
from rating.fixed_charges import UnitsChange, fixed_fees_in_advance, rate_fixed_charge
from rating.period import Period

__all__ = ["commitment_fees", "fixed_fees"]

_MOMENT: Final = timedelta(microseconds=1)


def fixed_fees(
    place: FeePlace,
    subscription: ScheduledSubscription,
    moment: BillingMoment,
    terms: PlanTerms,
) -> list[Fee]:
    """The fixed charges of a moment: of the period that has ended, then of the one that begins."""
    fees: list[Fee] = []
    ended, coming = moment.fixed_charges_in_arrears, moment.fixed_charges_in_advance
    if ended is not None:
        for charge in terms.fixed_in(ended.part.start, ended.part.end):
            changes = _changes(subscription, terms, charge)
            period = _period(ended, subscription)
            if charge.pay_in_advance:
                units, amount = _added_before(charge, changes, period, subscription.created_at)
            else:
                usage = rate_fixed_charge(fixed_terms(charge), changes, period)
                units, amount = usage.units, usage.amount
            if units or amount:
                fees.append(_fee(place, charge, ended, "ended", units=units, amount=amount))
    if moment.fixed_charges_added is not None:
        fees += _added_fees(place, subscription, moment, moment.fixed_charges_added, terms)
    if coming is not None:
        for charge in terms.fixed_in(coming.part.start, coming.part.start):
            if charge.pay_in_advance:
                changes = [
                    change
                    for change in _changes(subscription, terms, charge)
                    if change.at <= coming.part.start
                ]
                period = _period(coming, subscription)
                amount = fixed_fees_in_advance(fixed_terms(charge), changes, period).total
                units = changes[-1].units if changes else ZERO
                if units or amount:
                    fees.append(_fee(place, charge, coming, "coming", units=units, amount=amount))
    return fees


def commitment_fees(
    place: FeePlace,
    moment: BillingMoment,
    terms: PlanTerms,
    fees: Iterable[Fee],
    *,
    billed_before: Decimal,
    has_own_fee_before: bool,
) -> list[Fee]:
    """What is missing to the minimum commitment of the plan's period that ends with a moment.

    `fees` are the moment's others, `billed_before` the precise amount in cents of usage of the
    period that earlier invoices have billed. Where the plan is paid in advance
    (`has_own_fee_before`), an earlier one has billed its amount too.
    """
    ended = moment.ended_fee_period
    if ended is None or not moment.ends_fee_period or not terms.commitment_cents:
        return []
    counted = [
        fee.precise_amount_cents
        for fee in fees
        if fee.fee_type == "charge" or (fee.fee_type == "subscription" and not has_own_fee_before)
    ]
    if has_own_fee_before:
        counted.append(subscription_fee(terms.amount_cents, ended).precise_amount_cents)
    billed = reduce(EXACT.add, counted, billed_before)
    missing = commitment_fee(terms.commitment_cents, ended, billed_cents=billed)
    if not missing.amount_cents:
        return []
    blank = _blank(place, ended)
    return [
        structs.replace(
            blank,
            id=derived_id(place.parent_id, "commitment", place.subscription_id or ""),
            fee_type="commitment",
            item_code=terms.code,
            item_name="Minimum commitment - True up",
            units=ONE,
            amount_cents=missing.amount_cents,
            precise_amount_cents=missing.precise_amount_cents,
            precise_unit_amount=each_of(missing.precise_amount_cents, ONE, place.currency),
            tax_codes=list(terms.commitment_tax_codes),
        )
    ]


def _added_fees(
    place: FeePlace,
    subscription: ScheduledSubscription,
    moment: BillingMoment,
    days: Days,
    terms: PlanTerms,
) -> list[Fee]:
    """What units cost that are added within a period, for the days that are left of it."""
    at, period = moment.billing_at, _period(days, subscription)
    fees: list[Fee] = []
    for charge in terms.fixed_in(period.start, at + _MOMENT):
        if not charge.pay_in_advance:
            continue
        changes = [one for one in _changes(subscription, terms, charge) if one.at <= at]
        before = [one for one in changes if one.at < at]
        units, amount = _added(charge, changes, before, period)
        if units or amount:
            fee = _fee(place, charge, days, "added", units=units, amount=amount)
            fees.append(structs.replace(fee, from_datetime=at))
    return fees


def _added_before(
    charge: PlanFixedCharge, changes: Sequence[UnitsChange], period: Period, created_at: datetime
) -> tuple[Decimal, Decimal]:
    """What was added within a period before the subscription was made: its start lies back.

    What was added later has been billed then.
    """
    there = [change for change in changes if change.at <= period.start]
    known = [change for change in changes if change.at <= max(period.start, created_at)]
    return _added(charge, known, there, period)


def _added(
    charge: PlanFixedCharge,
    changes: Sequence[UnitsChange],
    before: Sequence[UnitsChange],
    period: Period,
) -> tuple[Decimal, Decimal]:
    """By how many units changes exceed all before them in a period, and what that costs."""
    terms = fixed_terms(charge)
    fees = fixed_fees_in_advance(terms, changes, period).total
    paid = fixed_fees_in_advance(terms, before, period).total
    most, had = _most(changes, period), _most(before, period)
    return max(EXACT.subtract(most, had), ZERO), EXACT.subtract(fees, paid)


def _most(changes: Sequence[UnitsChange], period: Period) -> Decimal:
    """The most units of a period so far."""
    carried = [change.units for change in changes if change.at <= period.start]
    within = [change.units for change in changes if period.start < change.at < period.end]
    return max([*carried[-1:], *within], default=ZERO)


def _changes(
    subscription: ScheduledSubscription, terms: PlanTerms, charge: PlanFixedCharge
) -> list[UnitsChange]:
    def period_after(at: datetime) -> datetime:
        bounds = period_at(
            at,
            interval=subscription.interval,
            billing_time=subscription.billing_time,
            anchor=subscription.subscription_at,
            zone=subscription.zone,
        )
        return at if at == bounds.start else bounds.end

    return terms.changes_of(charge.id, subscription.started_at, period_after)


def _period(days: Days, subscription: ScheduledSubscription) -> Period:
    return Period(
        start=days.part.start,
        end=days.part.end,
        zone=subscription.zone,
        full_days=None if days.part == days.whole else days.whole_days,
    )


def _fee(
    place: FeePlace,
    charge: PlanFixedCharge,
    days: Days,
    which: str,
    *,
    units: Decimal,
    amount: Decimal,
) -> Fee:
    cents, precise = cents_of(amount, place.currency)
    return structs.replace(
        _blank(place, days),
        id=derived_id(
            place.parent_id, "fixed_charge", place.subscription_id or "", charge.id, which
        ),
        fee_type="fixed_charge",
        fixed_charge_id=charge.id,
        add_on_id=charge.add_on_id,
        item_code=charge.add_on_code,
        item_name=charge.add_on_name,
        invoice_display_name=charge.invoice_display_name,
        units=units,
        amount_cents=cents,
        precise_amount_cents=precise,
        precise_unit_amount=each_of(precise, units, place.currency),
        tax_codes=charge.tax_codes,
        pay_in_advance=charge.pay_in_advance,
    )


def _blank(place: FeePlace, days: Days) -> Fee:
    return Fee(
        organization_id=place.organization_id,
        id=place.parent_id,
        invoice_id=place.invoice_id,
        customer_id=place.customer_id,
        subscription_id=place.subscription_id,
        fee_type="fixed_charge",
        item_code="",
        item_name="",
        amount_cents=0,
        precise_amount_cents=ZERO,
        amount_currency=place.currency,
        from_datetime=days.part.start,
        to_datetime=days.part.end,
        created_at=place.now,
        updated_at=place.now,
    )
