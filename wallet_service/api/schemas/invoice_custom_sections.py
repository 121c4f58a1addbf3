"""Invoice custom sections on the wire. Ours: Lago has them in its user interface alone."""

from msgspec import UNSET, Struct, UnsetType

from invoicing.invoice_custom_sections import InvoiceCustomSection, SectionChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import Code, Name, Text, changes, iso_seconds


class SectionInput(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a caller says of a section."""

    code: Code | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    display_name: Name | UnsetType = UNSET
    details: Text | UnsetType = UNSET

    def changes(self) -> SectionChanges:
        """The same for the domain."""
        return changes(self, SectionChanges)


class SectionRequest(Struct, forbid_unknown_fields=True):
    """The envelope of a section to create or change."""

    invoice_custom_section: SectionInput


class SectionBody(Struct, kw_only=True):
    """A section: a text that invoices carry."""

    lago_id: str
    code: str
    name: str
    description: str | None
    display_name: str | None
    details: str | None
    created_at: str

    @classmethod
    def of(cls, section: InvoiceCustomSection) -> "SectionBody":
        """Show a section."""
        return cls(
            lago_id=str(section.id),
            code=section.code,
            name=section.name,
            description=section.description,
            display_name=section.display_name,
            details=section.details,
            created_at=iso_seconds(section.created_at),
        )


class SectionReply(Struct):
    """The envelope of a section."""

    invoice_custom_section: SectionBody


class SectionsReply(Struct):
    """A page of sections."""

    invoice_custom_sections: list[SectionBody]
    meta: Meta
