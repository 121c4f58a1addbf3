"""What taxes add to an invoice and to each of its lines.

A tax is of a line's amount net of its coupons. It is summed over all lines of the invoice exactly,
and then rounded once for each tax, half away from zero.
Source: Lago's invoices (fees of 100, 50, 30 and 20 less a coupon of 10, taxes of 10, 0 and 20 %:
19.00, and 209.00 in all).
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import Struct, structs

from invoicing.coupon_shares import net_cents
from invoicing.fees import Fee

RATE_DECIMALS: Final = 5
_PRECISE: Final = Context(prec=100, rounding=ROUND_HALF_UP)
_RATE_STEP: Final = Decimal(1).scaleb(-RATE_DECIMALS)


class TaxTerms(Struct, frozen=True, kw_only=True):
    """A tax as it is applied: ours, or one that a tax service names, which has no id."""

    code: str
    name: str
    rate: Decimal
    """20 is a fifth."""
    description: str | None = None
    tax_id: UUID | None = None


class AppliedTax(Struct, frozen=True, kw_only=True):
    """One tax of an invoice, or of a line: what it is of, and what it is."""

    tax_id: UUID | None
    tax_code: str
    tax_name: str
    tax_rate: Decimal
    tax_description: str | None
    amount_cents: int
    precise_amount_cents: Decimal
    fees_amount_cents: int
    """What it is a tax of: lines net of coupons."""


class Taxed(NamedTuple):
    """An invoice's lines with their taxes, and the taxes of all of it."""

    fees: list[Fee]
    applied_taxes: list[AppliedTax]
    taxes_amount_cents: int
    taxes_rate: Decimal
    """The rate of the whole, to five decimals."""


def taxes_of(fee: Fee) -> list[TaxTerms]:
    """The taxes that a line was taxed by."""
    return [
        TaxTerms(
            code=tax["tax_code"],
            name=tax["tax_name"],
            rate=Decimal(tax["tax_rate"]),
            description=tax["tax_description"],
            tax_id=None if tax["tax_id"] is None else UUID(tax["tax_id"]),
        )
        for tax in fee.applied_taxes
    ]


def apply_taxes(fees: Sequence[Fee], taxes_of_fee: Mapping[UUID, Sequence[TaxTerms]]) -> Taxed:
    """Tax each line by the taxes that are its own; `taxes_of_fee` has them by the line's id.

    Call it when coupons have lowered the lines. The invoice's taxes are ordered by their codes.
    """
    taxed: list[Fee] = []
    terms: dict[tuple[str, Decimal], TaxTerms] = {}
    bases: dict[tuple[str, Decimal], Decimal] = {}
    for fee in fees:
        taxes = _distinct(taxes_of_fee.get(fee.id, ()))
        taxed.append(_with_taxes(fee, taxes))
        for tax in taxes:
            key = (tax.code, tax.rate)
            terms.setdefault(key, tax)
            bases[key] = _PRECISE.add(bases.get(key, Decimal(0)), net_cents(fee))
    applied = [_applied(terms[key], bases[key]) for key in sorted(terms)]
    amount = sum(tax.amount_cents for tax in applied)
    return Taxed(taxed, applied, amount, _rate_of(taxed))


def with_given_taxes(fee: Fee, applied: Sequence[AppliedTax]) -> Fee:
    """A line with taxes that were computed elsewhere."""
    precise = _sum(tax.precise_amount_cents for tax in applied)
    rate = _sum(tax.tax_rate for tax in applied)
    return structs.replace(
        fee,
        applied_taxes=[as_json(tax) for tax in applied],
        taxes_precise_amount_cents=precise,
        taxes_amount_cents=_round(precise),
        taxes_rate=rate,
    )


def as_json(tax: AppliedTax) -> dict[str, Any]:
    """For the `applied_taxes` columns of fees, invoices and credit notes."""
    return {**structs.asdict(tax), "tax_id": None if tax.tax_id is None else str(tax.tax_id)}


def _distinct(taxes: Sequence[TaxTerms]) -> list[TaxTerms]:
    """Each tax once, whatever named it how often."""
    return list({(tax.code, tax.rate): tax for tax in taxes}.values())


def _with_taxes(fee: Fee, taxes: Sequence[TaxTerms]) -> Fee:
    return with_given_taxes(fee, [_applied(tax, net_cents(fee)) for tax in taxes])


def _applied(tax: TaxTerms, base_cents: Decimal) -> AppliedTax:
    precise = _PRECISE.multiply(base_cents, tax.rate).scaleb(-2, _PRECISE)
    return AppliedTax(
        tax_id=tax.tax_id,
        tax_code=tax.code,
        tax_name=tax.name,
        tax_rate=tax.rate,
        tax_description=tax.description,
        amount_cents=_round(precise),
        precise_amount_cents=precise,
        fees_amount_cents=_round(base_cents),
    )


def _rate_of(fees: Sequence[Fee]) -> Decimal:
    """The lines' rates, weighted by what the lines are; by their number if they are nothing."""
    if not fees:
        return Decimal(0)
    weights = [net_cents(fee) for fee in fees]
    total = _sum(weights)
    if not total:
        weights, total = [Decimal(1)] * len(fees), Decimal(len(fees))
    weighted = _sum(
        _PRECISE.multiply(fee.taxes_rate, weight) for fee, weight in zip(fees, weights, strict=True)
    )
    return _PRECISE.divide(weighted, total).quantize(_RATE_STEP, context=_PRECISE)


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _PRECISE.add(total, value)
    return total


def _round(cents: Decimal) -> int:
    return int(cents.to_integral_value(ROUND_HALF_UP, _PRECISE))
