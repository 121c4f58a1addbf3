"""Billed periods: one row for each moment at which a subscription was billed, never two.

The row is made in the transaction that makes the invoice, so whoever comes second finds it, and
whoever comes after a crash goes on with what has none.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import field

from invoicing.records import Connection, Record, load_queries, to_json

__all__ = [
    "BilledPeriod",
    "billed_by_others",
    "claim",
    "last_seal",
    "move_to_invoice",
    "of_invoices",
    "reseal",
]

_queries: Final[Any] = load_queries(__file__)


class BilledPeriod(Record, frozen=True, kw_only=True):
    """One of them, as stored. Periods are half-open."""

    json_columns: ClassVar[tuple[str, ...]] = ("moment",)

    organization_id: UUID
    subscription_id: UUID
    billing_at: datetime
    reason: str
    invoice_id: UUID | None
    """None: there was nothing to bill."""
    plan_id: UUID
    from_at: datetime | None = None
    to_at: datetime | None = None
    """What the plan's own amount is for."""
    charges_from_at: datetime | None = None
    charges_to_at: datetime | None = None
    fixed_charges_from_at: datetime | None = None
    fixed_charges_to_at: datetime | None = None
    sealed_xact_id: int | None = None
    """Events of transactions from this one on may be missing in it: they came late."""
    moment: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was to be billed (`billing_moments.BillingMoment`)."""
    created_at: datetime


async def claim(
    connection: Connection, periods: Sequence[BilledPeriod]
) -> set[tuple[UUID, datetime, str]]:
    """Take moments for one's own: (subscription, time, reason) of those that nobody had billed."""
    if not periods:
        return set()
    rows = _queries.insert_periods(connection, rows=to_json(periods))
    return {(row["subscription_id"], row["billing_at"], row["reason"]) async for row in rows}


async def of_invoices(
    connection: Connection, organization_id: UUID, invoice_ids: Sequence[UUID]
) -> dict[UUID, list[BilledPeriod]]:
    """What invoices are for, by invoice."""
    found: dict[UUID, list[BilledPeriod]] = {invoice_id: [] for invoice_id in invoice_ids}
    rows = _queries.periods_of_invoices(
        connection, organization_id=organization_id, invoice_ids=list(invoice_ids)
    )
    async for row in rows:
        period = BilledPeriod.of(row)
        assert period.invoice_id is not None
        found[period.invoice_id].append(period)
    return found


async def reseal(
    connection: Connection, organization_id: UUID, invoice_id: UUID, sealed_xact_id: int
) -> None:
    """Note as of when the usage of a draft was computed anew."""
    await _queries.reseal(
        connection,
        organization_id=organization_id,
        invoice_id=invoice_id,
        sealed_xact_id=sealed_xact_id,
    )


async def move_to_invoice(
    connection: Connection, organization_id: UUID, *, from_id: UUID, to_id: UUID
) -> None:
    """Let another invoice bill what a voided one had billed."""
    await _queries.move_to_invoice(
        connection, organization_id=organization_id, from_id=from_id, to_id=to_id
    )


async def billed_by_others(
    connection: Connection, organization_id: UUID, subscription_ids: Sequence[UUID], *, own_id: UUID
) -> str:
    """What stands billed of subscriptions by other invoices: a text that is another where it is."""
    found: str = await _queries.billed_by_others(
        connection,
        organization_id=organization_id,
        subscription_ids=list(subscription_ids),
        own_id=own_id,
    )
    return found


async def last_seal(
    connection: Connection, organization_id: UUID, invoice_ids: Collection[UUID]
) -> int | None:
    """As of which transaction the usage of invoices was read last; None where none has any."""
    found: int | None = await _queries.last_seal(
        connection, organization_id=organization_id, invoice_ids=list(invoice_ids)
    )
    return found
