"""Invoices of subscriptions, from what is known of the moments at which they are billed. Pure.

What falls on one moment for one customer, in one currency, is one invoice, unless a subscription
asks to be billed apart. Ids are derived from the moments: building again builds the same.
Source: Lago, subscription invoices.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs, to_builtins

from invoicing.advance_fees import BilledInAdvance
from invoicing.billed_periods import BilledPeriod
from invoicing.billing_facts import BilledPlanFacts, Paid, Recipient
from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import ScheduledSubscription
from invoicing.currencies import CURRENCIES
from invoicing.days import Days
from invoicing.derived_ids import derived_id, timed_id
from invoicing.fees import Fee
from invoicing.fixed_fees import commitment_fees, fixed_fees
from invoicing.invoice_totals import ProgressiveCredit
from invoicing.invoices import Invoice
from invoicing.late_usage import LATE_USAGE, LateUsage, late_fees
from invoicing.plan_terms import PlanTerms
from invoicing.progressive_billing import BilledAhead
from invoicing.subscription_fees import subscription_fee
from invoicing.tax_shares import TaxTerms
from invoicing.usage import PeriodUsage
from invoicing.usage_fees import BilledUsage, FeePlace, usage_fees
from rating.exact import EXACT, ZERO

__all__ = [
    "Billable",
    "BuiltInvoice",
    "build_invoice",
    "dated",
    "group_of",
]


class Billable(Struct, frozen=True, kw_only=True):
    """One moment of one subscription, with all that it takes to bill it."""

    subscription: ScheduledSubscription
    moment: BillingMoment
    plan: BilledPlanFacts
    usage: PeriodUsage | None = None
    metric_names: Mapping[UUID, str] = {}
    followed_by: frozenset[UUID] = frozenset()
    """See `BilledUsage.followed_by`."""
    paid: Paid = Paid()
    terms: PlanTerms | None = None
    """What the plan asks for beside its usage, where it asks for any."""
    billed_before: Decimal = ZERO
    """What earlier invoices billed of usage in the plan's period, in cents, precisely."""
    ahead: BilledAhead = BilledAhead()
    """What progressive invoices have billed of its usage."""
    in_advance: BilledInAdvance = BilledInAdvance()
    """What its events were billed by themselves."""
    late: Sequence[LateUsage] = ()
    """What earlier periods come to otherwise than was billed of them."""
    sealed_xact_id: int | None = None


class BuiltInvoice(Struct, frozen=True, kw_only=True):
    """An invoice with its lines, not yet totalled, and the moments that it bills."""

    invoice: Invoice
    fees: list[Fee]
    periods: list[BilledPeriod]
    recipient: Recipient
    paid: Paid
    plan_codes: dict[UUID, str]
    """By subscription."""
    plan_tax_codes: dict[UUID, list[str]]
    """By subscription."""
    progressive: list[ProgressiveCredit] = []
    named_taxes: Mapping[UUID, Sequence[TaxTerms]] | None = None
    """By line, where a tax service says them."""
    tax_problems: list[dict[str, Any]] = []
    """Why a tax service does not."""

    @property
    def bills(self) -> bool:
        """Whether it makes an invoice: not where its moments only give something back."""
        return bool(self.fees) or any(
            period.moment.get(part) for period in self.periods for part in _BILLED
        )


_BILLED: Final = (
    "fee_period",
    "charges_period",
    "fixed_charges_in_advance",
    "fixed_charges_in_arrears",
)


def group_of(
    subscription: ScheduledSubscription, moment: BillingMoment, currency: str
) -> tuple[str, ...]:
    """What is equal for moments that are billed on one invoice.

    What is to be paid before a subscription begins is billed apart: it may be given up.
    """
    is_together = subscription.consolidate_invoice and subscription.status != "incomplete"
    return (
        subscription.organization_id.hex,
        subscription.customer_id.hex,
        currency,
        moment.billing_at.isoformat(),
        "" if is_together else subscription.id.hex,
    )


def invoice_id_of(group: Sequence[tuple[ScheduledSubscription, BillingMoment]]) -> UUID:
    """The id of the invoice of these moments: always the same."""
    billing_at = group[0][1].billing_at
    named = sorted(
        f"{subscription.id.hex}:{moment.reason}:{moment.billing_at.isoformat()}"
        for subscription, moment in group
    )
    return timed_id(billing_at, "invoice", group[0][0].organization_id, *named)


def build_invoice(
    group: Sequence[Billable],
    recipient: Recipient,
    *,
    invoice_id: UUID | None = None,
    now: datetime,
) -> BuiltInvoice:
    """The invoice of moments that go together (`group_of`), in the order of their subscriptions.

    `invoice_id` is that of an invoice that is there already, whose lines are made anew.
    """
    first = group[0]
    invoice_id = invoice_id or invoice_id_of([(one.subscription, one.moment) for one in group])
    currency = first.plan.amount_currency
    fees: list[Fee] = []
    for one in sorted(group, key=lambda one: (one.subscription.id, one.moment.reason)):
        place = FeePlace(
            organization_id=one.subscription.organization_id,
            parent_id=invoice_id,
            invoice_id=invoice_id,
            customer_id=one.subscription.customer_id,
            subscription_id=one.subscription.id,
            currency=currency,
            now=now,
        )
        fees += fees_of(one, place)
    is_periodic = all(one.moment.reason == "subscription_periodic" for one in group)
    seals = [one.sealed_xact_id for one in group if one.sealed_xact_id is not None]
    has_grace = first.subscription.status != "incomplete"
    issuing = dated(
        first.moment.billing_at, recipient, has_grace=has_grace, ends_a_period=is_periodic
    )
    orders = {one.subscription.purchase_order_number for one in group}
    invoice = Invoice(
        organization_id=first.subscription.organization_id,
        id=invoice_id,
        customer_id=first.subscription.customer_id,
        billing_entity_id=recipient.entity.id,
        invoice_type="subscription",
        status="draft" if has_grace and recipient.grace_days else "generating",
        currency=currency,
        issuing_date=issuing.issuing_date,
        expected_finalization_date=issuing.finalization_date,
        payment_due_date=issuing.payment_due_date,
        net_payment_term=recipient.net_payment_term,
        timezone=recipient.zone_name,
        number=f"{recipient.entity.document_number_prefix}-DRAFT",
        sealed_at=now if seals else None,
        sealed_xact_id=min(seals, default=None),
        custom_sections=recipient.sections,
        purchase_order_number=orders.pop() if len(orders) == 1 else None,
        created_at=now,
        updated_at=now,
    )
    return BuiltInvoice(
        invoice=invoice,
        fees=fees,
        periods=[_period(one, invoice_id, now=now) for one in group],
        recipient=recipient,
        paid=_all_paid(
            paid for one in group for paid in (one.paid, *(late.paid for late in one.late))
        ),
        plan_codes={one.subscription.id: one.plan.code for one in group},
        plan_tax_codes={one.subscription.id: one.plan.tax_codes for one in group},
        progressive=[
            structs.replace(credit, fee_ids=_usage_of(one.subscription.id, fees))
            for one in group
            for credit in one.ahead.credits
        ],
    )


class Dates(Struct, frozen=True, kw_only=True):
    """The days that an invoice names, where the customer lives."""

    issuing_date: date
    finalization_date: date
    payment_due_date: date


def dated(
    at: datetime,
    recipient: Recipient,
    *,
    has_grace: bool = False,
    ends_a_period: bool = False,
    term: int | None = None,
) -> Dates:
    """When an invoice of this moment is issued, final, and to be paid.

    Source: Lago, issuing dates: aligned with the end of the grace period, or kept at the anchor,
    which is the day on which the next period begins, or the last of the one that has ended.
    """
    day = at.astimezone(recipient.zone).date()
    final = day + timedelta(days=recipient.grace_days if has_grace else 0)
    entity, issued = recipient.entity, final
    if has_grace and entity.subscription_invoice_issuing_date_adjustment == "keep_anchor":
        is_last = entity.subscription_invoice_issuing_date_anchor == "current_period_end"
        issued = day - timedelta(days=1) if is_last and ends_a_period else day
    return Dates(
        issuing_date=issued,
        finalization_date=final,
        payment_due_date=issued
        + timedelta(days=recipient.net_payment_term if term is None else term),
    )


def fees_of(one: Billable, place: FeePlace) -> list[Fee]:
    """The lines of one moment: the plan's amount, what is fixed, usage, and what came late."""
    fees: list[Fee] = []
    moment, plan = one.moment, one.plan
    if moment.fee_period is not None and plan.amount_cents:
        fees.append(_plan_fee(one, moment.fee_period, place))
    if one.terms is not None:
        fees += fixed_fees(place, one.subscription, moment, one.terms)
    if moment.charges_period is not None and one.usage is not None:
        billed = BilledUsage(
            usage=one.usage,
            bounds=moment.charges_period.part,
            metric_names=one.metric_names,
            followed_by=one.followed_by,
        )
        usage = one.ahead.without(usage_fees(place, billed), place, billed.bounds)
        fees += one.in_advance.without(usage, place, billed.bounds)
    if one.terms is not None:
        fees += commitment_fees(
            place,
            moment,
            one.terms,
            fees,
            billed_before=EXACT.add(one.billed_before, one.in_advance.precise_cents),
            has_own_fee_before=plan.pay_in_advance,
        )
    fees += late_fees(place, one.late)
    return fees


def _plan_fee(one: Billable, days: Days, place: FeePlace) -> Fee:
    plan = one.plan
    amount = subscription_fee(plan.amount_cents, days)
    return Fee(
        organization_id=place.organization_id,
        id=derived_id(
            place.parent_id, "subscription", place.subscription_id or "", one.moment.reason
        ),
        invoice_id=place.invoice_id,
        customer_id=place.customer_id,
        subscription_id=place.subscription_id,
        fee_type="subscription",
        item_code=plan.code,
        item_name=plan.name,
        invoice_display_name=plan.invoice_display_name,
        units=amount.units,
        amount_cents=amount.amount_cents,
        precise_amount_cents=amount.precise_amount_cents,
        precise_unit_amount=EXACT.scaleb(amount.precise_amount_cents, -CURRENCIES[place.currency]),
        amount_currency=place.currency,
        pay_in_advance=plan.pay_in_advance,
        from_datetime=days.part.start,
        to_datetime=days.part.end,
        created_at=place.now,
        updated_at=place.now,
    )


def _period(one: Billable, invoice_id: UUID, *, now: datetime) -> BilledPeriod:
    moment = one.moment
    fee, charges = moment.fee_period, moment.charges_period
    fixed = moment.fixed_charges_in_arrears or moment.fixed_charges_in_advance
    return BilledPeriod(
        organization_id=one.subscription.organization_id,
        subscription_id=one.subscription.id,
        billing_at=moment.billing_at,
        reason=moment.reason,
        invoice_id=invoice_id,
        plan_id=one.subscription.plan_id,
        from_at=fee.part.start if fee else None,
        to_at=fee.part.end if fee else None,
        charges_from_at=charges.part.start if charges else None,
        charges_to_at=charges.part.end if charges else None,
        fixed_charges_from_at=fixed.part.start if fixed else None,
        fixed_charges_to_at=fixed.part.end if fixed else None,
        sealed_xact_id=one.sealed_xact_id if charges or moment.reason == LATE_USAGE else None,
        moment=to_builtins(moment),
        created_at=now,
    )


def _usage_of(subscription_id: UUID, fees: Iterable[Fee]) -> frozenset[UUID]:
    """The lines of usage of a subscription."""
    return frozenset(
        fee.id
        for fee in fees
        if fee.subscription_id == subscription_id and fee.fee_type == "charge"
    )


def _all_paid(parts: Iterable[Paid]) -> Paid:
    grants: dict[UUID, int] = {}
    overage = 0
    for part in parts:
        overage += part.overage_minor
        for grant, amount in part.grants.items():
            grants[grant] = grants.get(grant, 0) + amount
    return Paid(grants=grants, overage_minor=overage)
