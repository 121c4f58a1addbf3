"""What callers change of an invoice without changing what it asks for.

What is remembered of it, that a dispute about it is lost, and that a draft is not wanted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import invoices
from invoicing.errors import Invalid, NotAllowed
from invoicing.invoices import Invoice
from invoicing.records import Connection
from ledger.ids import new_uuid

__all__ = ["METADATA_MAX", "MetadataEntry", "delete_draft", "lose_dispute", "set_metadata"]

METADATA_MAX: Final = 5
"""Entries of an invoice. Source: Lago, limits of metadata."""


class MetadataEntry(Struct, frozen=True, kw_only=True):
    """One thing to remember of an invoice; an `id` names an entry that exists."""

    id: str | None = None
    key: str | None = None
    value: str | None = None


async def set_metadata(
    connection: Connection,
    organization_id: UUID,
    invoice_id: UUID,
    entries: Sequence[MetadataEntry],
    *,
    now: datetime,
) -> Invoice:
    """Have these entries and no others; one that names an `id` keeps it. NotFound, Invalid."""
    invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
    metadata = _merged(invoice.metadata, entries, now=now)
    changed = structs.replace(invoice, metadata=metadata, updated_at=now)
    await invoices.save(connection, changed)
    return changed


async def lose_dispute(
    connection: Connection, organization_id: UUID, invoice_id: UUID, *, now: datetime
) -> tuple[Invoice, bool]:
    """Note that a dispute about an invoice is lost; says whether that is news.

    Raises NotFound and NotAllowed (`not_disputable`).
    """
    invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
    if invoice.payment_dispute_lost_at is not None:
        return invoice, False
    if invoice.status != "finalized":
        raise NotAllowed("not_disputable")
    changed = structs.replace(
        invoice, payment_dispute_lost_at=now, payment_overdue=False, updated_at=now
    )
    await invoices.save(connection, changed)
    return changed, True


async def delete_draft(
    connection: Connection, organization_id: UUID, invoice_id: UUID, *, now: datetime
) -> Invoice:
    """Put a draft away for good: what it was for is not billed.

    Raises NotFound and NotAllowed (`invalid_status`).
    """
    invoice = await invoices.get(
        connection, organization_id, invoice_id, locks=True, statuses=invoices.BEGUN
    )
    if invoice.status != "draft":
        raise NotAllowed("invalid_status")
    changed = structs.replace(invoice, status="deleted", updated_at=now)
    await invoices.save(connection, changed)
    return invoice


def _merged(
    existing: Sequence[dict[str, Any]], entries: Sequence[MetadataEntry], *, now: datetime
) -> list[dict[str, Any]]:
    """The entries as they will be stored: named ones keep their id and what is not given."""
    if len(entries) > METADATA_MAX:
        raise Invalid.field("metadata", "invalid_count")
    by_id: dict[str, dict[str, Any]] = {entry["id"]: entry for entry in existing}
    merged: list[dict[str, Any]] = []
    for entry in entries:
        known = by_id.get(entry.id, {}) if entry.id else {}
        key: str | None = entry.key if entry.key is not None else known.get("key")
        value: str | None = entry.value if entry.value is not None else known.get("value")
        if not key or not key.strip() or value is None:
            raise Invalid.field("metadata", "invalid_key_value_pair")
        if any(other["key"] == key for other in merged):
            raise Invalid.field("metadata", "value_is_duplicated")
        merged.append(
            {
                "id": known.get("id") or str(new_uuid(now)),
                "key": key,
                "value": value,
                "created_at": known.get("created_at") or _iso(now),
            }
        )
    return merged


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
