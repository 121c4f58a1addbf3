"""Payments and receipts as they are shown, and told to the world."""

from uuid import UUID

from msgspec import Struct

from invoicing import payments
from invoicing.payment_receipts import PaymentReceipt
from invoicing.payments import Payment
from invoicing.records import Connection
from wallet_service.replies import iso

__all__ = ["PaymentBody", "ReceiptBody", "show_payments"]


class PaymentBody(Struct, kw_only=True):
    """A payment of an invoice. `type` is manual, or provider."""

    lago_id: str
    invoice_ids: list[str]
    invoice_numbers: list[str]
    lago_payable_id: str
    payable_type: str
    lago_customer_id: str
    amount_cents: int
    amount_currency: str
    status: str
    payment_status: str
    type: str
    reference: str
    payment_provider_code: str | None
    payment_provider_type: str | None
    external_payment_id: str | None
    paid_at: str | None
    created_at: str

    @classmethod
    def of(cls, payment: Payment, *, invoice_number: str) -> "PaymentBody":
        """Show a payment."""
        is_manual = payment.payment_type == "manual"
        return cls(
            lago_id=str(payment.id),
            invoice_ids=[str(payment.invoice_id)],
            invoice_numbers=[invoice_number],
            lago_payable_id=str(payment.invoice_id),
            payable_type="Invoice",
            lago_customer_id=str(payment.customer_id),
            amount_cents=payment.amount_cents,
            amount_currency=payment.amount_currency,
            status=payment.payment_status,
            payment_status=payment.payment_status,
            type=payment.payment_type,
            reference=payment.reference,
            payment_provider_code=None if is_manual else payment.provider,
            payment_provider_type=None if is_manual else payment.provider,
            external_payment_id=payment.external_payment_id,
            paid_at=None if payment.paid_at is None else iso(payment.paid_at),
            created_at=iso(payment.created_at),
        )


class ReceiptBody(Struct, kw_only=True):
    """The receipt of a payment."""

    lago_id: str
    number: str
    payment: PaymentBody
    file_url: str | None = None
    xml_url: str | None = None
    created_at: str

    @classmethod
    def of(cls, receipt: PaymentReceipt, payment: PaymentBody) -> "ReceiptBody":
        """Show a receipt."""
        return cls(
            lago_id=str(receipt.id),
            number=receipt.number,
            payment=payment,
            created_at=iso(receipt.created_at),
        )


async def show_payments(
    connection: Connection, organization_id: UUID, found: list[Payment]
) -> list[PaymentBody]:
    """Payments with the numbers of their invoices."""
    numbers = await payments.invoice_numbers(
        connection, organization_id, [payment.invoice_id for payment in found]
    )
    return [
        PaymentBody.of(payment, invoice_number=numbers[payment.invoice_id]) for payment in found
    ]
