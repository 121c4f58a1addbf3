"""Invoices as records, without a database: fees with a share of coupons, and taxes on each."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.tax_shares import TaxTerms, apply_taxes, as_json
from ledger.ids import new_uuid

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORGANIZATION = UUID(int=1)
CUSTOMER = UUID(int=2)
ENTITY = UUID(int=3)


def tax_of(rate: str) -> TaxTerms:
    """A tax of so many percent."""
    return TaxTerms(code=f"tax_{rate}", name=f"Tax {rate} %", rate=Decimal(rate))


def fee_of(
    amount_cents: int, *taxes: str, coupons: str = "0", currency: str = "EUR", **terms: Any
) -> Fee:
    """A fee of so many cents, of which coupons take a part, with taxes of these rates."""
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
        "created_at": NOW,
        "updated_at": NOW,
    }
    fee = Fee(**known | terms)
    return apply_taxes([fee], {fee.id: [tax_of(one) for one in taxes]}).fees[0]


def invoice_of(*fees: Fee, paid: int = 0, prepaid: int = 0, **terms: Any) -> Invoice:
    """A final invoice with these fees."""
    fees_cents = sum(fee.amount_cents for fee in fees)
    coupons = int(
        sum((fee.precise_coupons_amount_cents for fee in fees), Decimal(0)).to_integral_value(
            ROUND_HALF_UP
        )
    )
    taxed = apply_taxes(
        fees,
        {
            fee.id: [tax_of(tax["tax_code"].removeprefix("tax_")) for tax in fee.applied_taxes]
            for fee in fees
        },
    )
    taxes_cents = taxed.taxes_amount_cents
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
        "applied_taxes": [as_json(tax) for tax in taxed.applied_taxes],
        "taxes_rate": taxed.taxes_rate,
        "content_hash": b"",
        "finalized_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Invoice(**known | terms)
