"""The taxes that billing entities have for what names none of its own."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import default_billing_entity
from invoicing.records import Connection, load_queries

_queries: Final = load_queries(__file__)

EU_TAX_PREFIX: Final = "eu_"
"""How the codes of those taxes begin that EU VAT is managed with."""


class TaxedEntities(Struct, frozen=True, kw_only=True):
    """Which billing entities have a tax."""

    codes: list[str]
    has_default: bool


async def tax_default(
    connection: Connection, organization_id: UUID, tax_code: str, *, applies: bool, now: datetime
) -> None:
    """Let the default entity have a tax, or no longer."""
    await default_billing_entity.ensure(connection, organization_id, now=now)
    await _queries.tax_default(
        connection, organization_id=organization_id, code=tax_code, applies=applies, now=now
    )


async def untax(
    connection: Connection, organization_id: UUID, tax_code: str, *, now: datetime
) -> None:
    """Take a tax off every entity."""
    await _queries.untax_entities(
        connection, organization_id=organization_id, code=tax_code, now=now
    )


async def any_managed(connection: Connection, organization_id: UUID) -> bool:
    """Whether any entity has its EU VAT managed."""
    managed: bool = await _queries.are_any_managed(connection, organization_id=organization_id)
    return managed


async def taxed_by(
    connection: Connection, organization_id: UUID, tax_codes: Sequence[str]
) -> dict[str, TaxedEntities]:
    """The entities that have each of these taxes."""
    rows = _queries.entities_of_taxes(
        connection, organization_id=organization_id, codes=list(tax_codes)
    )
    found = [(row["tax_code"], row["code"], row["is_default"]) async for row in rows]
    return {
        wanted: TaxedEntities(
            codes=[code for tax_code, code, _ in found if tax_code == wanted],
            has_default=any(is_first for tax_code, _, is_first in found if tax_code == wanted),
        )
        for wanted in tax_codes
    }
