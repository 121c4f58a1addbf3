"""Fees without an invoice that were paid: they are gathered on one when their period is over.

Source: Lago, `regroup_paid_fees`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from invoicing.billing_facts import Paid
from invoicing.fees import Fee
from invoicing.records import Connection, load_queries
from invoicing.usage_rollups import NIL
from ledger.ids import uuid_of

__all__ = ["lock_paid_fees", "payers", "unpaid_regrouped"]

_queries: Final[Any] = load_queries(__file__)


async def lock_paid_fees(
    connection: Connection, *, organization_id: UUID | None, now: datetime, limit: int
) -> list[Fee]:
    """Paid fees whose period is over, by customer; nobody else has them until the commit."""
    rows = _queries.lock_paid_fees(
        connection, organization_id=organization_id, now=now, limit=limit
    )
    return [Fee.of(row) async for row in rows]


async def payers(connection: Connection, fees: Sequence[Fee]) -> Paid:
    """Which grants paid for the events of one organization's fees when they happened."""
    rows = _queries.payers_of_events(
        connection,
        organization_id=fees[0].organization_id,
        subscription_ids=[fee.subscription_id for fee in fees],
        transaction_ids=[fee.event_transaction_id for fee in fees],
        starts=[fee.from_datetime for fee in fees],
        ends=[fee.to_datetime for fee in fees],
    )
    grants: dict[UUID, int] = {}
    async for row in rows:
        grants[uuid_of(row["grant_id"].int)] = int(row["amount_minor"])
    overage = grants.pop(NIL, 0)
    return Paid(
        grants={one: amount for one, amount in grants.items() if amount}, overage_minor=overage
    )


async def unpaid_regrouped(connection: Connection, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Invoices of paid fees whose payment was not counted yet, by (organization, id)."""
    rows = _queries.unpaid_regrouped(connection, limit=limit)
    return [(row["organization_id"], row["id"]) async for row in rows]
