"""What a credit note is worth: parts of fees, less their share of the coupons, with their taxes.

Pure arithmetic in whole cents; every rounding is half away from zero. All that is credited of an
invoice never comes to more than the invoice, in sum and tax by tax: the note that credits the last
of it takes what the others left.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, field, structs

from invoicing.errors import Invalid
from invoicing.fees import Fee
from invoicing.invoices import Invoice

_RATE_SCALE: Final = 5
_ZERO: Final = Fraction(0)


class Item(Struct, frozen=True, kw_only=True):
    """How much of a fee is credited, before coupons and taxes."""

    fee_id: UUID
    amount_cents: int
    precise_amount_cents: Decimal

    @classmethod
    def of_days(cls, fee_id: UUID, precise_amount_cents: Decimal) -> "Item":
        """What days that were not used had cost, to the cent."""
        return cls(
            fee_id=fee_id,
            amount_cents=_rounded(Fraction(precise_amount_cents)),
            precise_amount_cents=precise_amount_cents,
        )


class NoteTax(Struct, frozen=True, kw_only=True):
    """What a note gives back of one tax: `amount_cents` on `base_amount_cents`."""

    tax_id: str | None
    tax_code: str
    tax_name: str
    tax_rate: Decimal
    tax_description: str | None
    base_amount_cents: int
    amount_cents: int


class Before(Struct, frozen=True, kw_only=True):
    """What notes have credited of an invoice so far; what was voided of them does not count."""

    fees: Mapping[UUID, int] = field(default_factory=dict[UUID, int])
    taxes: Mapping[str, int] = field(default_factory=dict[str, int])
    coupons_cents: int = 0
    total_cents: int = 0
    refunded_cents: int = 0

    def left_of(self, fee: Fee) -> int:
        """What may still be credited of a fee, before coupons and taxes."""
        return max(0, fee.amount_cents - self.fees.get(fee.id, 0))


class Amounts(Struct, frozen=True, kw_only=True):
    """A note's amounts: items less coupons, plus taxes, is its total."""

    items: list[Item]
    coupons_adjustment_amount_cents: int
    sub_total_excluding_taxes_amount_cents: int
    taxes_amount_cents: int
    taxes_rate: Decimal
    applied_taxes: list[NoteTax]

    @property
    def total_cents(self) -> int:
        """What credit, refund and offset add up to."""
        return self.sub_total_excluding_taxes_amount_cents + self.taxes_amount_cents


class Limits(Struct, frozen=True, kw_only=True):
    """The most that a note may credit, refund and set off; together never more than its total."""

    creditable_cents: int
    refundable_cents: int
    offsettable_cents: int


class Parts(Struct, frozen=True, kw_only=True):
    """Where a note's total goes: to later invoices, back to the payer, against the invoice."""

    credit_cents: int = 0
    refund_cents: int = 0
    offset_cents: int = 0

    @property
    def total_cents(self) -> int:
        """All of it."""
        return self.credit_cents + self.refund_cents + self.offset_cents


def amounts_of(
    items: Sequence[Item], *, invoice: Invoice, fees: Sequence[Fee], before: Before
) -> Amounts:
    """What these items come to.

    Source: Lago's credit notes: a fee's coupons and taxes come back by its share; taxes are added
    up and rounded tax by tax. Raises Invalid where an item is more than what is left of its fee.
    """
    by_id = {fee.id: fee for fee in fees}
    for position, item in enumerate(items):
        if item.amount_cents > before.left_of(by_id[item.fee_id]):
            raise Invalid.field(
                f"items.{position}.amount_cents", "higher_than_remaining_fee_amount"
            )
    shares = [
        (by_id[item.fee_id], Fraction(item.amount_cents, by_id[item.fee_id].amount_cents))
        for item in items
        if item.amount_cents
    ]
    is_last = _credits_all(items, fees=fees, before=before)
    coupons = sum(
        (Fraction(fee.precise_coupons_amount_cents) * part for fee, part in shares), _ZERO
    )
    coupons_cents = _of_rest(
        coupons, invoice.coupons_amount_cents - before.coupons_cents, takes_all=is_last
    )
    taxes = [
        _credited_tax(tax, shares, before=before, takes_all=is_last)
        for tax in invoice.applied_taxes
        if any(_bears(fee, tax["tax_code"]) for fee, _ in shares)
    ]
    sub_total = max(0, sum(item.amount_cents for item in items) - coupons_cents)
    return Amounts(
        items=list(items),
        coupons_adjustment_amount_cents=coupons_cents,
        sub_total_excluding_taxes_amount_cents=sub_total,
        taxes_amount_cents=sum(tax.amount_cents for tax in taxes),
        taxes_rate=_mean_rate(taxes, sub_total),
        applied_taxes=taxes,
    )


def limits_of(total_cents: int, *, invoice: Invoice, before: Before) -> Limits:
    """What may become of a total: what was paid may go back, what is due may be set off.

    What wallets and earlier notes paid of the invoice can be credited alone.
    """
    rest = max(0, invoice.sub_total_including_taxes_amount_cents - before.total_cents)
    creditable = min(total_cents, rest)
    paid = max(0, invoice.total_paid_amount_cents - before.refunded_cents)
    return Limits(
        creditable_cents=creditable,
        refundable_cents=min(creditable, paid),
        offsettable_cents=min(creditable, max(0, invoice.total_due_amount_cents)),
    )


def check_parts(parts: Parts, total_cents: int, limits: Limits) -> None:
    """Raise Invalid unless the parts make up the total, each within its limit."""
    if total_cents > limits.creditable_cents:
        raise Invalid.field("base", "higher_than_remaining_invoice_amount")
    for name, asked, limit in (
        ("credit_amount_cents", parts.credit_cents, limits.creditable_cents),
        ("refund_amount_cents", parts.refund_cents, limits.refundable_cents),
        ("offset_amount_cents", parts.offset_cents, limits.offsettable_cents),
    ):
        if asked > limit:
            raise Invalid.field(name, "higher_than_remaining_invoice_amount")
    if not parts.total_cents:
        raise Invalid.field("base", "total_amount_must_be_positive")
    if parts.total_cents != total_cents:
        raise Invalid.field(
            "base", "does_not_match_item_amounts", f"the items come to {total_cents} with taxes"
        )


def parts_of(mode: str, total_cents: int, *, invoice: Invoice, limits: Limits) -> Parts:
    """How the credit of an ended subscription is given: `credit`, `refund` or `offset`.

    A refund gives back as much of it as was paid of the invoice, a half where a half was paid;
    an offset lowers what is due. The rest is credited. Source: Lago `terminate_manually_spec`.
    """
    total = min(total_cents, limits.creditable_cents)
    refund = offset = 0
    if mode == "refund" and invoice.sub_total_including_taxes_amount_cents:
        paid = Fraction(
            invoice.total_paid_amount_cents, invoice.sub_total_including_taxes_amount_cents
        )
        refund = min(_rounded(paid * total), limits.refundable_cents)
    elif mode == "offset":
        offset = limits.offsettable_cents
    return Parts(credit_cents=total - refund - offset, refund_cents=refund, offset_cents=offset)


def within(items: Sequence[Item], *, fees: Sequence[Fee], before: Before) -> list[Item]:
    """The items, lowered to what is left of their fees; those that have nothing left are gone."""
    by_id = {fee.id: fee for fee in fees}
    lowered: list[Item] = []
    for item in items:
        left = before.left_of(by_id[item.fee_id])
        if left and item.amount_cents:
            lowered.append(
                item
                if item.amount_cents <= left
                else structs.replace(item, amount_cents=left, precise_amount_cents=Decimal(left))
            )
    return lowered


def _credits_all(items: Sequence[Item], *, fees: Sequence[Fee], before: Before) -> bool:
    """Whether nothing is left to be credited of the invoice after these items."""
    now: dict[UUID, int] = {}
    for item in items:
        now[item.fee_id] = now.get(item.fee_id, 0) + item.amount_cents
    return all(before.left_of(fee) == now.get(fee.id, 0) for fee in fees)


def _bears(fee: Fee, tax_code: str) -> bool:
    return any(applied["tax_code"] == tax_code for applied in fee.applied_taxes)


def _credited_tax(
    tax: Mapping[str, Any],
    shares: Sequence[tuple[Fee, Fraction]],
    *,
    before: Before,
    takes_all: bool,
) -> NoteTax:
    """What comes back of one of the invoice's taxes."""
    base = amount = _ZERO
    for fee, part in shares:
        for applied in fee.applied_taxes:
            if applied["tax_code"] == tax["tax_code"] and fee.taxes_rate:
                net = Fraction(fee.amount_cents) - Fraction(fee.precise_coupons_amount_cents)
                base += net * part
                weight = Fraction(applied["tax_rate"]) / Fraction(fee.taxes_rate)
                amount += Fraction(fee.taxes_precise_amount_cents) * weight * part
    rest = int(tax["amount_cents"]) - before.taxes.get(tax["tax_code"], 0)
    return NoteTax(
        tax_id=tax.get("lago_tax_id"),
        tax_code=tax["tax_code"],
        tax_name=tax["tax_name"],
        tax_rate=Decimal(tax["tax_rate"]),
        tax_description=tax.get("tax_description"),
        base_amount_cents=_rounded(base),
        amount_cents=_of_rest(amount, rest, takes_all=takes_all),
    )


def _of_rest(amount: Fraction, rest: int, *, takes_all: bool) -> int:
    """An amount to the cent, or what is left where that is less, or where this is the last."""
    rest = max(0, rest)
    return rest if takes_all else min(_rounded(amount), rest)


def _mean_rate(taxes: Sequence[NoteTax], sub_total_cents: int) -> Decimal:
    """The rate of all taxes together, weighted by what they are on; in percent."""
    if not sub_total_cents:
        return Decimal(0)
    mean = sum(
        (Fraction(tax.tax_rate) * tax.base_amount_cents / sub_total_cents for tax in taxes), _ZERO
    )
    return Decimal(_rounded(mean * 10**_RATE_SCALE)).scaleb(-_RATE_SCALE)


def _rounded(amount: Fraction) -> int:
    """Half away from zero; nothing here is negative."""
    assert amount >= 0, "credits are not negative"
    return int(amount + Fraction(1, 2))
