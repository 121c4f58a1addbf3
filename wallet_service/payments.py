"""Payments of invoices, in three steps: taken down, booked, counted.

Each step may be repeated, so a process that dies between them loses nothing: the payment stands
there as `processing`, and whoever finds it goes on.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Struct, to_builtins

from invoicing import fees, invoices, outbox, payment_receipts, payments
from invoicing.payments import NewPayment, Payment, PaymentFilter
from invoicing.records import Connection
from invoicing.settlements import PayRequest
from ledger.ids import hash128, uuid_of
from wallet_service.database import Database
from wallet_service.errors import Invalid, KeyReused, NotAllowed, NotFound
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_news import tell_payment_status
from wallet_service.operations import body_hash, check_key
from wallet_service.payment_bodies import PaymentBody, ReceiptBody
from wallet_service.unfinished import finish_each
from wallet_service.wallet_transaction_requests import SettleRequest
from wallet_service.wallet_transactions import WalletTransactions

__all__ = ["NewPayment", "PaymentFilter", "Payments", "keyed_id"]


class Payments:
    """Takes payments of invoices, and finishes what others have begun."""

    def __init__(
        self, *, database: Database, book: InvoiceBook, wallet_transactions: WalletTransactions
    ) -> None:
        self._database = database
        self._book = book
        self._wallet_transactions = wallet_transactions

    async def create(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        new: NewPayment,
        *,
        key: str | None = None,
        request: Struct | None = None,
        now: datetime,
    ) -> Payment:
        """Take a payment. Under a key, a repeat with the same request gets the first one.

        Raises NotFound, NotAllowed, Invalid, KeyReused.
        """
        asked = None if request is None else body_hash(request)
        payment_id = keyed_id("payment", organization_id, key)
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            payment = None
            if payment_id is not None:
                payment = await payments.find(connection, organization_id, payment_id)
                if payment is not None and payment.request_hash != asked:
                    raise KeyReused("Idempotency-Key")
            if payment is None:
                payment = await payments.create(
                    connection,
                    invoice,
                    NewPayment(
                        amount_cents=new.amount_cents,
                        reference=new.reference,
                        paid_at=new.paid_at,
                        provider=new.provider,
                        id=payment_id,
                        request_hash=asked,
                    ),
                    now=now,
                )
        return await self.finish(organization_id, payment.id, now=now)

    async def pay_rest(
        self, organization_id: UUID, invoice_id: UUID, *, reference: str, now: datetime
    ) -> Payment | None:
        """Somebody says that an invoice is paid: take all that is due of it, if anything is.

        Payments that are under way are finished: they may be of who says the same at once. Raises
        NotFound and NotAllowed.
        """
        payment = None
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            under_way = await payments.processing_of(connection, organization_id, invoice_id)
            due = await payments.free_due(connection, invoice)
            if due:
                new = NewPayment(amount_cents=due, reference=reference)
                payment = await payments.create(connection, invoice, new, now=now)
        for payment_id in under_way:
            await self.finish(organization_id, payment_id, now=now)
        return payment and await self.finish(organization_id, payment.id, now=now)

    async def finish(self, organization_id: UUID, payment_id: UUID, *, now: datetime) -> Payment:
        """Book a payment that was taken down, and count it; one that is done is left as it is."""
        async with self._database.tenant(organization_id) as connection:
            payment = await payments.get(connection, organization_id, payment_id)
            invoice = await invoices.get(connection, organization_id, payment.invoice_id)
            lines = (await fees.of_invoices(connection, organization_id, [invoice.id]))[invoice.id]
        if payment.payment_status != "processing":
            return payment
        bought = [fee.wallet_transaction_id for fee in lines if fee.wallet_transaction_id]
        if invoice.invoice_type == "credit" and bought:
            await self._settle(payment, bought[0], now=now)
        else:
            request = PayRequest(
                payment_id=payment.id,
                invoice_id=payment.invoice_id,
                currency=payment.amount_currency,
                amount_cents=payment.amount_cents,
                provider=payment.provider,
            )
            await self._book.pay(organization_id, payment.customer_id, request, now=now)
        async with self._database.tenant(organization_id) as connection:
            return await _conclude(connection, payment, now=now)

    async def finish_due(self, *, now: datetime) -> int:
        """Go on with payments that nobody has finished for a while; says with how many."""
        return await finish_each(
            self._database, "payment", payments.unfinished, self.finish, now=now
        )

    async def _settle(self, payment: Payment, transaction_id: UUID, *, now: datetime) -> None:
        """Buy the credits that the invoice is for: that books the money."""
        try:
            await self._wallet_transactions.settle(
                payment.organization_id,
                transaction_id,
                SettleRequest(provider=payment.provider),
                now=now,
            )
        except (Invalid, NotAllowed, NotFound):
            async with self._database.tenant(payment.organization_id) as connection:
                await payments.fail(connection, payment, now=now)
            raise


def keyed_id(kind: str, organization_id: UUID, key: str | None) -> UUID | None:
    """The id that what was asked for under a key has, so that a repeat finds it. Raises Invalid."""
    if key is None:
        return None
    return uuid_of(hash128(kind, organization_id, check_key(key, field="Idempotency-Key")))


async def _conclude(connection: Connection, payment: Payment, *, now: datetime) -> Payment:
    """Count what was booked, once, with its receipt and the news."""
    organization_id = payment.organization_id
    before = await invoices.get(connection, organization_id, payment.invoice_id, locks=True)
    payment = await payments.get(connection, organization_id, payment.id)
    if payment.payment_status != "processing":
        return payment
    payment = await payments.succeed(connection, payment, now=now)
    after = await payments.count_as_paid(
        connection, before, paid_cents=payment.amount_cents, now=now
    )
    receipt = await payment_receipts.create(connection, payment, before, now=now)
    shown = PaymentBody.of(payment, invoice_number=before.number)
    await _tell(connection, payment, shown, ReceiptBody.of(receipt, shown), now=now)
    await tell_payment_status(connection, before=before, after=after, now=now)
    return payment


async def _tell(
    connection: Connection,
    payment: Payment,
    shown: PaymentBody,
    receipt: ReceiptBody,
    *,
    now: datetime,
) -> None:
    for webhook_type, object_type, object_id, body in (
        ("payment.succeeded", "payment", payment.id, shown),
        ("payment_receipt.created", "payment_receipt", UUID(receipt.lago_id), receipt),
    ):
        await outbox.add(
            connection,
            payment.organization_id,
            webhook_type,
            object_type=object_type,
            object_id=object_id,
            payload=to_builtins(body),
            now=now,
        )
