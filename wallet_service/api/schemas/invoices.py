"""Invoices on the wire."""

from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing.errors import Invalid
from invoicing.invoice_changes import MetadataEntry
from invoicing.one_off_fees import FEES_MAX, OneOffFee
from wallet_service.api.pagination import Meta as PageMeta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    ExternalId,
    Given,
    Integer,
    Name,
    ShortList,
    Text,
    Word,
    text_of,
)
from wallet_service.invoice_bodies import InvoiceBody
from wallet_service.invoice_states import CreditedParts
from wallet_service.one_off_invoices import OneOffRequest
from wallet_service.texts import read_time


class OneOffFeeInput(Struct):
    """So many units of an add-on; what is left out is the add-on's own."""

    add_on_code: Given[Code] = UNSET
    name: Given[Name] = UNSET
    units: Given[Decimal] = UNSET
    unit_amount_cents: Given[Cents] = UNSET
    description: Given[Text] = UNSET
    invoice_display_name: Given[Name] = UNSET
    from_datetime: Given[Word] = UNSET
    to_datetime: Given[Word] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET

    def wanted(self, position: int) -> OneOffFee:
        """The same for the domain. Raises a field error."""
        under = f"fees.{position}"
        start, end = self.from_datetime or None, self.to_datetime or None
        if (start is None) != (end is None):
            missing = "from_datetime" if start is None else "to_datetime"
            raise Invalid.field(f"{under}.{missing}", "value_is_mandatory")
        return OneOffFee(
            add_on_code=self.add_on_code or None,
            units=self.units if isinstance(self.units, Decimal) else Decimal(1),
            unit_amount_cents=self.unit_amount_cents
            if isinstance(self.unit_amount_cents, int)
            else None,
            name=self.name or None,
            description=self.description or None,
            invoice_display_name=self.invoice_display_name or None,
            tax_codes=self.tax_codes if isinstance(self.tax_codes, list) else None,
            from_datetime=read_time(start, field=f"{under}.from_datetime") if start else None,
            to_datetime=read_time(end, field=f"{under}.to_datetime") if end else None,
        )


class SectionsInput(Struct):
    """Which texts an invoice carries."""

    skip_invoice_custom_sections: Given[bool] = UNSET
    invoice_custom_section_codes: Given[ShortList[Code]] = UNSET

    def codes(self) -> list[str] | None:
        """The codes that are wanted; None: those of the customer, or of who bills it."""
        if self.skip_invoice_custom_sections is True:
            return []
        codes = self.invoice_custom_section_codes
        return codes if isinstance(codes, list) else None


class OneOffInput(Struct):
    """What is billed by hand."""

    external_customer_id: Given[ExternalId] = UNSET
    currency: Given[Word] = UNSET
    fees: Given[Annotated[list[OneOffFeeInput], Meta(max_length=FEES_MAX)]] = UNSET
    net_payment_term: Given[Integer] = UNSET
    billing_entity_code: Given[Code] = UNSET
    purchase_order_number: Given[Name] = UNSET
    invoice_custom_section: Given[SectionsInput] = UNSET

    def request(self) -> OneOffRequest:
        """The same for the domain. Raises Invalid."""
        sections = self.invoice_custom_section
        return OneOffRequest(
            external_customer_id=text_of(self.external_customer_id),
            currency=self.currency or None,
            fees=[fee.wanted(position) for position, fee in enumerate(self.fees or ())],
            net_payment_term=self.net_payment_term
            if isinstance(self.net_payment_term, int)
            else None,
            billing_entity_code=self.billing_entity_code or None,
            purchase_order_number=self.purchase_order_number or None,
            invoice_custom_section_codes=sections.codes()
            if isinstance(sections, SectionsInput)
            else None,
        )


class OneOffEnvelope(Struct):
    """The envelope of an invoice to make by hand."""

    invoice: OneOffInput


class InvoiceMetadataInput(Struct):
    """One thing to remember; `id` (or `lago_id`) names an entry that exists."""

    id: Word | None = None
    lago_id: Word | None = None
    key: Word | None = None
    value: Name | None = None


class InvoiceUpdateInput(Struct):
    """What may be said of an invoice that there is."""

    payment_status: Given[Word] = UNSET
    metadata: Given[ShortList[InvoiceMetadataInput]] = UNSET

    def entries(self) -> list[MetadataEntry] | None:
        """The metadata to have from now on; None leaves it as it is."""
        if isinstance(self.metadata, UnsetType):
            return None
        return [
            MetadataEntry(id=entry.lago_id or entry.id, key=entry.key, value=entry.value)
            for entry in self.metadata or ()
        ]


class InvoiceUpdateEnvelope(Struct):
    """The envelope of an invoice to change."""

    invoice: InvoiceUpdateInput


class VoidInput(Struct):
    """How an invoice is to be voided."""

    generate_credit_note: Given[bool] = UNSET
    credit_amount: Given[Cents] = UNSET
    refund_amount: Given[Cents] = UNSET

    def parts(self) -> CreditedParts | None:
        """What is to become of what is left of it; None where no credit note is wanted."""
        if self.generate_credit_note is not True:
            for name in ("credit_amount", "refund_amount"):
                if getattr(self, name):
                    raise Invalid.field(name, "value_is_invalid", "generate_credit_note is false")
            return None
        return CreditedParts(
            credit_cents=self.credit_amount if isinstance(self.credit_amount, int) else None,
            refund_cents=self.refund_amount if isinstance(self.refund_amount, int) else None,
        )


class VoidEnvelope(VoidInput):
    """The same, as it is or under `invoice`: callers send both."""

    is_bare: ClassVar[bool] = True

    invoice: Given[VoidInput] = UNSET

    def given(self) -> VoidInput:
        """What was said, wherever it stands."""
        return self.invoice if isinstance(self.invoice, VoidInput) else self


class InvoiceReply(Struct):
    """The envelope of an invoice."""

    invoice: InvoiceBody


class InvoicesReply(Struct):
    """A page of invoices."""

    invoices: list[InvoiceBody]
    meta: PageMeta


class PaymentDetails(Struct):
    """Where an invoice can be paid."""

    payment_url: str


class PaymentDetailsReply(Struct):
    """The envelope of where an invoice can be paid."""

    invoice_payment_details: PaymentDetails


class NoReply(Struct):
    """Nothing is answered but that it was understood: the body is empty."""
