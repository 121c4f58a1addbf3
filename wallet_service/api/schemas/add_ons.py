"""Add-ons on the wire."""

from msgspec import UNSET, Struct

from invoicing.add_ons import AddOn, AddOnChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Cents,
    Code,
    Given,
    Name,
    ShortList,
    Text,
    Word,
    changes,
    iso_seconds,
)
from wallet_service.api.schemas.taxes import ShownTaxes, TaxBody


class AddOnInput(Struct):
    """What a caller says of an add-on."""

    name: Given[Name] = UNSET
    code: Given[Code] = UNSET
    invoice_display_name: Given[Name] = UNSET
    description: Given[Text] = UNSET
    amount_cents: Given[Cents] = UNSET
    amount_currency: Given[Word] = UNSET
    tax_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> AddOnChanges:
        """The same for the domain."""
        return changes(self, AddOnChanges)


class AddOnRequest(Struct):
    """The envelope of an add-on to create or change."""

    add_on: AddOnInput


class AddOnBody(Struct, kw_only=True):
    """An add-on."""

    lago_id: str
    name: str
    invoice_display_name: str | None
    code: str
    amount_cents: int
    amount_currency: str
    description: str | None
    taxes: list[TaxBody]
    created_at: str

    @classmethod
    def of(cls, add_on: AddOn, taxes: ShownTaxes) -> "AddOnBody":
        """Show an add-on; `taxes` has those that it names."""
        return cls(
            lago_id=str(add_on.id),
            name=add_on.name,
            invoice_display_name=add_on.invoice_display_name,
            code=add_on.code,
            amount_cents=add_on.amount_cents,
            amount_currency=add_on.amount_currency,
            description=add_on.description,
            taxes=taxes.of(add_on.tax_codes),
            created_at=iso_seconds(add_on.created_at),
        )


class AddOnReply(Struct):
    """The envelope of an add-on."""

    add_on: AddOnBody


class AddOnsReply(Struct):
    """A page of add-ons."""

    add_ons: list[AddOnBody]
    meta: Meta
