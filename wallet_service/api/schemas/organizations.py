"""Organizations on the wire."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct

from wallet_service.api.schemas.formats import (
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
from wallet_service.api.schemas.taxes import TaxBody
from wallet_service.organizations import Organization, OrganizationChanges


class OrganizationBillingInput(Struct):
    """How an organization bills."""

    invoice_footer: Given[Text] = UNSET
    invoice_grace_period: Given[Integer] = UNSET
    document_locale: Given[Word] = UNSET


class OrganizationInput(Struct):
    """What a caller says of its organization."""

    name: Given[Name] = UNSET
    default_currency: Given[Word] = UNSET
    email: Given[Name] = UNSET
    legal_name: Given[Name] = UNSET
    legal_number: Given[Name] = UNSET
    tax_identification_number: Given[Name] = UNSET
    address_line1: Given[Name] = UNSET
    address_line2: Given[Name] = UNSET
    city: Given[Name] = UNSET
    state: Given[Name] = UNSET
    zipcode: Given[Word] = UNSET
    country: Given[Word] = UNSET
    timezone: Given[Word] = UNSET
    net_payment_term: Given[Integer] = UNSET
    document_numbering: Given[Word] = UNSET
    document_number_prefix: Given[Word] = UNSET
    finalize_zero_amount_invoice: Given[bool] = UNSET
    email_settings: Given[ShortList[Word]] = UNSET
    billing_configuration: Given[OrganizationBillingInput] = UNSET

    def changes(self) -> OrganizationChanges:
        """The same for the domain."""
        given = self.billing_configuration
        configuration: Any = given
        if isinstance(given, OrganizationBillingInput):
            configuration = {
                name: value
                for name in given.__struct_fields__
                if (value := getattr(given, name)) is not UNSET
            }
        return changes(self, OrganizationChanges, billing_configuration=configuration)


class OrganizationRequest(Struct):
    """The envelope of an organization to change."""

    organization: OrganizationInput


class OrganizationBillingBody(Struct, kw_only=True):
    """How an organization bills."""

    invoice_footer: str | None = None
    invoice_grace_period: int | None = None
    document_locale: str | None = None


class OrganizationBody(Struct, kw_only=True):
    """An organization."""

    lago_id: str
    name: str
    default_currency: str
    email: str | None
    legal_name: str | None
    legal_number: str | None
    tax_identification_number: str | None
    address_line1: str | None
    address_line2: str | None
    city: str | None
    state: str | None
    zipcode: str | None
    country: str | None
    timezone: str
    net_payment_term: int
    document_numbering: str
    document_number_prefix: str
    finalize_zero_amount_invoice: bool
    email_settings: list[str]
    billing_configuration: OrganizationBillingBody
    webhook_url: str | None
    webhook_urls: list[str]
    taxes: list[TaxBody]
    created_at: str

    @classmethod
    def of(cls, organization: Organization, taxes: Sequence[TaxBody]) -> "OrganizationBody":
        """Show an organization with the taxes of its default billing entity."""
        return show(
            cls,
            organization,
            lago_id=str(organization.id),
            billing_configuration=OrganizationBillingBody(**organization.billing_configuration),
            webhook_url=None,
            webhook_urls=[],
            taxes=list(taxes),
            created_at=iso_seconds(organization.created_at),
        )


class OrganizationReply(Struct):
    """The envelope of an organization."""

    organization: OrganizationBody
