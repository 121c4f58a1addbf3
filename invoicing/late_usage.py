"""Usage that came late: for a period whose invoice is final, billed by the one that follows.

A final invoice is sealed as of a transaction. What is committed later for its period (events that
were sent late, rated late, or taken back) makes a difference to what the period comes to now; the
difference is a line of the next invoice, which names the line that it corrects. A subscription that
has ended has no next one: with whom it is billed then is in `late_of_ended`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from invoicing.billed_periods import BilledPeriod, last_seal
from invoicing.billing_facts import Catalogue, Paid, paid_usage
from invoicing.billing_moments import BillingMoment
from invoicing.billing_reading import (
    BILLED_EVENTS_MAX,
    bounds_of_usage,
    followed_by,
    period_of,
    usage_window,
)
from invoicing.billing_schedule import DueMoment, ScheduledSubscription
from invoicing.derived_ids import derived_id
from invoicing.fee_changes import computed
from invoicing.fees import Fee
from invoicing.periods import Bounds
from invoicing.progressive_billing import BilledAhead, billed_ahead
from invoicing.records import Connection, load_queries, to_json
from invoicing.usage import Question, rate_periods
from invoicing.usage_fees import BilledUsage, FeePlace, true_up_id, usage_fees
from invoicing.usage_rollups import Stretch
from invoicing.usage_versions import Versions
from ledger.money import Rounding
from rating.exact import EXACT, ZERO

__all__ = [
    "LATE_USAGE",
    "LateUsage",
    "billed_lines",
    "difference",
    "late_fees",
    "line_of",
    "read_late",
]

_queries: Final[Any] = load_queries(__file__)

LATE_USAGE: Final = "late_usage"
"""The reason of moments that bill nothing but what came late for a subscription that has ended."""

_Line: TypeAlias = tuple[UUID | None, UUID | None, str, bool]
"""What makes two lines of one period the same: charge, filter, group, and whether a true-up."""


class LateUsage(Struct, frozen=True, kw_only=True):
    """A sealed period that has changed: what it comes to now, and what was billed of it."""

    bounds: Bounds
    usage: BilledUsage
    billed: Sequence[Fee]
    ahead: BilledAhead = BilledAhead()
    """What progressive invoices had billed of it."""
    paid: Paid = Paid()
    """Who paid for what was not billed yet."""


async def read_late(
    connection: Connection, versions: Versions, catalogue: Catalogue, due: Sequence[DueMoment]
) -> dict[int, list[LateUsage]]:
    """What came late for earlier periods of these moments' subscriptions, by position.

    Only the first moment of a subscription that bills usage looks back: the others follow it. Of
    one that has ended, a moment of its own does (`LATE_USAGE`).
    """
    firsts: dict[UUID, int] = {}
    for position, one in enumerate(due):
        if one.moment.charges_period is not None or one.moment.reason == LATE_USAGE:
            firsts.setdefault(one.subscription.id, position)
    changed = await _changed_periods(connection, [due[at] for at in firsts.values()])
    found: dict[int, list[LateUsage]] = {}
    for subscription_id, periods in changed.items():
        position = firsts[subscription_id]
        subscription = due[position].subscription
        found[position] = await _read(connection, versions, catalogue, subscription, periods)
    return found


def late_fees(place: FeePlace, late: Sequence[LateUsage]) -> list[Fee]:
    """The lines that correct what was billed of sealed periods, where anything differs. Pure."""
    fees: list[Fee] = []
    for one in late:
        usage = one.ahead.without(usage_fees(place, one.usage), place, one.bounds)
        now = {line_of(fee): fee for fee in usage}
        before: dict[_Line, list[Fee]] = {}
        for fee in one.billed:
            before.setdefault(line_of(fee), []).append(fee)
        for line in dict.fromkeys([*now, *before]):
            fee = difference(place, now.get(line), before.get(line, []))
            if fee is not None:
                fees.append(fee)
    return fees


def line_of(fee: Fee) -> _Line:
    """What makes it the same as another line of its period."""
    return fee.charge_id, fee.charge_filter_id, to_json(fee.pricing_group), _is_true_up(fee)


def _is_true_up(fee: Fee) -> bool:
    """Where nothing was used, those of earlier releases name no line: their ids tell."""
    if fee.true_up_parent_fee_id is not None:
        return True
    if fee.invoice_id is None or fee.charge_id is None or fee.from_datetime is None:
        return False
    named = true_up_id(fee.invoice_id, fee.subscription_id, fee.charge_id, fee.from_datetime)
    return fee.id == named


def difference(place: FeePlace, now: Fee | None, before: Sequence[Fee]) -> Fee | None:
    """What a line comes to now, less what was billed of it.

    What somebody adjusted counts as it was computed: an adjustment is not taken back.
    """
    before = [computed(fee) for fee in before]
    model = now or before[0]
    units = _less(now.units if now else ZERO, (fee.units for fee in before))
    debited = _less(now.debited_minor if now else ZERO, (fee.debited_minor for fee in before))
    events = ((now.events_count or 0) if now else 0) - sum(fee.events_count or 0 for fee in before)
    precise = _less(
        now.precise_amount_cents if now else ZERO, (fee.precise_amount_cents for fee in before)
    )
    cents = (now.amount_cents if now else 0) - sum(fee.amount_cents for fee in before)
    if any(fee.event_transaction_id for fee in before):  # each of which was rounded by itself
        cents = int(precise.to_integral_value(Rounding.HALF_AWAY))
        units = units if cents or debited else ZERO
    if not (units or cents or debited):
        return None
    fee_id = derived_id(place.parent_id, "late", model.id)
    parent_id = before[0].true_up_parent_fee_id if before else fee_id
    return structs.replace(
        model,
        id=fee_id,
        invoice_id=place.invoice_id,
        original_fee_id=before[0].id if before else None,
        true_up_parent_fee_id=parent_id if model.true_up_parent_fee_id else None,
        units=units,
        total_aggregated_units=None,
        events_count=events,
        amount_cents=cents,
        precise_amount_cents=precise,
        debited_minor=debited,
        amount_details={},
        presentation_breakdowns=[],
        taxes_amount_cents=0,
        taxes_precise_amount_cents=ZERO,
        applied_taxes=[],
        event_transaction_id=None,
        payment_status="pending",
        succeeded_at=None,
        created_at=place.now,
        updated_at=place.now,
    )


def _less(whole: Decimal, parts: Any) -> Decimal:
    for part in parts:
        whole = EXACT.subtract(whole, part)
    return whole


async def _changed_periods(
    connection: Connection, due: Sequence[DueMoment]
) -> dict[UUID, list[BilledPeriod]]:
    """The sealed periods for which something was committed after they were sealed."""
    if not due:
        return {}
    rows = _queries.late_since(
        connection,
        organization_ids=[one.subscription.organization_id for one in due],
        subscription_ids=[one.subscription.id for one in due],
        before=[one.moment.billing_at for one in due],
    )
    since: dict[UUID, datetime] = {row["subscription_id"]: row["since"] async for row in rows}
    for one in sorted((one.subscription for one in due), key=lambda one: one.started_at):
        if one.previous_subscription_id in since:  # units that stay may be others than was known
            since[one.id] = min(one.started_at, since.get(one.id, one.started_at))
    changed = [one.subscription for one in due if one.subscription.id in since]
    found: dict[UUID, list[BilledPeriod]] = {}
    if changed:
        periods = _queries.sealed_periods(
            connection,
            organization_ids=[one.organization_id for one in changed],
            subscription_ids=[one.id for one in changed],
            since=[since[one.id] for one in changed],
        )
        async for row in periods:
            period = BilledPeriod.of(row)
            found.setdefault(period.subscription_id, []).append(period)
    return found


async def _read(
    connection: Connection,
    versions: Versions,
    catalogue: Catalogue,
    subscription: ScheduledSubscription,
    periods: Sequence[BilledPeriod],
) -> list[LateUsage]:
    """What these periods come to now, and what was billed of them."""
    questions: list[Question] = []
    due: list[DueMoment] = []
    for period in periods:
        moment = msgspec.convert(period.moment, BillingMoment)
        due.append(DueMoment(subscription, moment, None))
        days = moment.charges_period
        assert days is not None, "its usage was billed"
        bounds = bounds_of_usage(subscription, moment)
        questions.append(
            Question(
                organization_id=subscription.organization_id,
                subscription_id=subscription.id,
                plan_id=period.plan_id,
                bounds=bounds,
                period=period_of(days, subscription, end=days.part.end),
                as_of=moment.billing_at,
                events_max=BILLED_EVENTS_MAX,
            )
        )
    usages = await rate_periods(connection, versions, questions)
    billed = await billed_lines(connection, subscription, periods)
    followed = await followed_by(
        connection,
        versions,
        [(subscription, msgspec.convert(one.moment, BillingMoment)) for one in periods],
    )
    ahead = await billed_ahead(connection, due)
    currency = subscription.amount_currency
    late = await paid_usage(
        connection,
        [_stretch(question) for question in questions],
        asset_codes=[currency for _ in periods],
        since=[await _looked_at(connection, period, billed) for period in periods],
    )
    found: list[LateUsage] = []
    for at, (period, usage, paid, metrics_left) in enumerate(
        zip(periods, usages, late, followed, strict=True)
    ):
        assert period.charges_from_at is not None
        assert period.charges_to_at is not None
        bounds = Bounds(period.charges_from_at, period.charges_to_at)
        metrics = {charge.charge.listed.billable_metric_id for charge in usage.charges}
        names = await catalogue.metric_names(connection, subscription.organization_id, metrics)
        found.append(
            LateUsage(
                bounds=bounds,
                usage=BilledUsage(
                    usage=usage, bounds=bounds, metric_names=names, followed_by=metrics_left
                ),
                billed=billed.get(period.charges_from_at, []),
                ahead=ahead.get(at, BilledAhead()),
                paid=paid,
            )
        )
    return found


def _stretch(question: Question) -> Stretch:
    return Stretch(
        organization_id=question.organization_id,
        subscription_id=question.subscription_id,
        start=question.bounds.start,
        end=question.bounds.end,
    )


async def _looked_at(
    connection: Connection, period: BilledPeriod, billed: Mapping[datetime, Sequence[Fee]]
) -> int | None:
    """As of when the usage of a period was billed last, with its own invoice or as late."""
    assert period.charges_from_at is not None, "its usage was billed"
    lines = billed.get(period.charges_from_at, ())
    invoice_ids = {fee.invoice_id for fee in lines if fee.invoice_id is not None}
    if invoice_ids <= {period.invoice_id}:
        return period.sealed_xact_id
    last = await last_seal(connection, period.organization_id, invoice_ids)
    return max(last or 0, period.sealed_xact_id or 0)


async def billed_lines(
    connection: Connection, subscription: ScheduledSubscription, periods: Sequence[BilledPeriod]
) -> Mapping[datetime, list[Fee]]:
    """The lines that were billed of periods, corrections among them, by when they begin."""
    windows = [
        usage_window(subscription, msgspec.convert(period.moment, BillingMoment))
        for period in periods
    ]
    rows = _queries.billed_lines(
        connection,
        organization_id=subscription.organization_id,
        subscription_id=subscription.id,
        periods=[period.charges_from_at for period in periods],
        starts=[one.bounds.start for one in windows],
        ends=[one.bounds.end for one in windows],
        sinces=[one.since for one in windows],
    )
    found: dict[datetime, list[Fee]] = {}
    async for row in rows:
        found.setdefault(row["period"], []).append(Fee.of(row))
    return found
