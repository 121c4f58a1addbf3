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
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoice_totals import ProgressiveCredit
from invoicing.invoices import Invoice
from invoicing.periods import Bounds
from invoicing.records import Connection, load_queries
from invoicing.usage_fees import FeePlace, nothing_left, usage_line
from invoicing.usage_thresholds import UsageThreshold
from rating.exact import EXACT, ZERO

__all__ = [
    "BilledAhead",
    "Watched",
    "applied",
    "billed_ahead",
    "crossed",
    "drafts_taking_off",
    "excess_notes",
    "find_to_look_at",
    "is_taken_off",
    "keep",
    "keep_ahead",
    "note_looks",
    "reached_before",
]

_queries: Final[Any] = load_queries(__file__)
_EXCESS_NOTES_MAX: Final = 8
"""A period that is voided and billed again comes to less each time: that often at most."""
_read_thresholds: Final = msgspec.json.Decoder(list[UsageThreshold]).decode


class Watched(Struct, frozen=True, kw_only=True):
    """A subscription whose usage is compared with thresholds."""

    organization_id: UUID
    id: UUID
    external_id: str
    thresholds: list[UsageThreshold]
    thresholds_hash: str
    """Tells whether they are still the same."""


class BilledAhead(Struct, frozen=True, kw_only=True):
    """What progressive invoices have billed of a period's usage already."""

    credits: list[ProgressiveCredit] = []
    debited: Mapping[str, Decimal] = {}
    """What of it had been debited in real time, by line."""
    lines: Mapping[str, Fee] = {}
    """One of the lines of each."""
    sealed_xact_id: int | None = None
    """The last of them has all that was committed before."""

    def without(self, fees: Sequence[Fee], place: FeePlace, bounds: Bounds) -> list[Fee]:
        """Lines of usage less what had been debited for what was billed ahead.

        Also where nothing is left of them: what was debited for it was given back since.
        """
        there = {usage_line(fee) for fee in fees}
        gone = [
            nothing_left(self.lines[line], place, bounds)
            for line, debited in self.debited.items()
            if debited and line not in there
        ]
        return [
            structs.replace(
                fee,
                debited_minor=EXACT.subtract(
                    fee.debited_minor, self.debited.get(usage_line(fee) or "", ZERO)
                ),
            )
            for fee in (*fees, *gone)
        ]


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


async def find_to_look_at(
    connection: Connection, *, now: datetime, long_ago: datetime, after: UUID, limit: int
) -> list[Watched]:
    """Active subscriptions with thresholds that are to be looked at, of all organizations, by id.

    Those that were used, or have other thresholds, since they were; and those that were looked at
    last `long_ago`.
    """
    rows = _queries.find_to_look_at(
        connection, now=now, long_ago=long_ago, after=after, limit=limit
    )
    return [
        Watched(
            organization_id=row["organization_id"],
            id=row["id"],
            external_id=row["external_id"],
            thresholds=_read_thresholds(row["thresholds"]),
            thresholds_hash=row["thresholds_hash"],
        )
        async for row in rows
    ]


async def note_looks(
    connection: Connection, seen: Sequence[tuple[Watched, int]], *, now: datetime
) -> None:
    """Note that these were looked at, and crossed nothing.

    Each comes with the transaction from which on events may not have been seen.
    """
    if seen:
        await _queries.note_looks(
            connection,
            organization_ids=[one.organization_id for one, _ in seen],
            ids=[one.id for one, _ in seen],
            hashes=[one.thresholds_hash for one, _ in seen],
            seals=[str(seal) for _, seal in seen],
            now=now,
        )


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


async def drafts_taking_off(connection: Connection, invoice: Invoice) -> list[UUID]:
    """The drafts that take off what this one had billed: voided, they are to be computed anew."""
    if invoice.invoice_type != "progressive_billing":
        return []
    rows = _queries.drafts_taking_off(
        connection, organization_id=invoice.organization_id, invoice_id=invoice.id
    )
    return [row["id"] async for row in rows]


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


class ExcessNotes(Struct, frozen=True, kw_only=True):
    """What notes have given back of a progressive invoice, since its period came to less."""

    amount_cents: int = 0
    """Of what it had billed, before coupons and taxes."""
    next_id: UUID
    """Of the note that would be the next."""


async def excess_notes(
    connection: Connection, billed: Sequence[tuple[UUID, UUID, UUID]]
) -> dict[UUID, ExcessNotes]:
    """Those of progressive invoices: (organization, invoice, subscription), by invoice."""
    wanted = [
        (organization_id, invoice_id, derived_id(invoice_id, "excess", subscription_id, *count))
        for organization_id, invoice_id, subscription_id in billed
        for count in [(), *((number,) for number in range(1, _EXCESS_NOTES_MAX))]
    ]
    rows = _queries.excess_notes(
        connection,
        organization_ids=[organization_id for organization_id, _, _ in wanted],
        ids=[note_id for _, _, note_id in wanted],
    )
    known = {row["id"]: row["amount_cents"] async for row in rows}
    found: dict[UUID, ExcessNotes] = {}
    for _, invoice_id, note_id in reversed(wanted):
        before = found.get(invoice_id, ExcessNotes(next_id=note_id))
        cents = before.amount_cents + known.get(note_id, 0)
        next_id = before.next_id if note_id in known else note_id
        found[invoice_id] = ExcessNotes(amount_cents=cents, next_id=next_id)
    return found


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
    # What was given back since is not taken off once more, where the period is billed again.
    places = [(row["organization_id"], row["invoice_id"], row["subscription_id"]) for row in rows]
    notes = await excess_notes(connection, places)
    credits_ = [
        ProgressiveCredit(
            invoice_id=row["invoice_id"],
            number=row["number"],
            amount_cents=row["amount_cents"] - notes[row["invoice_id"]].amount_cents,
        )
        for row in rows
    ]
    lines = _queries.lines_ahead(
        connection,
        organization_id=rows[0]["organization_id"],
        invoice_ids=[row["invoice_id"] for row in rows],
    )
    debited: dict[str, Decimal] = {}
    found: dict[str, Fee] = {}
    async for row in lines:
        fee = Fee.of(row)
        line = usage_line(fee)
        if line is not None:
            found.setdefault(line, fee)
            debited[line] = EXACT.add(debited.get(line, ZERO), fee.debited_minor)
    return BilledAhead(
        credits=credits_,
        debited=debited,
        lines=found,
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
