"""Fees: the lines of invoices, and what an event was billed for by itself.

`amount_cents` is before coupons and taxes. `debited_minor` is how much of the line's usage had been
debited from wallets when it happened, in the smallest unit of the currency's asset.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import Struct, field, structs

from invoicing.errors import NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, load_queries, to_json

_queries: Final = load_queries(__file__)

TYPES: Final = ("subscription", "charge", "fixed_charge", "commitment", "add_on", "credit")
PAYMENT_STATUSES: Final = ("pending", "succeeded", "failed", "refunded")


class Fee(Record, frozen=True, kw_only=True):
    """A fee as stored."""

    json_columns: ClassVar[tuple[str, ...]] = (
        "filter_values",
        "pricing_group",
        "tax_codes",
        "applied_taxes",
        "amount_details",
        "presentation_breakdowns",
        "pricing_unit_details",
        "adjustment",
    )

    organization_id: UUID
    id: UUID
    invoice_id: UUID | None = None
    customer_id: UUID
    subscription_id: UUID | None = None
    fee_type: str
    position: int = 0
    charge_id: UUID | None = None
    charge_filter_id: UUID | None = None
    fixed_charge_id: UUID | None = None
    add_on_id: UUID | None = None
    wallet_transaction_id: UUID | None = None
    true_up_parent_fee_id: UUID | None = None
    original_fee_id: UUID | None = None
    item_code: str
    item_name: str
    invoice_display_name: str | None = None
    filter_display_name: str | None = None
    filter_values: dict[str, list[str]] | None = None
    description: str | None = None
    billable_metric_code: str | None = None
    pricing_group: dict[str, Any] = field(default_factory=dict[str, Any])
    units: Decimal = Decimal(0)
    total_aggregated_units: Decimal | None = None
    events_count: int | None = None
    amount_cents: int
    precise_amount_cents: Decimal
    precise_unit_amount: Decimal = Decimal(0)
    amount_currency: str
    tax_codes: list[str] = field(default_factory=list[str])
    precise_coupons_amount_cents: Decimal = Decimal(0)
    taxes_amount_cents: int = 0
    taxes_precise_amount_cents: Decimal = Decimal(0)
    taxes_rate: Decimal = Decimal(0)
    applied_taxes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    amount_details: dict[str, Any] = field(default_factory=dict[str, Any])
    presentation_breakdowns: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    pricing_unit_details: dict[str, Any] | None = None
    debited_minor: Decimal = Decimal(0)
    pay_in_advance: bool = False
    invoiceable: bool = True
    is_adjusted: bool = False
    adjustment: dict[str, Any] | None = None
    event_transaction_id: str | None = None
    from_datetime: datetime | None = None
    to_datetime: datetime | None = None
    payment_status: str = "pending"
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    refunded_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class FeeFilter(Struct, frozen=True, kw_only=True):
    """Which fees are asked for; None means all. Times are from the first to the last, included."""

    customer_id: UUID | None = None
    external_subscription_id: str | None = None
    currency: str | None = None
    fee_type: str | None = None
    billable_metric_code: str | None = None
    payment_status: str | None = None
    event_transaction_id: str | None = None
    created_at_from: datetime | None = None
    created_at_to: datetime | None = None
    succeeded_at_from: datetime | None = None
    succeeded_at_to: datetime | None = None
    failed_at_from: datetime | None = None
    failed_at_to: datetime | None = None
    refunded_at_from: datetime | None = None
    refunded_at_to: datetime | None = None


async def insert_all(connection: Connection, fees: Sequence[Fee]) -> None:
    """Store new fees."""
    if fees:
        await _queries.insert_fees(connection, rows=to_json(fees))


async def save(connection: Connection, fee: Fee) -> None:
    """Store what has become of a fee."""
    await _queries.update_fee(connection, **fee.columns())


async def get(connection: Connection, organization_id: UUID, fee_id: UUID) -> Fee:
    """A fee by its id. Raises NotFound."""
    row = await _queries.find_fee(connection, organization_id=organization_id, id=fee_id)
    if row is None:
        raise NotFound("fee")
    return Fee.of(row)


async def find_all(
    connection: Connection, organization_id: UUID, wanted: FeeFilter, *, window: Window
) -> Page[Fee]:
    """A page of fees that callers may see, the newest first."""
    found = {"organization_id": organization_id, **structs.asdict(wanted)}
    rows = _queries.list_fees(connection, **found, limit=window.size, offset=window.offset)
    items = [Fee.of(row) async for row in rows]
    return Page(items, await _queries.count_fees(connection, **found))


async def find_many(
    connection: Connection, organization_id: UUID, ids: Sequence[UUID]
) -> list[Fee]:
    """Fees by their ids, in any order."""
    rows = _queries.fees_by_id(connection, organization_id=organization_id, ids=list(ids))
    return [Fee.of(row) async for row in rows]


async def of_invoices(
    connection: Connection, organization_id: UUID, invoice_ids: Sequence[UUID]
) -> dict[UUID, list[Fee]]:
    """The lines of invoices, in their order."""
    found: dict[UUID, list[Fee]] = {invoice_id: [] for invoice_id in invoice_ids}
    rows = _queries.fees_of_invoices(
        connection, organization_id=organization_id, invoice_ids=list(invoice_ids)
    )
    async for row in rows:
        fee = Fee.of(row)
        assert fee.invoice_id is not None
        found[fee.invoice_id].append(fee)
    return found


async def delete_of_invoice(
    connection: Connection, organization_id: UUID, invoice_id: UUID
) -> None:
    """Forget the lines of a draft that is computed anew."""
    await _queries.delete_fees_of_invoice(
        connection, organization_id=organization_id, invoice_id=invoice_id
    )
