"""What an invoice is shown with, in Lago's shape: who is billed, for when, and what lowered it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from invoicing.billed_periods import BilledPeriod
from invoicing.customers import Customer
from invoicing.derived_ids import derived_id
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoices import Invoice
from invoicing.records import Record
from wallet_service.fee_bodies import last_moment
from wallet_service.replies import iso

__all__ = [
    "BilledCustomer",
    "BillingPeriodBody",
    "CreditBody",
    "InvoiceMetadataBody",
    "InvoiceSection",
    "InvoiceTax",
    "InvoicedSubscription",
    "InvoicedSubscriptionRow",
]

_CREDIT_TYPES: Final[Mapping[str, str]] = {
    "coupon": "coupon",
    "credit_note": "credit_note",
    "progressive_billing": "invoice",
}
"""What Lago calls the thing that lowered an invoice, by our kind of it."""


class BilledAddress(Struct, kw_only=True):
    """Where something is sent."""

    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    zipcode: str | None = None
    state: str | None = None
    country: str | None = None


class CustomerMetadataBody(Struct, kw_only=True):
    """One thing that is remembered of a customer."""

    lago_id: str
    key: str
    value: str
    display_in_invoice: bool
    created_at: str


class BilledCustomer(Struct, kw_only=True):
    """A customer, as it was when it was billed."""

    lago_id: str
    external_id: str
    name: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    customer_type: str | None = None
    email: str | None = None
    legal_name: str | None = None
    legal_number: str | None = None
    tax_identification_number: str | None = None
    phone: str | None = None
    url: str | None = None
    logo_url: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None
    shipping_address: BilledAddress = msgspec.field(default_factory=BilledAddress)
    currency: str | None = None
    timezone: str | None = None
    applicable_timezone: str
    net_payment_term: int | None = None
    finalize_zero_amount_invoice: str = "inherit"
    skip_invoice_custom_sections: bool = False
    billing_entity_code: str | None = None
    metadata: list[CustomerMetadataBody] = []
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, invoice: Invoice, now_known: Customer | None) -> "BilledCustomer | None":
        """Show who was billed; `now_known` is for what the invoice does not say by itself."""
        stored: dict[str, Any] = {} if now_known is None else msgspec.to_builtins(now_known)
        return cls.of_stored(stored | (invoice.customer_as_billed or {}), zone=invoice.timezone)

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any], *, zone: str) -> "BilledCustomer | None":
        """Show who was billed as it was stored with the invoice, if it was, in its zone."""
        if "created_at" not in stored:
            return None
        metadata = [{**entry, "lago_id": entry["id"]} for entry in stored.get("metadata") or ()]
        changed = stored.get("updated_at") or stored["created_at"]
        return msgspec.convert(
            {
                **stored,
                "lago_id": stored["id"],
                "shipping_address": stored.get("shipping_address") or {},
                "applicable_timezone": zone,
                "metadata": metadata,
                "created_at": iso(datetime.fromisoformat(stored["created_at"])),
                "updated_at": iso(datetime.fromisoformat(changed)),
            },
            cls,
        )


class InvoiceTax(Struct, kw_only=True):
    """A tax on an invoice, summed over its lines."""

    lago_id: UUID
    lago_invoice_id: UUID
    lago_tax_id: UUID | None
    tax_name: str
    tax_code: str
    tax_rate: float
    tax_description: str | None
    amount_cents: int
    amount_currency: str
    fees_amount_cents: int
    created_at: str

    @classmethod
    def of(cls, tax: Mapping[str, Any], invoice: Invoice) -> "InvoiceTax":
        """Show a tax."""
        return cls(
            lago_id=derived_id(invoice.id, "tax", tax["tax_code"], str(tax["tax_rate"])),
            lago_invoice_id=invoice.id,
            lago_tax_id=None if tax["tax_id"] is None else UUID(tax["tax_id"]),
            tax_name=tax["tax_name"],
            tax_code=tax["tax_code"],
            tax_rate=float(Decimal(tax["tax_rate"])),
            tax_description=tax["tax_description"],
            amount_cents=tax["amount_cents"],
            amount_currency=invoice.currency,
            fees_amount_cents=tax["fees_amount_cents"],
            created_at=iso(invoice.created_at),
        )


class InvoiceMetadataBody(Struct, kw_only=True):
    """One thing that is remembered of an invoice."""

    lago_id: str
    key: str
    value: str
    created_at: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "InvoiceMetadataBody":
        """Show an entry as stored."""
        return cls(
            lago_id=entry["id"],
            key=entry["key"],
            value=entry["value"],
            created_at=entry["created_at"],
        )


class InvoiceSection(Struct, kw_only=True):
    """A text that an invoice carries, as it was when the invoice was made."""

    lago_id: str
    lago_invoice_id: UUID
    code: str
    name: str | None
    details: str | None
    display_name: str | None
    created_at: str

    @classmethod
    def of(cls, section: Mapping[str, Any], invoice: Invoice) -> "InvoiceSection":
        """Show a section."""
        return cls(
            lago_id=section["lago_id"],
            lago_invoice_id=invoice.id,
            code=section["code"],
            name=section.get("name"),
            details=section.get("details"),
            display_name=section.get("display_name"),
            created_at=iso(invoice.created_at),
        )


class BillingPeriodBody(Struct, kw_only=True):
    """What an invoice is for, of one subscription. Ends are the last seconds of their periods."""

    lago_subscription_id: UUID
    external_subscription_id: str
    lago_plan_id: UUID
    subscription_from_datetime: str
    subscription_to_datetime: str
    charges_from_datetime: str
    charges_to_datetime: str
    fixed_charges_from_datetime: str | None
    fixed_charges_to_datetime: str | None
    invoicing_reason: str

    @classmethod
    def of(cls, period: BilledPeriod, external_subscription_id: str) -> "BillingPeriodBody":
        """Show a period. Lago's client takes no null: what is not billed has the other's times."""
        fixed = period.fixed_charges_from_at, period.fixed_charges_to_at
        own = period.from_at, period.to_at
        usage = period.charges_from_at, period.charges_to_at
        at = period.billing_at, period.billing_at
        return cls(
            lago_subscription_id=period.subscription_id,
            external_subscription_id=external_subscription_id,
            lago_plan_id=period.plan_id,
            **_bounds("subscription", own, usage, fixed, at),
            **_bounds("charges", usage, own, fixed, at),
            fixed_charges_from_datetime=None if fixed[0] is None else iso(fixed[0]),
            fixed_charges_to_datetime=None if fixed[1] is None else last_moment(fixed[1]),
            invoicing_reason=period.reason,
        )


class CreditItem(Struct, kw_only=True):
    """What lowered an invoice."""

    lago_item_id: UUID
    type: str
    code: str
    name: str


class CreditedInvoice(Struct, kw_only=True):
    """The invoice that was lowered."""

    lago_id: UUID
    payment_status: str


class CreditBody(Struct, kw_only=True):
    """How much something lowered an invoice, before its taxes or after."""

    lago_id: UUID
    amount_cents: int
    amount_currency: str
    before_taxes: bool
    item: CreditItem
    invoice: CreditedInvoice

    @classmethod
    def of(cls, credit: InvoiceCredit, invoice: Invoice) -> "CreditBody":
        """Show a credit."""
        return cls(
            lago_id=credit.id,
            amount_cents=credit.amount_cents,
            amount_currency=credit.amount_currency,
            before_taxes=credit.before_taxes,
            item=CreditItem(
                lago_item_id=credit.source_id,
                type=_CREDIT_TYPES[credit.kind],
                code=credit.item_code,
                name=credit.item_name,
            ),
            invoice=CreditedInvoice(lago_id=invoice.id, payment_status=invoice.payment_status),
        )


class InvoicedSubscriptionRow(Record, frozen=True, kw_only=True):
    """A subscription, as far as invoices show it."""

    id: UUID
    external_id: str
    customer_id: UUID
    external_customer_id: str
    plan_code: str
    plan_amount_cents: int
    plan_amount_currency: str
    name: str | None
    status: str
    billing_time: str
    subscription_at: datetime
    started_at: datetime | None
    ending_at: datetime | None
    terminated_at: datetime | None
    canceled_at: datetime | None
    created_at: datetime


class InvoicedSubscription(Struct, kw_only=True):
    """A subscription that an invoice bills."""

    lago_id: UUID
    external_id: str
    lago_customer_id: UUID
    external_customer_id: str
    plan_code: str
    plan_amount_cents: int
    plan_amount_currency: str
    name: str | None
    status: str
    billing_time: str
    subscription_at: str
    started_at: str | None
    ending_at: str | None
    terminated_at: str | None
    canceled_at: str | None
    created_at: str

    @classmethod
    def of(cls, row: InvoicedSubscriptionRow) -> "InvoicedSubscription":
        """Show a subscription."""
        return cls(
            lago_id=row.id,
            external_id=row.external_id,
            lago_customer_id=row.customer_id,
            external_customer_id=row.external_customer_id,
            plan_code=row.plan_code,
            plan_amount_cents=row.plan_amount_cents,
            plan_amount_currency=row.plan_amount_currency,
            name=row.name,
            status=row.status,
            billing_time=row.billing_time,
            subscription_at=iso(row.subscription_at),
            started_at=_optional(row.started_at),
            ending_at=_optional(row.ending_at),
            terminated_at=_optional(row.terminated_at),
            canceled_at=_optional(row.canceled_at),
            created_at=iso(row.created_at),
        )


def _bounds(name: str, *choices: tuple[datetime | None, datetime | None]) -> dict[str, str]:
    """From and to of the first of these that there is; one of no length ends where it begins."""
    start, end = next((one, other) for one, other in choices if one and other)
    last = iso(end) if start == end else last_moment(end)
    return {f"{name}_from_datetime": iso(start), f"{name}_to_datetime": last}


def _optional(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
