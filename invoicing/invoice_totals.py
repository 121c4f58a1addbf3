"""What an invoice comes to, in the order in which it is computed. Pure.

    fees ─► progressive credits ─► coupons ─► taxes ─► credit notes ─► (finalised:) prepaid

All amounts of an invoice are whole cents. Nothing falls below zero: a credit takes off what there
is, and keeps the rest. Source: Lago, computation of invoices.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing.coupon_shares import UsableCoupon, apply_coupons, lower, net_cents
from invoicing.currencies import CURRENCIES
from invoicing.derived_ids import derived_id
from invoicing.errors import Invalid
from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoices import Invoice
from invoicing.settlements import Payable, SettleRequest
from invoicing.tax_shares import TaxTerms, apply_taxes, as_json
from ledger.money import MAX_MINOR, Rounding, rescale
from rating.exact import EXACT, ZERO

__all__ = [
    "MONEY_SCALE",
    "Deductions",
    "ProgressiveCredit",
    "TotalledInvoice",
    "UsableCreditNote",
    "check_bookable",
    "minor_of",
    "most_cents",
    "settle_request",
    "total_up",
]

MONEY_SCALE: Final = 9
"""Of the assets that currencies are."""

_WALLETS_PAY: Final = frozenset({"subscription", "progressive_billing"})
"""What is bought once is not paid from wallets, and neither are wallets. Source: Lago."""


class ProgressiveCredit(Struct, frozen=True, kw_only=True):
    """What a progressive invoice has billed already of the same usage."""

    invoice_id: UUID
    number: str
    amount_cents: int
    fee_ids: frozenset[UUID] | None = None
    """The lines that bill the same; None: all of them."""


class UsableCreditNote(Struct, frozen=True, kw_only=True):
    """What is left of the credit of a note."""

    id: UUID
    number: str
    balance_cents: int


class Deductions(Struct, frozen=True, kw_only=True):
    """What may lower an invoice, and what taxes it."""

    progressive: Sequence[ProgressiveCredit] = ()
    coupons: Sequence[UsableCoupon] = ()
    plan_codes: Mapping[UUID, str] = {}
    """By subscription: coupons may be for some plans."""
    taxes_of_fee: Mapping[UUID, Sequence[TaxTerms]] = {}
    credit_notes: Sequence[UsableCreditNote] = ()
    """In the order in which they are used: the oldest first."""


class TotalledInvoice(Struct, frozen=True, kw_only=True):
    """An invoice with its lines, and what lowered it."""

    invoice: Invoice
    fees: list[Fee]
    credits: list[InvoiceCredit]


def total_up(
    invoice: Invoice, fees: Sequence[Fee], deductions: Deductions, *, now: datetime
) -> TotalledInvoice:
    """Compute all amounts but for what is prepaid, which the book says when it is settled.

    Until then `prepaid_credit_amount_cents` is what had been debited in real time, in whole cents
    that are paid for certain.
    """
    currency = invoice.currency
    lines = [
        structs.replace(fee, position=position, precise_coupons_amount_cents=ZERO)
        for position, fee in enumerate(fees)
    ]
    credits_: list[InvoiceCredit] = []
    lines, progressive = _take_progressive(invoice, lines, deductions.progressive, credits_, now)
    lines, coupons = apply_coupons(
        lines, deductions.coupons, currency=currency, plan_codes=deductions.plan_codes
    )
    credits_ += [
        _credit(
            invoice, "coupon", one.applied_coupon_id, (one.code, one.name), one.amount_cents, now
        )
        for one in coupons
    ]
    taxed = apply_taxes(lines, deductions.taxes_of_fee)
    fees_cents = sum(fee.amount_cents for fee in lines)
    coupons_cents = sum(coupon.amount_cents for coupon in coupons)
    excluding = fees_cents - progressive - coupons_cents
    including = excluding + taxed.taxes_amount_cents
    notes = _take_notes(invoice, deductions.credit_notes, including, credits_, now)
    payable = including - notes
    debited = reduce(EXACT.add, (fee.debited_minor for fee in taxed.fees), ZERO)
    prepaid = min(max(_whole_cents(debited, currency), 0), max(payable, 0))
    computed = structs.replace(
        invoice,
        fees_amount_cents=fees_cents,
        progressive_billing_credit_amount_cents=progressive,
        coupons_amount_cents=coupons_cents,
        taxes_amount_cents=taxed.taxes_amount_cents,
        taxes_rate=taxed.taxes_rate,
        applied_taxes=[as_json(tax) for tax in taxed.applied_taxes],
        sub_total_excluding_taxes_amount_cents=excluding,
        sub_total_including_taxes_amount_cents=including,
        credit_notes_amount_cents=notes,
        prepaid_credit_amount_cents=prepaid,
        debited_amount_minor=debited,
        total_amount_cents=payable - prepaid,
    )
    return TotalledInvoice(invoice=computed, fees=taxed.fees, credits=credits_)


def settle_request(
    invoice: Invoice, fees: Iterable[Fee], *, paid: Mapping[UUID, int], overage_minor: int = 0
) -> SettleRequest:
    """What the book is asked for when an invoice is finalised.

    `paid` is which grants had paid for its usage when it happened, and `overage_minor` what nobody
    could pay of it then.
    """
    currency = invoice.currency
    debited = int(invoice.debited_amount_minor)
    overage = min(overage_minor, max(debited, 0))
    return SettleRequest(
        invoice_id=invoice.id,
        revision=invoice.revision,
        currency=currency,
        invoice_type=invoice.invoice_type,
        fees_minor=minor_of(invoice.fees_amount_cents, currency),
        progressive_minor=minor_of(invoice.progressive_billing_credit_amount_cents, currency),
        coupons_minor=minor_of(invoice.coupons_amount_cents, currency),
        taxes_minor=minor_of(invoice.taxes_amount_cents, currency),
        credit_notes_minor=minor_of(invoice.credit_notes_amount_cents, currency),
        debited_minor=debited - overage,
        overage_minor=overage,
        debited_from=_at_most(paid, debited - overage),
        payables=[_payable(fee) for fee in fees],
        uses_wallets=invoice.invoice_type in _WALLETS_PAY,
    )


def _at_most(paid: Mapping[UUID, int], most: int) -> dict[UUID, int]:
    """Who paid, and no more than was debited: events of one instant may be known twice."""
    left = max(most, 0)
    found: dict[UUID, int] = {}
    for grant, amount in sorted(paid.items()):
        found[grant] = min(max(amount, 0), left)
        left -= found[grant]
    return {grant: amount for grant, amount in found.items() if amount}


def minor_of(cents: int, currency: str) -> int:
    """Cents in the smallest unit of the currency's asset."""
    return rescale(
        cents, scale=CURRENCIES[currency], to_scale=MONEY_SCALE, rounding=Rounding.HALF_AWAY
    )


def most_cents(currency: str) -> int:
    """The most that the book counts at once, in whole cents: about 9.2 billion euros."""
    return MAX_MINOR // minor_of(1, currency)


def check_bookable(invoice: Invoice) -> None:
    """Raise Invalid where an invoice comes to more than the book could ever settle.

    It is asked before anything is stored: what is fixed has to be settled one day. What is bought
    (`credit`) is booked as a purchase, not as an invoice.
    """
    if invoice.invoice_type == "credit":
        return
    net = invoice.fees_amount_cents - invoice.progressive_billing_credit_amount_cents
    debited = _whole_cents(invoice.debited_amount_minor, invoice.currency)
    amounts = {
        "fees": (
            *(invoice.fees_amount_cents, net, net - debited, debited),
            *(invoice.coupons_amount_cents, invoice.credit_notes_amount_cents),
        ),
        "taxes": (invoice.taxes_amount_cents, invoice.total_amount_cents),
    }
    # A cent is left for what is rounded: what was debited is counted in less than cents.
    most = most_cents(invoice.currency) - 1
    for field, cents in amounts.items():
        if max(map(abs, cents)) > most:
            raise Invalid.field(field, "value_is_out_of_range")


def _whole_cents(minor: Decimal, currency: str) -> int:
    return rescale(
        int(minor), scale=MONEY_SCALE, to_scale=CURRENCIES[currency], rounding=Rounding.DOWN
    )


def _payable(fee: Fee) -> Payable:
    """What is left to pay of a line."""
    gross = EXACT.add(net_cents(fee), fee.taxes_precise_amount_cents)
    gross_minor = EXACT.scaleb(gross, MONEY_SCALE - CURRENCIES[fee.amount_currency])
    left = EXACT.subtract(gross_minor, fee.debited_minor)
    return Payable(
        fee_id=fee.id,
        fee_type=fee.fee_type,
        billable_metric_code=fee.billable_metric_code,
        amount_minor=int(left.to_integral_value(Rounding.HALF_AWAY)),
    )


def _take_progressive(
    invoice: Invoice,
    lines: list[Fee],
    progressive: Sequence[ProgressiveCredit],
    credits_: list[InvoiceCredit],
    now: datetime,
) -> tuple[list[Fee], int]:
    """Take off what was billed on the way, as far as the lines go."""
    taken = 0
    for credit in progressive:
        meant = [fee for fee in lines if credit.fee_ids is None or fee.id in credit.fee_ids]
        left = int(sum((max(net_cents(fee), ZERO) for fee in meant), ZERO))
        amount = min(credit.amount_cents, left)
        if amount <= 0:
            continue
        lines = lower(lines, amount, only={fee.id for fee in meant})
        taken += amount
        named = credit.number, credit.number
        credits_.append(
            _credit(invoice, "progressive_billing", credit.invoice_id, named, amount, now)
        )
    return lines, taken


def _take_notes(
    invoice: Invoice,
    notes: Sequence[UsableCreditNote],
    including: int,
    credits_: list[InvoiceCredit],
    now: datetime,
) -> int:
    left = including
    for note in notes:
        amount = min(note.balance_cents, left)
        if amount > 0:
            left -= amount
            named = note.number, note.number
            credits_.append(_credit(invoice, "credit_note", note.id, named, amount, now))
    return including - left


def _credit(
    invoice: Invoice,
    kind: str,
    source_id: UUID,
    named: tuple[str, str],
    amount_cents: int,
    now: datetime,
) -> InvoiceCredit:
    return InvoiceCredit(
        organization_id=invoice.organization_id,
        id=derived_id(invoice.id, kind, source_id),
        invoice_id=invoice.id,
        kind=kind,
        source_id=source_id,
        item_code=named[0],
        item_name=named[1],
        amount_cents=amount_cents,
        amount_currency=invoice.currency,
        before_taxes=kind != "credit_note",
        created_at=now,
    )
