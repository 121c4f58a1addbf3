"""Credit notes as they are shown, and told to the world."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from invoicing import credit_notes, fees
from invoicing.credit_notes import CreditNote, CreditNoteItem, Surroundings
from invoicing.crediting import Estimate
from invoicing.derived_ids import derived_id
from invoicing.invoices import Invoice
from invoicing.records import Connection
from wallet_service.fee_bodies import FeeBody, show_fees
from wallet_service.invoice_parts import BilledCustomer
from wallet_service.replies import iso

__all__ = ["CreditNoteBody", "EstimateBody", "show_credit_notes"]


class NoteItemBody(Struct, kw_only=True):
    """How much of a fee is credited, before coupons and taxes."""

    lago_id: str
    lago_fee_id: str
    amount_cents: int
    amount_currency: str
    fee: FeeBody


class NoteTaxBody(Struct, kw_only=True):
    """What a note gives back of one tax."""

    lago_id: str
    lago_credit_note_id: str
    lago_tax_id: str | None
    tax_name: str
    tax_code: str
    tax_rate: float
    tax_description: str | None
    amount_cents: int
    amount_currency: str
    base_amount_cents: int
    created_at: str


class CreditNoteBody(Struct, kw_only=True):
    """A credit note: credit, refund and offset add up to its total."""

    lago_id: str
    sequential_id: int | None
    billing_entity_code: str
    number: str
    lago_invoice_id: str
    invoice_number: str
    purchase_order_number: str | None
    lago_customer_id: str
    external_customer_id: str
    issuing_date: str
    credit_status: str | None
    refund_status: str | None
    reason: str
    description: str | None
    currency: str
    total_amount_cents: int
    taxes_amount_cents: int
    taxes_rate: float
    sub_total_excluding_taxes_amount_cents: int
    balance_amount_cents: int
    credit_amount_cents: int
    refund_amount_cents: int
    offset_amount_cents: int
    coupons_adjustment_amount_cents: int
    self_billed: bool
    file_url: str | None = None
    xml_url: str | None = None
    refunded_at: str | None
    voided_at: str | None
    created_at: str
    updated_at: str
    metadata: dict[str, str | None] | None
    customer: BilledCustomer | None
    items: list[NoteItemBody]
    applied_taxes: list[NoteTaxBody]
    error_details: list[dict[str, Any]] = []

    @classmethod
    def of(
        cls,
        note: CreditNote,
        items: Sequence[CreditNoteItem],
        fee_bodies: Mapping[UUID, FeeBody],
        around: Surroundings,
    ) -> "CreditNoteBody":
        """Show a note."""
        return cls(
            lago_id=str(note.id),
            sequential_id=note.sequential_id,
            billing_entity_code=around.billing_entity_code,
            number=note.number,
            lago_invoice_id=str(note.invoice_id),
            invoice_number=around.invoice_number,
            purchase_order_number=around.purchase_order_number,
            lago_customer_id=str(note.customer_id),
            external_customer_id=around.external_customer_id,
            issuing_date=note.issuing_date.isoformat(),
            credit_status=note.credit_status,
            refund_status=note.refund_status,
            reason=note.reason,
            description=note.description,
            currency=note.currency,
            total_amount_cents=note.total_amount_cents,
            taxes_amount_cents=note.taxes_amount_cents,
            taxes_rate=float(note.taxes_rate),
            sub_total_excluding_taxes_amount_cents=note.sub_total_excluding_taxes_amount_cents,
            balance_amount_cents=note.balance_amount_cents,
            credit_amount_cents=note.credit_amount_cents,
            refund_amount_cents=note.refund_amount_cents,
            offset_amount_cents=note.offset_amount_cents,
            coupons_adjustment_amount_cents=note.coupons_adjustment_amount_cents,
            self_billed=around.self_billed,
            refunded_at=None if note.refunded_at is None else iso(note.refunded_at),
            voided_at=None if note.voided_at is None else iso(note.voided_at),
            created_at=iso(note.created_at),
            updated_at=iso(note.updated_at),
            metadata=note.metadata or None,
            customer=BilledCustomer.of_stored(
                around.customer_as_billed or {}, zone=around.timezone
            ),
            items=[
                NoteItemBody(
                    lago_id=str(item.id),
                    lago_fee_id=str(item.fee_id),
                    amount_cents=item.amount_cents,
                    amount_currency=item.amount_currency,
                    fee=fee_bodies[item.fee_id],
                )
                for item in items
            ],
            applied_taxes=[_tax_body(tax, note) for tax in note.applied_taxes],
        )


class EstimatedItemBody(Struct, kw_only=True):
    """An item that was asked for."""

    amount_cents: int
    lago_fee_id: str


class EstimatedTaxBody(Struct, kw_only=True):
    """What would be given back of one tax."""

    lago_tax_id: str | None
    tax_name: str
    tax_code: str
    tax_rate: float
    tax_description: str | None
    amount_cents: int
    amount_currency: str
    base_amount_cents: int


class EstimateBody(Struct, kw_only=True):
    """What a note of these items would come to, and the most that could become of it."""

    lago_invoice_id: str
    invoice_number: str
    currency: str
    max_creditable_amount_cents: int
    max_refundable_amount_cents: int
    max_offsettable_amount_cents: int
    taxes_amount_cents: int
    taxes_rate: float
    sub_total_excluding_taxes_amount_cents: int
    coupons_adjustment_amount_cents: int
    items: list[EstimatedItemBody]
    applied_taxes: list[EstimatedTaxBody]

    @classmethod
    def of(cls, invoice: Invoice, found: Estimate) -> "EstimateBody":
        """Show an estimate."""
        amounts = found.amounts
        return cls(
            lago_invoice_id=str(invoice.id),
            invoice_number=invoice.number,
            currency=invoice.currency,
            max_creditable_amount_cents=found.limits.creditable_cents,
            max_refundable_amount_cents=found.limits.refundable_cents,
            max_offsettable_amount_cents=found.limits.offsettable_cents,
            taxes_amount_cents=amounts.taxes_amount_cents,
            taxes_rate=float(amounts.taxes_rate),
            sub_total_excluding_taxes_amount_cents=amounts.sub_total_excluding_taxes_amount_cents,
            coupons_adjustment_amount_cents=amounts.coupons_adjustment_amount_cents,
            items=[
                EstimatedItemBody(amount_cents=item.amount_cents, lago_fee_id=str(item.fee_id))
                for item in amounts.items
            ],
            applied_taxes=[
                EstimatedTaxBody(
                    lago_tax_id=tax.tax_id,
                    tax_name=tax.tax_name,
                    tax_code=tax.tax_code,
                    tax_rate=float(tax.tax_rate),
                    tax_description=tax.tax_description,
                    amount_cents=tax.amount_cents,
                    amount_currency=invoice.currency,
                    base_amount_cents=tax.base_amount_cents,
                )
                for tax in amounts.applied_taxes
            ],
        )


async def show_credit_notes(
    connection: Connection, organization_id: UUID, notes: Sequence[CreditNote]
) -> list[CreditNoteBody]:
    """Notes with their items, and what is shown of their invoices."""
    items = await credit_notes.items_of(connection, organization_id, [note.id for note in notes])
    around = await credit_notes.surroundings(
        connection, organization_id, [note.invoice_id for note in notes]
    )
    ids = {item.fee_id for own in items.values() for item in own}
    lines = await fees.find_many(connection, organization_id, list(ids))
    shown = await show_fees(connection, organization_id, lines)
    bodies = {fee.id: body for fee, body in zip(lines, shown, strict=True)}
    return [
        CreditNoteBody.of(note, items[note.id], bodies, around[note.invoice_id]) for note in notes
    ]


def _tax_body(tax: dict[str, Any], note: CreditNote) -> NoteTaxBody:
    return NoteTaxBody(
        lago_id=str(derived_id(note.id, "tax", tax["tax_code"], str(tax["tax_rate"]))),
        lago_credit_note_id=str(note.id),
        lago_tax_id=tax["tax_id"],
        tax_name=tax["tax_name"],
        tax_code=tax["tax_code"],
        tax_rate=float(Decimal(tax["tax_rate"])),
        tax_description=tax["tax_description"],
        amount_cents=tax["amount_cents"],
        amount_currency=note.currency,
        base_amount_cents=tax["base_amount_cents"],
        created_at=iso(note.created_at),
    )
