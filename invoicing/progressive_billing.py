"""Progressive billing: usage is billed before its period ends, when lifetime usage reaches a sum.

Such an invoice has all usage of the period so far, less what those before it had billed of it. The
period's own invoice has all usage again, less what was billed on the way.
Source: Lago, progressive billing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from invoicing.billing_schedule import DueMoment, ScheduledSubscription
from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoice_totals import ProgressiveCredit
from invoicing.records import Connection, from_json, load_queries, to_json
from invoicing.usage_thresholds import UsageThreshold
from rating.exact import EXACT, ZERO

__all__ = [
    "BilledAhead",
    "Watched",
    "applied",
    "billed_ahead",
    "crossed",
    "find_moved",
    "find_watched",
    "is_taken_off",
    "keep",
    "keep_ahead",
    "reached_before",
]

_queries: Final[Any] = load_queries(__file__)
_read_thresholds: Final = msgspec.json.Decoder(list[UsageThreshold]).decode


class Watched(Struct, frozen=True, kw_only=True):
    """A subscription whose usage is compared with thresholds."""

    organization_id: UUID
    id: UUID
    external_id: str
    thresholds: list[UsageThreshold]


class BilledAhead(Struct, frozen=True, kw_only=True):
    """What progressive invoices have billed of a period's usage already."""

    credits: list[ProgressiveCredit] = []
    debited: Mapping[str, Decimal] = {}
    """What of it had been debited in real time, by line."""
    sealed_xact_id: int | None = None
    """The last of them has all that was committed before."""

    def without(self, fees: Sequence[Fee]) -> list[Fee]:
        """Lines of usage less what had been debited for what was billed ahead."""
        if not self.debited:
            return list(fees)
        return [
            structs.replace(
                fee,
                debited_minor=EXACT.subtract(
                    fee.debited_minor, self.debited.get(line_of(fee), ZERO)
                ),
            )
            for fee in fees
        ]


def line_of(fee: Fee) -> str:
    """What makes lines of two invoices the same: charge, filter and group."""
    return f"{fee.charge_id}:{fee.charge_filter_id}:{to_json(fee.pricing_group)}"


def crossed(
    thresholds: Sequence[UsageThreshold], before_cents: int, total_cents: int
) -> list[UsageThreshold]:
    """The thresholds that lie between two sums of lifetime usage, by amount.

    The recurring one lies after the last of the others, again and again after its own amount.
    """
    fixed = [one for one in thresholds if not one.recurring]
    found = [one for one in fixed if before_cents < one.amount_cents <= total_cents]
    last = max((one.amount_cents for one in fixed), default=0)
    for one in thresholds:
        if one.recurring:
            times = max(total_cents - last, 0) // one.amount_cents
            if times > max(before_cents - last, 0) // one.amount_cents:
                found.append(one)
    return sorted(found, key=lambda one: (one.recurring, one.amount_cents))


async def find_watched(connection: Connection, *, after: UUID, limit: int) -> list[Watched]:
    """Active subscriptions that have thresholds, of all organizations, by id."""
    rows = _queries.find_watched(connection, after=after, limit=limit)
    return [
        Watched(
            organization_id=row["organization_id"],
            id=row["id"],
            external_id=row["external_id"],
            thresholds=_read_thresholds(row["thresholds"]),
        )
        async for row in rows
    ]


async def find_moved(connection: Connection, seen: Sequence[tuple[Watched, int]]) -> set[UUID]:
    """Which have been used by transactions that were not seen when they were looked at.

    Each comes with the transaction from which on events may not have been seen.
    """
    rows = _queries.find_moved(
        connection,
        organization_ids=[one.organization_id for one, _ in seen],
        ids=[one.id for one, _ in seen],
        since=[str(since) for _, since in seen],
    )
    return {row["id"] async for row in rows}


async def keep(
    connection: Connection, subscription: ScheduledSubscription, *, now: datetime
) -> bool:
    """Keep a subscription as it was read, for the caller's transaction.

    False where it has changed, or was billed. A run that has read it meanwhile reads it again.
    """
    row = await _queries.keep_subscription(
        connection,
        organization_id=subscription.organization_id,
        id=subscription.id,
        read_at=subscription.updated_at,
        next_billing_at=subscription.next_billing_at,
        now=now,
    )
    return row is not None


async def reached_before(connection: Connection, organization_id: UUID, external_id: str) -> int:
    """The lifetime usage with which a threshold was crossed last; nothing if none was."""
    reached: int | None = await _queries.reached_before(
        connection, organization_id=organization_id, external_id=external_id
    )
    return reached or 0


async def is_taken_off(connection: Connection, organization_id: UUID, invoice_id: UUID) -> bool:
    """Whether the invoice of the period has taken off what a progressive invoice had billed."""
    taken: bool = await _queries.is_taken_off(
        connection, organization_id=organization_id, invoice_id=invoice_id
    )
    return taken


async def billed_ahead(connection: Connection, due: Sequence[DueMoment]) -> dict[int, BilledAhead]:
    """What progressive invoices have billed of the usage of these moments, by position."""
    asked = [at for at, one in enumerate(due) if one.moment.charges_period is not None]
    stretches = [due[at].moment.charges_period for at in asked]
    rows = _queries.billed_ahead(
        connection,
        positions=asked,
        organization_ids=[due[at].subscription.organization_id for at in asked],
        subscription_ids=[due[at].subscription.id for at in asked],
        starts=[one.part.start for one in stretches if one],
        ends=[one.part.end for one in stretches if one],
    )
    found: dict[int, list[Any]] = {}
    async for row in rows:
        found.setdefault(row["position"], []).append(row)
    return {position: await _ahead(connection, some) for position, some in found.items()}


async def keep_ahead(connection: Connection, credits_: Sequence[InvoiceCredit]) -> bool:
    """Keep the progressive invoices that others take off from being voided, until the commit.

    False where one of them does not stand any more.
    """
    taken = {
        (credit.organization_id, credit.source_id)
        for credit in credits_
        if credit.kind == "progressive_billing"
    }
    if not taken:
        return True
    rows = _queries.keep_ahead(
        connection,
        organization_ids=[organization_id for organization_id, _ in taken],
        ids=[id_ for _, id_ in taken],
    )
    return len([row async for row in rows]) == len(taken)


async def _ahead(connection: Connection, rows: Sequence[Any]) -> BilledAhead:
    credits_ = [
        ProgressiveCredit(
            invoice_id=row["invoice_id"], number=row["number"], amount_cents=row["amount_cents"]
        )
        for row in rows
    ]
    lines = _queries.lines_ahead(
        connection,
        organization_id=rows[0]["organization_id"],
        invoice_ids=[row["invoice_id"] for row in rows],
    )
    debited: dict[str, Decimal] = {}
    async for row in lines:
        group = to_json(from_json(row["pricing_group"]))
        line = f"{row['charge_id']}:{row['charge_filter_id']}:{group}"
        debited[line] = EXACT.add(debited.get(line, ZERO), row["debited_minor"])
    return BilledAhead(
        credits=credits_,
        debited=debited,
        sealed_xact_id=max(row["sealed_xact_id"] for row in rows),
    )


def applied(
    thresholds: Sequence[UsageThreshold], *, lifetime_cents: int, now: datetime
) -> list[dict[str, Any]]:
    """Thresholds, as the invoice that they made shows them."""
    return [
        {
            "id": str(one.id),
            "amount_cents": one.amount_cents,
            "threshold_display_name": one.threshold_display_name,
            "recurring": one.recurring,
            "lifetime_usage_amount_cents": lifetime_cents,
            "created_at": now.isoformat(),
        }
        for one in thresholds
    ]
