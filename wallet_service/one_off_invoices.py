"""Invoices that are made by hand: add-ons, for a customer, at once."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import add_ons, customers, invoice_custom_sections, tax_codes
from invoicing.add_ons import AddOn
from invoicing.billing_facts import Catalogue, Paid, Recipient
from invoicing.currencies import CURRENCIES
from invoicing.customers import Customer
from invoicing.errors import Invalid
from invoicing.invoice_building import BuiltInvoice, dated
from invoicing.invoices import Invoice
from invoicing.one_off_fees import FEES_MAX, OneOffFee, one_off_fees
from invoicing.records import Connection
from invoicing.usage_fees import FeePlace
from ledger.ids import new_uuid

__all__ = ["OneOffRequest", "build_one_off"]

_PAYMENT_TERM_DAYS_MAX: Final = 3650


class OneOffRequest(Struct, frozen=True, kw_only=True):
    """What is billed by hand."""

    external_customer_id: str
    currency: str | None = None
    fees: list[OneOffFee]
    net_payment_term: int | None = None
    billing_entity_code: str | None = None
    purchase_order_number: str | None = None
    invoice_custom_section_codes: list[str] | None = None


async def build_one_off(
    connection: Connection,
    organization_id: UUID,
    request: OneOffRequest,
    catalogue: Catalogue,
    *,
    now: datetime,
) -> BuiltInvoice:
    """The invoice, not yet totalled. Raises NotFound (customer) or Invalid."""
    customer = await customers.get(connection, organization_id, request.external_customer_id)
    currency = _currency(request, customer)
    term = request.net_payment_term
    if term is not None and not 0 <= term <= _PAYMENT_TERM_DAYS_MAX:
        raise Invalid.field("net_payment_term", "value_is_out_of_range")
    recipient = await _recipient(connection, customer, request, catalogue, now=now)
    entity = recipient.entity
    named = {code for fee in request.fees for code in fee.tax_codes or []}
    await tax_codes.check(connection, organization_id, named)
    invoice_id = new_uuid(now)
    place = FeePlace(
        organization_id=organization_id,
        parent_id=invoice_id,
        invoice_id=invoice_id,
        customer_id=customer.id,
        subscription_id=None,
        currency=currency,
        now=now,
    )
    known = await _add_ons(connection, organization_id, request)
    fees = one_off_fees(place, request.fees, known)
    days = dated(now, recipient, term=term)
    invoice = Invoice(
        organization_id=organization_id,
        id=invoice_id,
        customer_id=customer.id,
        billing_entity_id=entity.id,
        invoice_type="one_off",
        status="generating",
        currency=currency,
        number=f"{entity.document_number_prefix}-DRAFT",
        issuing_date=days.issuing_date,
        payment_due_date=days.payment_due_date,
        net_payment_term=recipient.net_payment_term if term is None else term,
        timezone=recipient.zone_name,
        purchase_order_number=request.purchase_order_number,
        custom_sections=recipient.sections,
        created_at=now,
        updated_at=now,
    )
    return BuiltInvoice(
        invoice=invoice,
        fees=fees,
        periods=[],
        recipient=recipient,
        paid=Paid(),
        plan_codes={},
        plan_tax_codes={},
    )


def _currency(request: OneOffRequest, customer: Customer) -> str:
    """What is billed in. Raises Invalid."""
    currency = request.currency or customer.currency
    if currency is None or currency not in CURRENCIES:
        raise Invalid.field("currency", "value_is_invalid" if currency else "value_is_mandatory")
    if customer.currency not in {None, currency}:
        raise Invalid.field("currency", "currencies_does_not_match")
    return currency


async def _recipient(
    connection: Connection,
    customer: Customer,
    request: OneOffRequest,
    catalogue: Catalogue,
    *,
    now: datetime,
) -> Recipient:
    """Who is billed, in whose name, with which sections. Raises Invalid."""
    entity = await catalogue.entity_of(
        connection, customer, own=request.billing_entity_code, now=now
    )
    if request.billing_entity_code and entity.code != request.billing_entity_code:
        raise Invalid.field("billing_entity_code", "billing_entity_not_found")
    sections = request.invoice_custom_section_codes
    await invoice_custom_sections.check(connection, customer.organization_id, sections or [])
    return Recipient(
        customer=customer,
        entity=entity,
        sections=await catalogue.sections(connection, customer, entity, named=sections),
    )


async def _add_ons(
    connection: Connection, organization_id: UUID, request: OneOffRequest
) -> dict[str, AddOn]:
    """The add-ons that are named, and there."""
    codes = {fee.add_on_code for fee in request.fees[:FEES_MAX] if fee.add_on_code}
    found = [await add_ons.find(connection, organization_id, code) for code in sorted(codes)]
    return {add_on.code: add_on for add_on in found if add_on is not None}
