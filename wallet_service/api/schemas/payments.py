"""Payments and receipts on the wire."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from invoicing.errors import Invalid
from wallet_service.api.pagination import Meta as PageMeta
from wallet_service.api.schemas.formats import Cents, Given, Name, Word, text_of
from wallet_service.payment_bodies import PaymentBody, ReceiptBody
from wallet_service.payments import NewPayment
from wallet_service.texts import read_time


class PaymentInput(Struct, omit_defaults=True):
    """What a caller says of a payment."""

    invoice_id: Given[Word] = UNSET
    amount_cents: Given[Cents] = UNSET
    reference: Given[Name] = UNSET
    paid_at: Given[Annotated[str, Meta(max_length=40)]] = UNSET

    def new(self) -> NewPayment:
        """The same for the domain. Raises Invalid and field errors."""
        if not isinstance(self.amount_cents, int):
            raise Invalid.field("amount_cents", "value_is_mandatory")
        at = self.paid_at
        return NewPayment(
            amount_cents=self.amount_cents,
            reference=text_of(self.reference),
            paid_at=read_time(at, field="paid_at") if isinstance(at, str) else None,
        )


class PaymentRequest(Struct):
    """The envelope of a payment to take."""

    payment: PaymentInput


class PaymentReply(Struct):
    """The envelope of a payment."""

    payment: PaymentBody


class PaymentsReply(Struct):
    """A page of payments."""

    payments: list[PaymentBody]
    meta: PageMeta


class ReceiptReply(Struct):
    """The envelope of a receipt."""

    payment_receipt: ReceiptBody


class ReceiptsReply(Struct):
    """A page of receipts."""

    payment_receipts: list[ReceiptBody]
    meta: PageMeta
