"""Billing entities on the wire."""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from invoicing.billing_entities import BillingEntity, BillingEntityChanges
from invoicing.invoice_custom_sections import InvoiceCustomSection
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Code,
    Given,
    Integer,
    Name,
    ShortList,
    Text,
    Word,
    changes,
    iso_seconds,
    show,
)
from wallet_service.api.schemas.invoice_custom_sections import SectionBody
from wallet_service.api.schemas.taxes import ShownTaxes, TaxBody


class EntityBillingInput(Struct):
    """How an entity bills."""

    invoice_footer: Given[Text] = UNSET
    invoice_grace_period: Given[Integer] = UNSET
    subscription_invoice_issuing_date_anchor: Given[Word] = UNSET
    subscription_invoice_issuing_date_adjustment: Given[Word] = UNSET
    document_locale: Given[Word] = UNSET


class BillingEntityInput(Struct):
    """What a caller says of a billing entity. `einvoicing` is ours here."""

    code: Given[Code] = UNSET
    name: Given[Name] = UNSET
    address_line1: Given[Name] = UNSET
    address_line2: Given[Name] = UNSET
    city: Given[Name] = UNSET
    state: Given[Name] = UNSET
    zipcode: Given[Word] = UNSET
    country: Given[Word] = UNSET
    email: Given[Name] = UNSET
    phone: Given[Name] = UNSET
    default_currency: Given[Word] = UNSET
    timezone: Given[Word] = UNSET
    document_numbering: Given[Word] = UNSET
    document_number_prefix: Given[Word] = UNSET
    finalize_zero_amount_invoice: Given[bool] = UNSET
    net_payment_term: Given[Integer] = UNSET
    eu_tax_management: Given[bool] = UNSET
    einvoicing: Given[bool] = UNSET
    logo_url: Given[Text] = UNSET
    legal_name: Given[Name] = UNSET
    legal_number: Given[Name] = UNSET
    tax_identification_number: Given[Name] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET
    email_settings: Given[ShortList[Word]] = UNSET
    billing_configuration: Given[EntityBillingInput] = UNSET
    invoice_custom_section_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> BillingEntityChanges:
        """The same for the domain. Null empties a list."""
        billing = self.billing_configuration
        given = billing if isinstance(billing, EntityBillingInput) else EntityBillingInput()
        computed: dict[str, object] = {
            name: getattr(given, name) for name in given.__struct_fields__
        }
        for name in ("tax_codes", "invoice_custom_section_codes", "email_settings"):
            value: list[str] | UnsetType | None = getattr(self, name)
            computed[name] = [] if value is None else value
        return changes(self, BillingEntityChanges, **computed)


class BillingEntityRequest(Struct):
    """The envelope of a billing entity to create or change."""

    billing_entity: BillingEntityInput


class BillingEntityBody(Struct, kw_only=True):
    """A billing entity."""

    lago_id: str
    code: str
    name: str
    address_line1: str | None
    address_line2: str | None
    city: str | None
    state: str | None
    zipcode: str | None
    country: str | None
    email: str | None
    phone: str | None
    default_currency: str | None
    timezone: str | None
    document_numbering: str
    document_number_prefix: str
    document_locale: str
    finalize_zero_amount_invoice: bool
    net_payment_term: int
    eu_tax_management: bool
    einvoicing: bool
    logo_url: str | None
    legal_name: str | None
    legal_number: str | None
    tax_identification_number: str | None
    is_default: bool
    invoice_footer: str | None
    invoice_grace_period: int
    subscription_invoice_issuing_date_anchor: str
    subscription_invoice_issuing_date_adjustment: str
    email_settings: list[str]
    taxes: list[TaxBody]
    selected_invoice_custom_sections: list[SectionBody]
    created_at: str
    updated_at: str

    @classmethod
    def of(
        cls,
        entity: BillingEntity,
        taxes: ShownTaxes,
        sections: Sequence[InvoiceCustomSection],
    ) -> "BillingEntityBody":
        """Show a billing entity; `sections` has those that it names, and maybe others."""
        return show(
            cls,
            entity,
            lago_id=str(entity.id),
            taxes=taxes.of(entity.tax_codes),
            selected_invoice_custom_sections=[
                SectionBody.of(section)
                for section in sections
                if section.code in entity.invoice_custom_section_codes
            ],
            created_at=iso_seconds(entity.created_at),
            updated_at=iso_seconds(entity.updated_at),
        )


class BillingEntityReply(Struct):
    """The envelope of a billing entity."""

    billing_entity: BillingEntityBody


class BillingEntitiesReply(Struct):
    """A page of billing entities."""

    billing_entities: list[BillingEntityBody]
    meta: Meta
