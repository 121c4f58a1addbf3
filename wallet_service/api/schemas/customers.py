"""Customers on the wire."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from invoicing.customers import Customer, CustomerChanges, MetadataEntry
from invoicing.invoice_custom_sections import InvoiceCustomSection
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Code,
    ExternalId,
    Given,
    GraceDays,
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


class AddressInput(Struct):
    """Where something is sent."""

    address_line1: Name | None = None
    address_line2: Name | None = None
    city: Name | None = None
    zipcode: Word | None = None
    state: Name | None = None
    country: Word | None = None


class MetadataInput(Struct):
    """One thing to remember; `id` (or `lago_id`) names an entry that exists."""

    id: Word | None = None
    lago_id: Word | None = None
    key: Word | None = None
    value: Name | None = None
    display_in_invoice: bool | None = None


class BillingConfigurationInput(Struct, omit_defaults=True):
    """How a customer is billed."""

    invoice_grace_period: Given[GraceDays] = UNSET
    subscription_invoice_issuing_date_anchor: Given[Word] = UNSET
    subscription_invoice_issuing_date_adjustment: Given[Word] = UNSET
    payment_provider: Given[Word] = UNSET
    payment_provider_code: Given[Code] = UNSET
    provider_customer_id: Given[Name] = UNSET
    sync: Given[bool] = UNSET
    sync_with_provider: Given[bool] = UNSET
    document_locale: Given[Word] = UNSET
    provider_payment_methods: Given[ShortList[Word]] = UNSET


class CustomerInput(Struct):
    """What a caller says of a customer. What is left out stays as it is, null clears it."""

    external_id: ExternalId | None = None
    name: Given[Name] = UNSET
    firstname: Given[Name] = UNSET
    lastname: Given[Name] = UNSET
    customer_type: Given[Word] = UNSET
    email: Given[Name] = UNSET
    legal_name: Given[Name] = UNSET
    legal_number: Given[Name] = UNSET
    tax_identification_number: Given[Name] = UNSET
    phone: Given[Name] = UNSET
    url: Given[Text] = UNSET
    logo_url: Given[Text] = UNSET
    address_line1: Given[Name] = UNSET
    address_line2: Given[Name] = UNSET
    city: Given[Name] = UNSET
    state: Given[Name] = UNSET
    zipcode: Given[Word] = UNSET
    country: Given[Word] = UNSET
    shipping_address: Given[AddressInput] = UNSET
    currency: Given[Word] = UNSET
    timezone: Given[Word] = UNSET
    net_payment_term: Given[Integer] = UNSET
    finalize_zero_amount_invoice: Given[Word] = UNSET
    skip_invoice_custom_sections: Given[bool] = UNSET
    billing_configuration: Given[BillingConfigurationInput] = UNSET
    billing_entity_code: Given[Code] = UNSET
    metadata: Given[ShortList[MetadataInput]] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET
    invoice_custom_section_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> CustomerChanges:
        """The same for the domain."""
        address = self.shipping_address
        configuration = self.billing_configuration
        return changes(
            self,
            CustomerChanges,
            shipping_address=_fields(address) if isinstance(address, AddressInput) else address,
            billing_configuration=_fields(configuration)
            if isinstance(configuration, BillingConfigurationInput)
            else configuration,
            tax_codes=[] if self.tax_codes is None else self.tax_codes,
            invoice_custom_section_codes=[]
            if self.invoice_custom_section_codes is None
            else self.invoice_custom_section_codes,
        )

    def metadata_entries(self) -> list[MetadataEntry] | None:
        """The metadata to have from now on; None leaves it as it is."""
        if isinstance(self.metadata, UnsetType):
            return None
        return [
            MetadataEntry(
                id=entry.lago_id or entry.id,
                key=entry.key,
                value=entry.value,
                display_in_invoice=entry.display_in_invoice,
            )
            for entry in self.metadata or ()
        ]


def _fields(given: Struct) -> dict[str, Any]:
    return {
        name: value
        for name in given.__struct_fields__
        if (value := getattr(given, name)) is not UNSET
    }


class CustomerRequest(Struct):
    """The envelope of a customer to create or change."""

    customer: CustomerInput


class MetadataBody(Struct, kw_only=True):
    """One thing remembered."""

    lago_id: str
    key: str
    value: str
    display_in_invoice: bool
    created_at: str


class AddressBody(Struct, kw_only=True):
    """Where something is sent."""

    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    zipcode: str | None = None
    state: str | None = None
    country: str | None = None


class BillingConfigurationBody(Struct, kw_only=True):
    """How a customer is billed."""

    invoice_grace_period: int | None = None
    subscription_invoice_issuing_date_anchor: str | None = None
    subscription_invoice_issuing_date_adjustment: str | None = None
    payment_provider: str | None = None
    payment_provider_code: str | None = None
    provider_customer_id: str | None = None
    sync: bool | None = None
    sync_with_provider: bool | None = None
    document_locale: str | None = None
    provider_payment_methods: list[str] | None = None


class CustomerSurroundings(Struct, frozen=True, kw_only=True):
    """What a customer has of its organization and of the entity that bills it."""

    timezone: str
    tax_codes: Sequence[str]
    """Of the taxes that it has, named by itself or managed."""
    taxes: ShownTaxes
    sections: Sequence[InvoiceCustomSection]


class CustomerBody(Struct, kw_only=True):
    """A customer."""

    lago_id: str
    external_id: str
    name: str | None
    firstname: str | None
    lastname: str | None
    customer_type: str | None
    email: str | None
    legal_name: str | None
    legal_number: str | None
    tax_identification_number: str | None
    phone: str | None
    url: str | None
    logo_url: str | None
    address_line1: str | None
    address_line2: str | None
    city: str | None
    state: str | None
    zipcode: str | None
    country: str | None
    shipping_address: AddressBody
    currency: str | None
    timezone: str | None
    applicable_timezone: str
    net_payment_term: int | None
    finalize_zero_amount_invoice: str
    skip_invoice_custom_sections: bool
    billing_configuration: BillingConfigurationBody
    billing_entity_code: str | None
    metadata: list[MetadataBody]
    taxes: list[TaxBody]
    integration_customers: list[dict[str, Any]]
    applicable_invoice_custom_sections: list[SectionBody]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, customer: Customer, about: CustomerSurroundings) -> "CustomerBody":
        """Show a customer and what applies to it."""
        return show(
            cls,
            customer,
            lago_id=str(customer.id),
            shipping_address=AddressBody(**(customer.shipping_address or {})),
            billing_configuration=BillingConfigurationBody(**customer.billing_configuration),
            applicable_timezone=customer.timezone or about.timezone,
            metadata=[
                MetadataBody(lago_id=entry["id"], **_shown(entry)) for entry in customer.metadata
            ],
            taxes=about.taxes.of(about.tax_codes),
            integration_customers=[],
            applicable_invoice_custom_sections=[
                SectionBody.of(section) for section in about.sections
            ],
            created_at=iso_seconds(customer.created_at),
            updated_at=iso_seconds(customer.updated_at),
        )


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "id"}


class CustomerReply(Struct):
    """The envelope of a customer."""

    customer: CustomerBody


class CustomersReply(Struct):
    """A page of customers."""

    customers: list[CustomerBody]
    meta: Meta
