"""Charges paid in advance: each event is billed as it comes, and not again at its period's end.

A fee has the bounds of the period that its event falls into, so the period's own invoice takes it
off: what it still bills is what no event was billed for.
Source: Lago, charges paid in advance.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import Struct, field, structs

from invoicing import billing_schedule
from invoicing.billing_reading import usage_window
from invoicing.billing_schedule import DueMoment, ScheduledSubscription
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.periods import Bounds, period_at
from invoicing.records import Connection, Record, from_json, load_queries
from invoicing.usage_fees import (
    FeePlace,
    cents_of,
    each_of,
    filter_name,
    filter_values,
    nothing_left,
    usage_line,
)
from invoicing.usage_versions import PricedCharge, PricedVersion
from ledger.money import Rounding
from rating.exact import EXACT, ONE, ZERO

__all__ = [
    "AdvanceEvent",
    "BilledInAdvance",
    "Portion",
    "advance_fees",
    "advance_lines",
    "billed_in_advance",
    "charges_period",
    "drop_billed",
    "events_in_advance",
    "move_mark",
    "still_used",
    "take_again",
    "take_portion",
]

_queries: Final[Any] = load_queries(__file__)


class AdvanceEvent(Record, frozen=True, kw_only=True):
    """An event, as it was rated."""

    json_columns: ClassVar[tuple[str, ...]] = ("paid", "lines")

    organization_id: UUID
    id: UUID
    transaction_id: str
    customer_id: UUID
    subscription_id: UUID
    timestamp: datetime
    asset_code: str | None
    plan_version_id: UUID
    rating_status: str
    paid: list[list[Any]] = field(default_factory=list[list[Any]])
    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class AdvanceLine(Struct, frozen=True):
    """A line of an event whose charge is paid in advance."""

    charge: PricedCharge
    line: Mapping[str, Any]


class Portion(Struct, frozen=True):
    """Transactions whose events are looked at together."""

    begin: str
    end: str
    has_more: bool
    """Whether others follow."""


class _Sum(Struct, frozen=True, kw_only=True):
    fee: Fee
    """One of them."""
    units: Decimal
    events_count: int
    precise_amount_cents: Decimal
    debited_minor: Decimal


class BilledInAdvance(Struct, frozen=True, kw_only=True):
    """What the events of a period were billed, by line."""

    lines: Mapping[str, _Sum] = {}

    @property
    def precise_cents(self) -> Decimal:
        """All of it."""
        found = ZERO
        for one in self.lines.values():
            found = EXACT.add(found, one.precise_amount_cents)
        return found

    def without(self, fees: Sequence[Fee], place: FeePlace, bounds: Bounds) -> list[Fee]:
        """The lines of the period's usage less what its events were billed.

        Also where nothing is left of them: all that was billed of a line was taken back.
        """
        if not self.lines:
            return list(fees)
        there = {usage_line(fee) for fee in fees}
        gone = [
            nothing_left(one.fee, place, bounds)
            for line, one in self.lines.items()
            if line not in there
        ]
        found = [_less(fee, self.lines.get(usage_line(fee) or "")) for fee in (*fees, *gone)]
        return [fee for fee in found if fee is not None]


def _less(fee: Fee, billed: _Sum | None) -> Fee | None:
    if billed is None:
        return fee
    precise = EXACT.subtract(fee.precise_amount_cents, billed.precise_amount_cents)
    cents = int(precise.to_integral_value(Rounding.HALF_AWAY))
    debited = EXACT.subtract(fee.debited_minor, billed.debited_minor)
    if not cents and not debited:
        return None
    return structs.replace(
        fee,
        units=EXACT.subtract(fee.units, billed.units),
        total_aggregated_units=None,
        events_count=(fee.events_count or 0) - billed.events_count,
        amount_cents=cents,
        precise_amount_cents=precise,
        debited_minor=debited,
        amount_details={},
        presentation_breakdowns=[],
        pricing_unit_details=None,
    )


def advance_lines(event: AdvanceEvent, version: PricedVersion, currency: str) -> list[AdvanceLine]:
    """The lines that are billed with the event.

    None where it was debited for others too: who paid for which is not known then, and all of it
    is billed at the end of the period.
    """
    if event.asset_code not in {None, currency}:
        return []
    found: list[AdvanceLine] = []
    others = ZERO
    for line in event.lines:
        if line.get("charge_id") is None:
            continue
        charge_id = UUID(line["charge_id"])
        filter_id = UUID(line["filter_id"]) if line.get("filter_id") else None
        charge, bucket = version.find(charge_id), version.card.bucket(charge_id, filter_id)
        if charge is None or bucket is None or charge.rated.asset_code != currency:
            return []
        if charge.listed.pay_in_advance and bucket.timing != "deferred":
            found.append(AdvanceLine(charge, line))
        else:
            others = EXACT.add(others, Decimal(line.get("amount_minor", 0)))
    kinds = {one.charge.listed.invoiceable for one in found}
    is_mixed = bool(others) or len(kinds) > 1
    return [] if is_mixed and event.paid else found


def charges_period(subscription: ScheduledSubscription, at: datetime) -> Bounds:
    """The period in which usage of a time is billed, as far as the subscription lives in it."""
    end = subscription.terminated_at
    if end is not None and at >= end:
        at = end - timedelta(microseconds=1)
    is_monthly = subscription.bill_charges_monthly and subscription.interval in {
        "yearly",
        "semiannual",
    }
    whole = period_at(
        max(at, subscription.started_at),
        interval="monthly" if is_monthly else subscription.interval,
        billing_time=subscription.billing_time,
        anchor=subscription.subscription_at,
        zone=subscription.zone,
    )
    return Bounds(max(whole.start, subscription.started_at), min(whole.end, end or whole.end))


def advance_fees(
    place: FeePlace,
    event: AdvanceEvent,
    lines: Sequence[AdvanceLine],
    bounds: Bounds,
    metric_names: Mapping[UUID, str],
) -> list[Fee]:
    """A fee for each line of an event: what the event adds, as it was rated."""
    fees: list[Fee] = []
    for one in lines:
        listed, line = one.charge.listed, one.line
        cents, precise = cents_of(Decimal(line["exact"]), place.currency)
        units = _units(line)
        filter_id = UUID(line["filter_id"]) if line.get("filter_id") else None
        group = line.get("group") or ""
        debited = Decimal(line["amount_minor"]) if event.rating_status == "rated" else ZERO
        fees.append(
            Fee(
                organization_id=place.organization_id,
                id=derived_id(
                    place.parent_id, "in_advance", event.id, one.charge.rated.id, filter_id or ""
                ),
                invoice_id=place.invoice_id,
                customer_id=place.customer_id,
                subscription_id=place.subscription_id,
                fee_type="charge",
                charge_id=one.charge.rated.id,
                charge_filter_id=filter_id,
                item_code=listed.billable_metric_code,
                item_name=metric_names.get(listed.billable_metric_id, listed.billable_metric_code),
                invoice_display_name=listed.invoice_display_name,
                filter_display_name=filter_name(listed, filter_id),
                filter_values=filter_values(listed, filter_id),
                billable_metric_code=listed.billable_metric_code,
                pricing_group=from_json(group) if group else {},
                units=units,
                events_count=1,
                amount_cents=cents,
                precise_amount_cents=precise,
                precise_unit_amount=each_of(precise, units, place.currency),
                amount_currency=place.currency,
                tax_codes=listed.tax_codes,
                debited_minor=debited,
                pay_in_advance=True,
                invoiceable=listed.invoiceable,
                event_transaction_id=event.transaction_id,
                from_datetime=bounds.start,
                to_datetime=bounds.end,
                created_at=place.now,
                updated_at=place.now,
            )
        )
    return fees


def _units(line: Mapping[str, Any]) -> Decimal:
    if line.get("member") is not None:
        return ZERO if line.get("removes") or line.get("was_member") else ONE
    return max(Decimal(line["units"]), ZERO)


async def take_portion(connection: Connection, *, limit: int) -> Portion | None:
    """From which transaction on, and up to which, events are looked at: nobody else does.

    None where somebody else is at it.
    """
    mark: str | None = await _queries.take_mark(connection)
    if mark is None:
        return None
    row = await _queries.portion_end(connection, mark=mark, limit=limit)
    return Portion(mark, row["mark"], has_more=row["has_more"])


async def take_again(connection: Connection, portion: Portion) -> bool:
    """Take a portion that was let go: False where somebody else had it since, or is at it."""
    mark: str | None = await _queries.take_mark(connection)
    return mark == portion.begin


async def events_in_advance(connection: Connection, portion: Portion) -> list[AdvanceEvent]:
    """The events of transactions that may be billed in advance, in their order."""
    rows = _queries.events_in_advance(connection, from_mark=portion.begin, to_mark=portion.end)
    return [AdvanceEvent.of(row) async for row in rows]


async def move_mark(connection: Connection, mark: str) -> None:
    """What is below was looked at."""
    await _queries.move_mark(connection, mark=mark)


async def drop_billed(connection: Connection, events: Sequence[AdvanceEvent]) -> list[AdvanceEvent]:
    """Those whose period was not billed; until the transaction ends, none of them is."""
    await billing_schedule.hold(
        connection, {(one.organization_id, one.subscription_id) for one in events}
    )
    rows = _queries.events_billed_with_periods(
        connection,
        organization_ids=[one.organization_id for one in events],
        subscription_ids=[one.subscription_id for one in events],
        ids=[one.id for one in events],
        times=[one.timestamp for one in events],
    )
    billed = {row["id"] async for row in rows}
    return [one for one in events if one.id not in billed]


async def still_used(connection: Connection, fees: Sequence[Fee]) -> list[Fee]:
    """Those of one organization's fees whose events were not taken back."""
    billed = [fee for fee in fees if fee.event_transaction_id is not None]
    if not billed:
        return list(fees)
    rows = _queries.events_taken_back(
        connection,
        organization_id=billed[0].organization_id,
        subscription_ids=[fee.subscription_id for fee in billed],
        transaction_ids=[fee.event_transaction_id for fee in billed],
    )
    gone = {(row["subscription_id"], row["transaction_id"]) async for row in rows}
    return [fee for fee in fees if (fee.subscription_id, fee.event_transaction_id) not in gone]


async def billed_in_advance(
    connection: Connection, due: Sequence[DueMoment]
) -> dict[int, BilledInAdvance]:
    """What events of the usage of these moments were billed, by position."""
    asked = [at for at, one in enumerate(due) if one.moment.charges_period is not None]
    windows = [usage_window(due[at].subscription, due[at].moment) for at in asked]
    rows = _queries.billed_in_advance(
        connection,
        positions=asked,
        organization_ids=[due[at].subscription.organization_id for at in asked],
        subscription_ids=[due[at].subscription.id for at in asked],
        starts=[one.bounds.start for one in windows],
        ends=[one.bounds.end for one in windows],
        sinces=[one.since for one in windows],
    )
    found: dict[int, dict[str, _Sum]] = {}
    async for row in rows:
        fee = msgspec.convert(from_json(row["fee"]), Fee)
        line = usage_line(fee)
        assert line is not None, "of an event"
        found.setdefault(row["position"], {})[line] = _Sum(
            fee=fee,
            units=row["units"],
            events_count=row["events_count"],
            precise_amount_cents=row["precise_amount_cents"],
            debited_minor=row["debited_minor"],
        )
    return {position: BilledInAdvance(lines=lines) for position, lines in found.items()}
