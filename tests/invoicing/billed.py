"""Invoices as records, without a database: fees with a share of coupons, and taxes on each."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from invoicing.fees import Fee
from invoicing.invoices import Invoice
from ledger.ids import new_uuid

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORGANIZATION = UUID(int=1)
CUSTOMER = UUID(int=2)
ENTITY = UUID(int=3)


def tax_of(rate: str, code: str | None = None) -> dict[str, Any]:
    """A tax as fees and invoices keep it."""
    return {
        "lago_tax_id": None,
        "tax_code": code or f"tax_{rate}",
        "tax_name": f"Tax {rate} %",
        "tax_rate": Decimal(rate),
        "tax_description": None,
    }


def fee_of(
    amount_cents: int, *taxes: str, coupons: str = "0", currency: str = "EUR", **terms: Any
) -> Fee:
    """A fee of so many cents, of which coupons take a part, with taxes of these rates."""
    net = amount_cents - Decimal(coupons)
    rate = sum((Decimal(one) for one in taxes), Decimal(0))
    precise = net * rate / 100
    known: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "id": new_uuid(NOW),
        "customer_id": CUSTOMER,
        "fee_type": "subscription",
        "item_code": "plan",
        "item_name": "Plan",
        "amount_cents": amount_cents,
        "precise_amount_cents": Decimal(amount_cents),
        "amount_currency": currency,
        "precise_coupons_amount_cents": Decimal(coupons),
        "taxes_rate": rate,
        "taxes_precise_amount_cents": precise,
        "taxes_amount_cents": _cents(precise),
        "applied_taxes": [
            tax_of(one) | {"amount_cents": _cents(net * Decimal(one) / 100)} for one in taxes
        ],
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Fee(**known | terms)


def invoice_of(*fees: Fee, paid: int = 0, prepaid: int = 0, **terms: Any) -> Invoice:
    """A final invoice with these fees; taxes are added up over fees and then rounded, as Lago's."""
    fees_cents = sum(fee.amount_cents for fee in fees)
    coupons = _cents(sum((fee.precise_coupons_amount_cents for fee in fees), Decimal(0)))
    taxes = _taxes(*fees)
    taxes_cents = sum(tax["amount_cents"] for tax in taxes)
    gross = fees_cents - coupons + taxes_cents
    known: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "id": new_uuid(NOW),
        "customer_id": CUSTOMER,
        "billing_entity_id": ENTITY,
        "invoice_type": "subscription",
        "status": "finalized",
        "currency": "EUR",
        "number": "ACM-0001-001-001",
        "issuing_date": date(2026, 3, 10),
        "payment_due_date": date(2026, 3, 10),
        "net_payment_term": 0,
        "timezone": "UTC",
        "fees_amount_cents": fees_cents,
        "coupons_amount_cents": coupons,
        "taxes_amount_cents": taxes_cents,
        "sub_total_excluding_taxes_amount_cents": fees_cents - coupons,
        "sub_total_including_taxes_amount_cents": gross,
        "prepaid_credit_amount_cents": prepaid,
        "total_amount_cents": gross - prepaid,
        "total_paid_amount_cents": paid,
        "applied_taxes": taxes,
        "content_hash": b"",
        "finalized_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Invoice(**known | terms)


def _taxes(*fees: Fee) -> list[dict[str, Any]]:
    sums: dict[str, Decimal] = {}
    known: dict[str, dict[str, Any]] = {}
    for fee in fees:
        net = fee.amount_cents - fee.precise_coupons_amount_cents
        for tax in fee.applied_taxes:
            code = tax["tax_code"]
            known[code] = tax
            sums[code] = sums.get(code, Decimal(0)) + net * tax["tax_rate"] / 100
    return [known[code] | {"amount_cents": _cents(total)} for code, total in sums.items()]


def _cents(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_UP))
