"""Taxes on the wire."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import UNSET, Struct

from invoicing.billing_entity_taxes import TaxedEntities
from invoicing.taxes import Tax, TaxChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import Code, Given, Name, Text, changes, iso_seconds


class TaxInput(Struct):
    """What a caller says of a tax. `rate` is in percent."""

    name: Given[Name] = UNSET
    code: Given[Code] = UNSET
    rate: Given[Decimal] = UNSET
    description: Given[Text] = UNSET
    applied_to_organization: Given[bool] = UNSET

    def changes(self) -> TaxChanges:
        """The same for the domain."""
        return changes(self, TaxChanges)


class TaxRequest(Struct):
    """The envelope of a tax to create or change."""

    tax: TaxInput


class TaxBody(Struct, kw_only=True):
    """A tax. `applied_to_organization`: the default billing entity has it."""

    lago_id: str
    name: str
    code: str
    rate: float
    description: str | None
    applied_to_organization: bool
    applied_to_billing_entities_codes: list[str]
    created_at: str

    @classmethod
    def of(cls, tax: Tax, entities: TaxedEntities) -> "TaxBody":
        """Show a tax and the billing entities that have it."""
        return cls(
            lago_id=str(tax.id),
            name=tax.name,
            code=tax.code,
            rate=float(tax.rate),
            description=tax.description,
            applied_to_organization=entities.has_default,
            applied_to_billing_entities_codes=entities.codes,
            created_at=iso_seconds(tax.created_at),
        )


class ShownTaxes(Struct, frozen=True):
    """The taxes that bodies show, found beforehand: those of some codes."""

    by_code: Mapping[str, TaxBody]

    def of(self, codes: Iterable[str]) -> list[TaxBody]:
        """The taxes of what names these codes; deleted ones are left out."""
        return [self.by_code[code] for code in codes if code in self.by_code]


class TaxReply(Struct):
    """The envelope of a tax."""

    tax: TaxBody


class TaxesReply(Struct):
    """A page of taxes."""

    taxes: list[TaxBody]
    meta: Meta
