"""Invoices as they are shown, and told to the world, in Lago's shape."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import billed_periods, fees, invoice_credits
from invoicing.billed_periods import BilledPeriod
from invoicing.billing_facts import load_customers
from invoicing.customers import Customer
from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoices import Invoice
from invoicing.records import Connection, load_queries
from wallet_service.fee_bodies import FeeBody, FeeFacts, facts_of_fees
from wallet_service.invoice_parts import (
    BilledCustomer,
    BillingPeriodBody,
    CreditBody,
    InvoicedSubscription,
    InvoicedSubscriptionRow,
    InvoiceMetadataBody,
    InvoiceSection,
    InvoiceTax,
)
from wallet_service.replies import iso

__all__ = [
    "InvoiceBody",
    "InvoiceDetails",
    "InvoiceFacts",
    "invoice_body",
    "list_invoices",
    "show_invoice",
    "show_totalled",
]

_queries: Final[Any] = load_queries(__file__)


class InvoiceBody(Struct, kw_only=True):
    """An invoice. Its lines and what they are for are shown where one invoice is asked for."""

    lago_id: UUID
    billing_entity_code: str
    sequential_id: int | None
    number: str
    purchase_order_number: str | None
    issuing_date: str
    expected_finalization_date: str | None
    payment_due_date: str
    payment_overdue: bool
    payment_dispute_lost_at: str | None
    net_payment_term: int
    invoice_type: str
    version_number: int
    status: str
    payment_status: str
    currency: str
    fees_amount_cents: int
    progressive_billing_credit_amount_cents: int
    coupons_amount_cents: int
    taxes_amount_cents: int
    taxes_rate: float
    sub_total_excluding_taxes_amount_cents: int
    sub_total_including_taxes_amount_cents: int
    credit_notes_amount_cents: int
    prepaid_credit_amount_cents: int
    prepaid_granted_credit_amount_cents: int
    prepaid_purchased_credit_amount_cents: int
    total_amount_cents: int
    total_paid_amount_cents: int
    total_offsetted_credit_note_amount_cents: int
    total_due_amount_cents: int
    self_billed: bool
    file_url: str | None = None
    xml_url: str | None = None
    web_url: str | None = None
    voided_invoice_id: UUID | None
    finalized_at: str | None
    voided_at: str | None
    created_at: str
    updated_at: str
    customer: BilledCustomer | None
    metadata: list[InvoiceMetadataBody]
    applied_taxes: list[InvoiceTax]
    applied_invoice_custom_sections: list[InvoiceSection]
    applied_usage_thresholds: list[dict[str, Any]]
    error_details: list[dict[str, Any]]
    billing_periods: list[BillingPeriodBody] | UnsetType = UNSET
    subscriptions: list[InvoicedSubscription] | UnsetType = UNSET
    fees: list[FeeBody] | UnsetType = UNSET
    credits: list[CreditBody] | UnsetType = UNSET


class InvoiceFacts(Struct, frozen=True, kw_only=True):
    """What is shown of an invoice beside itself."""

    billing_entity_code: str | None = None
    """None: as the invoice says by itself."""
    customer: Customer | None = None
    """For an invoice that does not say yet who was billed."""


class InvoiceDetails(Struct, frozen=True, kw_only=True):
    """What an invoice is made of."""

    fees: Sequence[Fee]
    fee_facts: FeeFacts
    credits: Sequence[InvoiceCredit]
    periods: Sequence[BilledPeriod] = ()
    subscriptions: Sequence[InvoicedSubscriptionRow] = ()


def invoice_body(
    invoice: Invoice,
    facts: InvoiceFacts | None = None,
    details: InvoiceDetails | None = None,
) -> InvoiceBody:
    """Show an invoice; without `details`, as lists do."""
    facts = facts or InvoiceFacts()
    entity = invoice.entity_as_billing or {}
    body = InvoiceBody(
        lago_id=invoice.id,
        billing_entity_code=facts.billing_entity_code or entity.get("code", ""),
        sequential_id=invoice.sequential_id,
        number=invoice.number,
        purchase_order_number=invoice.purchase_order_number,
        issuing_date=invoice.issuing_date.isoformat(),
        expected_finalization_date=None
        if invoice.expected_finalization_date is None
        else invoice.expected_finalization_date.isoformat(),
        payment_due_date=invoice.payment_due_date.isoformat(),
        payment_overdue=invoice.payment_overdue,
        payment_dispute_lost_at=_optional(invoice.payment_dispute_lost_at),
        net_payment_term=invoice.net_payment_term,
        invoice_type=invoice.invoice_type,
        version_number=invoice.version_number,
        status=invoice.status,
        payment_status=invoice.payment_status,
        currency=invoice.currency,
        fees_amount_cents=invoice.fees_amount_cents,
        progressive_billing_credit_amount_cents=invoice.progressive_billing_credit_amount_cents,
        coupons_amount_cents=invoice.coupons_amount_cents,
        taxes_amount_cents=invoice.taxes_amount_cents,
        taxes_rate=float(invoice.taxes_rate),
        sub_total_excluding_taxes_amount_cents=invoice.sub_total_excluding_taxes_amount_cents,
        sub_total_including_taxes_amount_cents=invoice.sub_total_including_taxes_amount_cents,
        credit_notes_amount_cents=invoice.credit_notes_amount_cents,
        prepaid_credit_amount_cents=invoice.prepaid_credit_amount_cents,
        prepaid_granted_credit_amount_cents=invoice.prepaid_granted_credit_amount_cents,
        prepaid_purchased_credit_amount_cents=invoice.prepaid_purchased_credit_amount_cents,
        total_amount_cents=invoice.total_amount_cents,
        total_paid_amount_cents=invoice.total_paid_amount_cents,
        total_offsetted_credit_note_amount_cents=invoice.total_offsetted_credit_note_amount_cents,
        total_due_amount_cents=invoice.total_due_amount_cents,
        self_billed=invoice.self_billed,
        voided_invoice_id=invoice.voided_invoice_id,
        finalized_at=_optional(invoice.finalized_at),
        voided_at=_optional(invoice.voided_at),
        created_at=iso(invoice.created_at),
        updated_at=iso(invoice.updated_at),
        customer=BilledCustomer.of(invoice, facts.customer),
        metadata=[InvoiceMetadataBody.of(entry) for entry in invoice.metadata],
        applied_taxes=[InvoiceTax.of(tax, invoice) for tax in invoice.applied_taxes],
        applied_invoice_custom_sections=[
            InvoiceSection.of(section, invoice) for section in invoice.custom_sections
        ],
        applied_usage_thresholds=invoice.applied_usage_thresholds,
        error_details=invoice.error_details,
    )
    if details is not None:
        _add_details(body, invoice, details)
    return body


def _add_details(body: InvoiceBody, invoice: Invoice, details: InvoiceDetails) -> None:
    names = details.fee_facts.subscriptions
    body.fees = [FeeBody.of(fee, details.fee_facts) for fee in details.fees]
    body.credits = [CreditBody.of(credit, invoice) for credit in details.credits]
    body.subscriptions = [InvoicedSubscription.of(row) for row in details.subscriptions]
    known = {row.id: row.external_id for row in details.subscriptions} | dict(names)
    body.billing_periods = [
        BillingPeriodBody.of(period, known.get(period.subscription_id, ""))
        for period in details.periods
    ]


async def list_invoices(
    connection: Connection, organization_id: UUID, found: Sequence[Invoice]
) -> list[InvoiceBody]:
    """Invoices as lists show them."""
    facts = await _facts(connection, organization_id, found)
    return [invoice_body(invoice, facts[invoice.id]) for invoice in found]


async def show_invoice(connection: Connection, invoice: Invoice) -> InvoiceBody:
    """One invoice with all that it is made of."""
    organization_id, invoice_id = invoice.organization_id, invoice.id
    lines = (await fees.of_invoices(connection, organization_id, [invoice_id]))[invoice_id]
    lowered = await invoice_credits.of_invoices(connection, organization_id, [invoice_id])
    periods = await billed_periods.of_invoices(connection, organization_id, [invoice_id])
    return await show_totalled(connection, invoice, lines, lowered[invoice_id], periods[invoice_id])


async def show_totalled(
    connection: Connection,
    invoice: Invoice,
    lines: Sequence[Fee],
    lowered: Sequence[InvoiceCredit],
    periods: Sequence[BilledPeriod] = (),
    *,
    subscription_names: Mapping[UUID, str] | None = None,
) -> InvoiceBody:
    """An invoice that is at hand, stored or not, with all that it is made of.

    `subscription_names` are the external ids of those that may not be stored.
    """
    organization_id = invoice.organization_id
    facts = await _facts(connection, organization_id, [invoice])
    wanted = {fee.subscription_id for fee in lines} | {one.subscription_id for one in periods}
    rows = _queries.subscriptions_of_invoice(
        connection, organization_id=organization_id, ids=[one for one in wanted if one]
    )
    fee_facts = await facts_of_fees(connection, organization_id, lines)
    if subscription_names:
        names = {**subscription_names, **fee_facts.subscriptions}
        billed = invoice.customer_as_billed or {}
        customers = {invoice.customer_id: billed["external_id"]} if billed else {}
        fee_facts = structs.replace(
            fee_facts, subscriptions=names, customers={**customers, **fee_facts.customers}
        )
    details = InvoiceDetails(
        fees=lines,
        fee_facts=fee_facts,
        credits=lowered,
        periods=periods,
        subscriptions=[InvoicedSubscriptionRow.of(row) async for row in rows],
    )
    return invoice_body(invoice, facts[invoice.id], details)


async def _facts(
    connection: Connection, organization_id: UUID, found: Sequence[Invoice]
) -> Mapping[UUID, InvoiceFacts]:
    """What these invoices do not say by themselves; mostly they do."""
    nameless = [
        invoice for invoice in found if "created_at" not in (invoice.customer_as_billed or {})
    ]
    customers = (
        await load_customers(
            connection, [(organization_id, invoice.customer_id) for invoice in nameless]
        )
        if nameless
        else {}
    )
    rows = _queries.codes_of_entities(
        connection,
        organization_id=organization_id,
        ids=list({invoice.billing_entity_id for invoice in found}),
    )
    codes = {row["id"]: row["code"] async for row in rows}
    return {
        invoice.id: InvoiceFacts(
            billing_entity_code=codes.get(invoice.billing_entity_id),
            customer=customers.get((organization_id, invoice.customer_id)),
        )
        for invoice in found
    }


def _optional(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
