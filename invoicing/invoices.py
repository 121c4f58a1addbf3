"""Invoices: what a customer is asked to pay, and the life of that demand.

generating ─► draft ─► finalizing ─► finalized ─► voided
     └─────────────────────┘  └─► closed (nothing to pay, and nothing is what is sent)

Amounts are in the currency's minor unit. A finalized invoice never changes: what follows it is a
payment, a credit note, or that it is voided.
"""

from collections.abc import Container, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct, field, structs

from invoicing.errors import NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries, to_json

_queries: Final = load_queries(__file__)

TYPES: Final = ("subscription", "one_off", "credit", "advance_charges", "progressive_billing")
SHOWN: Final = ("draft", "pending", "failed", "finalized", "voided")
"""The statuses that callers see; the others are on their way, or nothing to be seen."""
BEGUN: Final = (*SHOWN, "finalizing")
"""Those and what somebody is making final: who saw the draft knows it, though it cannot change."""


_CONCLUDED: Final = (
    "organization_id",
    "id",
    "status",
    "payment_status",
    "number",
    "sequential_id",
    "prepaid_credit_amount_cents",
    "prepaid_granted_credit_amount_cents",
    "prepaid_purchased_credit_amount_cents",
    "total_amount_cents",
    "settlement",
    "finalized_at",
    "tzdata_version",
    "updated_at",
)


class Invoice(Record, frozen=True, kw_only=True):
    """An invoice as stored."""

    json_columns: ClassVar[tuple[str, ...]] = (
        "applied_taxes",
        "custom_sections",
        "applied_usage_thresholds",
        "metadata",
        "error_details",
        "customer_as_billed",
        "entity_as_billing",
        "settlement",
    )

    organization_id: UUID
    id: UUID
    customer_id: UUID
    billing_entity_id: UUID
    invoice_type: str
    status: str
    payment_status: str = "pending"
    currency: str
    number: str = ""
    sequential_id: int | None = None
    issuing_date: date
    expected_finalization_date: date | None = None
    payment_due_date: date
    net_payment_term: int
    timezone: str
    fees_amount_cents: int = 0
    progressive_billing_credit_amount_cents: int = 0
    coupons_amount_cents: int = 0
    taxes_amount_cents: int = 0
    taxes_rate: Decimal = Decimal(0)
    sub_total_excluding_taxes_amount_cents: int = 0
    sub_total_including_taxes_amount_cents: int = 0
    credit_notes_amount_cents: int = 0
    prepaid_credit_amount_cents: int = 0
    prepaid_granted_credit_amount_cents: int = 0
    prepaid_purchased_credit_amount_cents: int = 0
    debited_amount_minor: Decimal = Decimal(0)
    total_amount_cents: int = 0
    total_paid_amount_cents: int = 0
    total_offsetted_credit_note_amount_cents: int = 0
    applied_taxes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    custom_sections: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    applied_usage_thresholds: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metadata: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    error_details: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    customer_as_billed: dict[str, Any] | None = None
    entity_as_billing: dict[str, Any] | None = None
    settlement: dict[str, Any] | None = None
    content_hash: bytes | None = None
    sealed_at: datetime | None = None
    sealed_xact_id: int | None = None
    voided_invoice_id: UUID | None = None
    purchase_order_number: str | None = None
    self_billed: bool = False
    payment_overdue: bool = False
    payment_dispute_lost_at: datetime | None = None
    version_number: int = 1
    revision: int = 1
    tzdata_version: str | None = None
    finalized_at: datetime | None = None
    voided_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The clock of the customer, as it was billed."""
        return ZoneInfo(self.timezone)

    @property
    def stands(self) -> bool:
        """Whether it is final, and nobody is voiding it."""
        return self.status == "finalized" and "voiding" not in (self.settlement or {})

    @property
    def waiting_key(self) -> tuple[datetime, UUID]:
        """Where somebody who goes through all that wait goes on."""
        return self.updated_at, self.id

    @property
    def total_due_amount_cents(self) -> int:
        """What is still to be paid."""
        return (
            self.total_amount_cents
            - self.total_paid_amount_cents
            - self.total_offsetted_credit_note_amount_cents
        )


class InvoiceFilter(Struct, frozen=True, kw_only=True):
    """Which invoices are asked for; None means all."""

    customer_id: UUID | None = None
    statuses: list[str] = field(default_factory=lambda: list(SHOWN))
    invoice_types: list[str] | None = None
    payment_statuses: list[str] | None = None
    currency: str | None = None
    payment_overdue: bool | None = None
    payment_dispute_lost: bool | None = None
    issuing_date_from: date | None = None
    issuing_date_to: date | None = None
    amount_from: int | None = None
    amount_to: int | None = None
    billing_entity_codes: list[str] | None = None
    subscription_id: UUID | None = None
    self_billed: bool | None = None
    partially_paid: bool | None = None
    positive_due_amount: bool | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    """What is remembered of them: all of these."""
    search_term: str | None = None


async def insert(connection: Connection, invoice: Invoice) -> None:
    """Store a new invoice."""
    await insert_all(connection, [invoice])


async def insert_all(connection: Connection, new: Sequence[Invoice]) -> None:
    """Store new invoices."""
    if new:
        await _queries.insert_invoices(connection, rows=to_json(new))


async def save(connection: Connection, invoice: Invoice) -> None:
    """Store what has become of an invoice. A final one refuses all but what may follow it."""
    await _queries.update_invoice(connection, **invoice.columns())


async def find(
    connection: Connection, organization_id: UUID, invoice_id: UUID, *, locks: bool = False
) -> Invoice | None:
    """An invoice by its id, whatever its status; `locks` keeps it from being changed by others."""
    query = _queries.lock_invoice if locks else _queries.find_invoice
    row = await query(connection, organization_id=organization_id, id=invoice_id)
    return None if row is None else Invoice.of(row)


async def lock_all(
    connection: Connection, wanted: Sequence[tuple[UUID, UUID]], *, statuses: Sequence[str]
) -> list[Invoice]:
    """Those of many, by (organization, id), that are in one of the statuses; kept from others."""
    rows = _queries.lock_invoices(
        connection,
        organization_ids=[organization for organization, _ in wanted],
        ids=[invoice for _, invoice in wanted],
        statuses=list(statuses),
    )
    return [Invoice.of(row) async for row in rows]


async def find_waiting(
    connection: Connection,
    *,
    statuses: Sequence[str],
    before: datetime,
    over_at: datetime | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Invoice]:
    """Invoices of all organizations that have been in a status since before a time.

    With `over_at`, only those whose grace period is over then where the customer lives. `after` is
    the `waiting_key` of the last one that the caller has been given.
    """
    rows = _queries.find_waiting(
        connection,
        statuses=list(statuses),
        before=before,
        over_at=over_at,
        # It is tomorrow already in some zones: what no index knows is looked at until then.
        tomorrow=over_at and (over_at + timedelta(days=1)).date(),
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )
    return [Invoice.of(row) async for row in rows]


async def find_given_up(
    connection: Connection,
    *,
    since: datetime,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Invoice]:
    """What subscriptions were to be paid by that were given up since then: nobody owes it.

    `after` is as in `find_waiting`.
    """
    rows = _queries.find_given_up(
        connection,
        since=since,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )
    return [Invoice.of(row) async for row in rows]


async def find_voiding(
    connection: Connection,
    *,
    before: datetime,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Invoice]:
    """Final invoices of all organizations that somebody has begun to void, and not finished.

    `after` is as in `find_waiting`.
    """
    rows = _queries.find_voiding(
        connection,
        before=before,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )
    return [Invoice.of(row) async for row in rows]


async def conclude_all(connection: Connection, concluded: Sequence[Invoice]) -> None:
    """Store what the book and the series of numbers made of invoices."""
    rows = [
        {
            **{name: getattr(invoice, name) for name in _CONCLUDED},
            "content_hash": invoice.content_hash.hex() if invoice.content_hash else None,
        }
        for invoice in concluded
    ]
    if rows:
        await _queries.conclude_invoices(connection, rows=to_json(rows))


async def mark_overdue(
    connection: Connection, *, now: datetime, limit: int
) -> list[tuple[UUID, UUID]]:
    """Mark demands that are not paid in time; the (organization, id) of those that were."""
    rows = _queries.mark_overdue(
        connection, now=now, today=(now + timedelta(days=1)).date(), limit=limit
    )
    return [(row["organization_id"], row["id"]) async for row in rows]


async def get(
    connection: Connection,
    organization_id: UUID,
    invoice_id: UUID,
    *,
    locks: bool = False,
    statuses: Container[str] = SHOWN,
) -> Invoice:
    """An invoice that callers may see. Raises NotFound."""
    invoice = await find(connection, organization_id, invoice_id, locks=locks)
    if invoice is None or invoice.status not in statuses:
        raise NotFound("invoice")
    return invoice


async def find_all(
    connection: Connection, organization_id: UUID, wanted: InvoiceFilter, *, window: Window
) -> Page[Invoice]:
    """A page of invoices, the newest issuing date first."""
    pairs = [{"key": key, "value": value} for key, value in wanted.metadata.items()]
    found = {
        **structs.asdict(wanted),
        "organization_id": organization_id,
        "metadata": to_json(pairs) if pairs else None,
    }
    rows = _queries.list_invoices(connection, **found, limit=window.size, offset=window.offset)
    items = [Invoice.of(row) async for row in rows]
    return Page(items, await _queries.count_invoices(connection, **found))
