"""Tax services: others who say what an invoice's lines are taxed by.

A service is asked when the lines are known and before anything is written. It names rates for every
line, or fails: then the invoice is `failed` with `tax_error`, nothing is taken or booked, and a
retry asks again. What a rate comes to, net of coupons, is computed here as for taxes of our own.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from invoicing.billing_entities import BillingEntity
from invoicing.customers import Customer
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.tax_shares import TaxTerms

TAX_ERROR = "tax_error"
"""The `error_code` of an invoice whose taxes nobody could say."""


UNREACHABLE = "unreachable"
"""The reason where nobody has answered: another try may be, and others are not answered either."""


class TaxServiceFailed(Exception):
    """The service did not answer, or not for every line. `reason` is stable, the text is not."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TaxedPlace(Struct, frozen=True, kw_only=True):
    """Who buys or sells, as far as taxes depend on it."""

    country: str | None
    state: str | None
    city: str | None
    zipcode: str | None
    address_line1: str | None
    tax_identification_number: str | None


class TaxedLine(Struct, frozen=True, kw_only=True):
    """A line to be taxed. Amounts are before coupons, in the currency's minor unit."""

    id: UUID
    type: str
    item_code: str
    name: str
    units: Decimal
    amount_cents: int


class TaxQuestion(Struct, frozen=True, kw_only=True):
    """What a tax service is asked for one invoice."""

    invoice_id: UUID
    issuing_date: date
    currency: str
    external_customer_id: str
    customer: TaxedPlace
    billing_entity_code: str
    billing_entity: TaxedPlace
    lines: list[TaxedLine]


class TaxService(Protocol):
    """Whoever says taxes."""

    async def taxes(self, question: TaxQuestion, /) -> Mapping[UUID, Sequence[TaxTerms]]:
        """The taxes of each line, by its id: every line is there. Raises TaxServiceFailed."""
        ...


def question_of(
    invoice: Invoice, fees: Sequence[Fee], customer: Customer, entity: BillingEntity
) -> TaxQuestion:
    """What is asked of an invoice's lines; credits that are bought are not taxed."""
    return TaxQuestion(
        invoice_id=invoice.id,
        issuing_date=invoice.issuing_date,
        currency=invoice.currency,
        external_customer_id=customer.external_id,
        customer=_place(customer),
        billing_entity_code=entity.code,
        billing_entity=_place(entity),
        lines=[
            TaxedLine(
                id=fee.id,
                type=fee.fee_type,
                item_code=fee.item_code,
                name=fee.invoice_display_name or fee.item_name,
                units=fee.units,
                amount_cents=fee.amount_cents,
            )
            for fee in fees
            if fee.fee_type != "credit"
        ],
    )


def not_asked() -> list[dict[str, Any]]:
    """What an invoice says of its taxes that is only foreseen: nobody was asked."""
    return [{"error_code": TAX_ERROR, "details": {TAX_ERROR: "not_asked", "message": "not asked"}}]


def error_details(failure: TaxServiceFailed) -> list[dict[str, Any]]:
    """What a failed invoice says of its failure."""
    details = {TAX_ERROR: failure.reason, "message": f"{failure}"[:500]}
    return [{"error_code": TAX_ERROR, "details": details}]


def is_silent(problems: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an invoice has failed (`error_details`) because nobody answered."""
    return any(one["details"].get(TAX_ERROR) == UNREACHABLE for one in problems)


def _place(party: Customer | BillingEntity) -> TaxedPlace:
    return TaxedPlace(**{name: getattr(party, name) for name in TaxedPlace.__struct_fields__})
