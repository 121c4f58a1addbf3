"""Invoice custom sections: texts that invoices carry, named by billing entities and customers.

A section keeps its code for good. An invoice keeps the text it was finalised with.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)


class InvoiceCustomSection(Record, frozen=True, kw_only=True):
    """A section as stored. `display_name` heads it on invoices, `details` are its text."""

    organization_id: UUID
    id: UUID
    code: str = ""
    name: str = ""
    description: str | None = None
    display_name: str | None = None
    details: str | None = None
    created_at: datetime
    updated_at: datetime


class SectionChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    display_name: str | UnsetType | None = UNSET
    details: str | UnsetType | None = UNSET


async def create(
    connection: Connection, organization_id: UUID, changes: SectionChanges, *, now: datetime
) -> InvoiceCustomSection:
    """Add a section; raises Invalid."""
    blank = InvoiceCustomSection(
        organization_id=organization_id, id=new_uuid(now), created_at=now, updated_at=now
    )
    section = apply(changes, blank)
    _check(section)
    row = await _queries.insert_section(connection, **section.columns())
    if row is None:
        raise Invalid.field("code", "value_already_exist")
    return InvoiceCustomSection.of(row)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: SectionChanges,
    *,
    now: datetime,
) -> InvoiceCustomSection:
    """Change a section, for invoices that are not final yet too. Raises NotFound or Invalid."""
    before = await get(connection, organization_id, code)
    section = structs.replace(apply(changes, before), updated_at=now)
    _check(section)
    if section.code != before.code:
        raise Invalid.field("code", "value_is_invalid", "a section keeps its code")
    return InvoiceCustomSection.of(await _queries.update_section(connection, **section.columns()))


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> InvoiceCustomSection:
    """Withdraw a section: new invoices do not carry it. Raises NotFound."""
    section = await get(connection, organization_id, code)
    await _queries.delete_section(
        connection, organization_id=organization_id, id=section.id, now=now
    )
    return section


async def get(connection: Connection, organization_id: UUID, code: str) -> InvoiceCustomSection:
    """The section with this code; raises NotFound."""
    found = await of_codes(connection, organization_id, [code])
    if not found:
        raise NotFound("invoice_custom_section")
    return found[0]


async def of_codes(
    connection: Connection, organization_id: UUID, codes: Iterable[str]
) -> list[InvoiceCustomSection]:
    """The sections with these codes, by code; those that are deleted are left out."""
    wanted = sorted(set(codes))
    if not wanted:
        return []
    rows = _queries.find_sections(connection, organization_id=organization_id, codes=wanted)
    return [InvoiceCustomSection.of(row) async for row in rows]


def codes_for(*, skips: bool, of_customer: Sequence[str], of_entity: Sequence[str]) -> list[str]:
    """The sections of a customer's invoices: its own, or those of the entity that bills it."""
    return [] if skips else list(of_customer or of_entity)


async def check(connection: Connection, organization_id: UUID, codes: Iterable[str]) -> None:
    """Raise Invalid (`invoice_custom_section_not_found`) unless every code names a section."""
    wanted = set(codes)
    found = await of_codes(connection, organization_id, wanted)
    if len(found) < len(wanted):
        raise Invalid.field("invoice_custom_section_codes", "invoice_custom_section_not_found")


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window
) -> Page[InvoiceCustomSection]:
    """A page of sections, newest first."""
    rows = _queries.list_sections(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [InvoiceCustomSection.of(row) async for row in rows]
    return Page(items, await _queries.count_sections(connection, organization_id=organization_id))


def _check(section: InvoiceCustomSection) -> None:
    """Raise Invalid with all that is wrong."""
    problems = {
        name: ["value_is_mandatory"]
        for name in ("name", "code")
        if not getattr(section, name).strip()
    }
    if problems:
        raise Invalid(problems)
