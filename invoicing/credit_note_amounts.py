"""What a credit note is worth: parts of fees, less their share of the coupons, with their taxes.

Pure arithmetic in whole cents; every rounding is half away from zero. All that is credited of an
invoice never comes to more than the invoice, in sum and tax by tax: the note that credits the last
line with a tax takes what the others left of it, and so for coupons.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias
from uuid import UUID

from msgspec import Struct, field, structs

from invoicing.errors import Invalid
from invoicing.fees import Fee
from invoicing.invoices import Invoice

TaxKey: TypeAlias = tuple[str, Decimal]
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

    @property
    def key(self) -> TaxKey:
        """What tells it from others: a tax that has changed its rate is another one."""
        return self.tax_code, self.tax_rate


class Before(Struct, frozen=True, kw_only=True):
    """What notes have credited of an invoice so far; what was voided of them does not count."""

    fees: Mapping[UUID, int] = field(default_factory=dict[UUID, int])
    taxes: Mapping[TaxKey, int] = field(default_factory=dict[TaxKey, int])
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
    up and rounded tax by tax. What a progressive invoice has billed of a fee counts as its coupons
    do. Raises Invalid where an item is more than what is left of its fee.
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
    left = _left_after(items, fees=fees, before=before)
    coupons = sum(
        (Fraction(fee.precise_coupons_amount_cents) * part for fee, part in shares), _ZERO
    )
    lowered = invoice.coupons_amount_cents + invoice.progressive_billing_credit_amount_cents
    coupons_cents = _of_rest(
        coupons,
        lowered - before.coupons_cents,
        takes_all=not any(left[fee.id] for fee in fees if fee.precise_coupons_amount_cents),
    )
    taxes = [
        _credited_tax(
            tax,
            shares,
            before=before,
            takes_all=not any(left[fee.id] for fee in fees if _taxes_of(fee, _key(tax))),
        )
        for tax in invoice.applied_taxes
        if any(_taxes_of(fee, _key(tax)) for fee, _ in shares)
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
    if invoice.payment_dispute_lost_at is not None:
        paid = 0  # the payer's bank has given it back
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


def _left_after(
    items: Sequence[Item], *, fees: Sequence[Fee], before: Before
) -> Mapping[UUID, int]:
    """What these items leave to be credited of each fee."""
    left = {fee.id: before.left_of(fee) for fee in fees}
    for item in items:
        left[item.fee_id] -= item.amount_cents
    return left


def _key(tax: Mapping[str, Any]) -> TaxKey:
    """What tells a tax of an invoice or of a fee from others."""
    return tax["tax_code"], Decimal(tax["tax_rate"])


def _taxes_of(fee: Fee, key: TaxKey) -> list[dict[str, Any]]:
    return [tax for tax in fee.applied_taxes if _key(tax) == key]


def _credited_tax(
    tax: Mapping[str, Any],
    shares: Sequence[tuple[Fee, Fraction]],
    *,
    before: Before,
    takes_all: bool,
) -> NoteTax:
    """What comes back of one of the invoice's taxes."""
    key = _key(tax)
    base = amount = _ZERO
    for fee, part in shares:
        for applied in _taxes_of(fee, key):
            net = Fraction(fee.amount_cents) - Fraction(fee.precise_coupons_amount_cents)
            base += net * part
            amount += Fraction(applied["precise_amount_cents"]) * part
    rest = int(tax["amount_cents"]) - before.taxes.get(key, 0)
    return NoteTax(
        tax_id=tax["tax_id"],
        tax_code=tax["tax_code"],
        tax_name=tax["tax_name"],
        tax_rate=Decimal(tax["tax_rate"]),
        tax_description=tax["tax_description"],
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
