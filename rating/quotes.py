"""What one coming event costs, given what was used so far.

An event costs what it adds to the highest price that the period has reached: nothing is charged
twice, and nothing is given back before the period's end. What is used again up to the former total
is free; a total that gets cheaper (a volume tier) costs nothing until it is dearer again. A
negative quantity (a correction) never costs anything; where less is dearer (out of a cheap volume
tier) or each event has its fee, the next event that adds something pays the difference. What was
charged too much is the true-up's. `linear`, which knows no total, charges every positive quantity.
Source: Lago, negative events of charges paid in advance. Authorizations and captures do not
take negative quantities; their callers refuse them.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from msgspec.structs import replace

from rating.buckets import Bucket
from rating.charge_models import ChargeModel, Dynamic, Percentage, RunningModel, Standard
from rating.exact import EXACT, ONE, ZERO, divided
from rating.proration import prorated
from rating.rate_cards import Line
from rating.totals import ZERO_TOTAL, Total


def marginal(
    line: Line,
    total: Total,
    *,
    plan_version_id: UUID | None = None,
    is_member: bool = False,
    share: Fraction | None = None,
) -> tuple[Decimal, Total]:
    """What an event costs under a running price, and the total after it.

    `is_member` says whether a unique count has the event's value already. Prices of another
    version than the total's go on from the total's units: only what comes is priced anew. `share`
    is the part of the period that is left (`Period.share`), for a prorated price.
    """
    model, total = _going_on(line, total, plan_version_id)
    units = step(line, total, is_member=is_member)
    due, after = added(model, total, units, plan_version_id=plan_version_id)
    return converted(line.bucket, _for_days_left(line, due, share)), after


def added(
    model: RunningModel, total: Total, units: Decimal, *, plan_version_id: UUID | None = None
) -> tuple[Decimal, Total]:
    """What an event of these units is charged for, days apart, and the total after it."""
    after = model.add(total, units)
    charged = total.charged if units < 0 else max(total.charged, after.amount)
    return EXACT.subtract(charged, total.charged), Total(
        units=after.units,
        events=after.events,
        amount=after.amount,
        charged=charged,
        free_events=after.free_events,
        free_units=after.free_units,
        plan_version_id=plan_version_id,
    )


def step(line: Line, total: Total, *, is_member: bool = False) -> Decimal:
    """How far an event moves the units of its total."""
    aggregation = line.bucket.aggregation
    if aggregation == "max_agg":
        return max(EXACT.subtract(line.units, total.units), ZERO)
    if aggregation == "unique_count_agg":
        if line.removes:
            return -ONE if is_member else ZERO
        return ZERO if is_member else ONE
    return line.units


def carried(line: Line, earlier: Total) -> Total:
    """Where the total of a recurring quantity starts in a period, from where it was before.

    What is carried over is the period's to bill as a whole; events are charged for more than it.
    """
    model = line.bucket.model
    assert not isinstance(model, Dynamic), "a dynamic price has no total to go on from"
    return begun(model, earlier.units)


def begun(model: RunningModel, units: Decimal) -> Total:
    """The total of a period that begins with so many units, before its first event.

    They are no event of the period, except to a price that needs each event: there they are one.
    """
    if isinstance(model, Percentage) and not model.is_summable:
        after = model.add(ZERO_TOTAL, units)
        return replace(after, charged=after.amount)
    amount = model.price_total(units=units, events=0)
    return Total(units=units, amount=amount, charged=amount)


def started(line: Line, *, units: Decimal, events: int) -> Total:
    """Where a total starts in a period that has usage already, priced otherwise when it came.

    It was charged then; only what comes is charged at this price.
    """
    model = line.bucket.model
    assert not isinstance(model, Dynamic), "a dynamic price has no total to go on from"
    total = model.rebase(Total(units=units, events=events))
    return replace(total, charged=total.amount)


def linear(line: Line) -> Decimal:
    """The price of a line whose model is linear: exact, and no total needed."""
    bucket = line.bucket
    model = bucket.model
    if isinstance(model, Standard):
        price = model.price(line.units)
    else:
        assert isinstance(model, Dynamic), "only a linear model has a price without a total"
        price = model.price_precise(line.units, line.precise_amount_cents or ZERO)
    return price if bucket.conversion is None else converted(bucket, price)


def upper_bound(
    line: Line,
    total: Total,
    *,
    plan_version_id: UUID | None = None,
    is_member: bool = False,
    share: Fraction | None = None,
) -> tuple[Decimal, Total]:
    """The most a line under a running price can cost if up to its units are used: what to hold.

    And the total after all of them. Most models cost more, or the same, for more units, so it is
    the marginal price of all of them; of a volume price, the highest on the way. Other usage that
    comes in between may move the total (end a free tier, open a package); what the capture then
    costs above the hold is the capture's business.
    """
    model, total = _going_on(line, total, plan_version_id)
    units = step(line, total, is_member=is_member)
    after = model.add(total, units)
    charged = max(total.charged, after.amount, model.highest(total, units))
    most = _for_days_left(line, EXACT.subtract(charged, total.charged), share)
    return converted(line.bucket, most), replace(
        after, charged=charged, plan_version_id=plan_version_id
    )


def _for_days_left(line: Line, due: Decimal, share: Fraction | None) -> Decimal:
    if not line.bucket.prorated:
        return due
    assert share is not None, "a prorated price depends on the days that are left"
    return for_days(line.bucket.model, due, share)


def for_days(model: ChargeModel, due: Decimal, share: Fraction) -> Decimal:
    """What is due for units that are there for a part of the period only.

    Source: Lago prorates the units that an event adds to the most there were, and rounds them up.
    """
    assert isinstance(model, Standard), "other models are prorated when the period has ended"
    if not model.amount:
        return ZERO
    return model.price(prorated(divided(due, model.amount), share))


def converted(bucket: Bucket, amount: Decimal) -> Decimal:
    """An amount in the bucket's asset: of a pricing unit, what it is worth."""
    return amount if bucket.conversion is None else EXACT.multiply(amount, bucket.conversion.rate)


def _going_on(line: Line, total: Total, plan_version_id: UUID | None) -> tuple[RunningModel, Total]:
    """The line's model, and the total to go on from under its prices."""
    model = line.bucket.model
    assert not isinstance(model, Dynamic), "a dynamic price has no total to go on from"
    if total.plan_version_id == plan_version_id or not total.events:
        return model, total
    return model, going_on(model, total)


def going_on(model: RunningModel, total: Total) -> Total:
    """Usage that was priced otherwise is the same usage under these prices.

    What was left to charge, or was charged in excess, stays.
    """
    rebased = model.rebase(total)
    excess = EXACT.subtract(total.charged, total.amount)
    return replace(rebased, charged=EXACT.add(rebased.amount, excess))
