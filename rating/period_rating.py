"""What a period of usage costs: exactly, from all its events, or from sums of them.

`rate_events` is the definition: it can price everything. `rate_summaries` says the same from
summaries (`rating.summaries`) where the order of events does not matter, which is nearly
everywhere; `Terms.is_summable` tells. Both take one bucket (charge, filter, group) at a time.

Where prices changed within the period: counts and sums go on through the change, each part at the
price of its time, so that a tier once filled stays filled. Everything else is one number for the
whole period, priced by the last version that was used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rating.advance import fees_in_advance
from rating.charge_models import ChargeModel, Percentage
from rating.events import Event, in_order
from rating.exact import EXACT, ZERO
from rating.moves import full_units, moves_of_members, moves_of_sum, price_moves, prorated_units
from rating.period import Period
from rating.proration import unit_microseconds
from rating.steps import steps_of
from rating.summaries import NOTHING, Summary, merge, merge_all, microseconds
from rating.tallies import summarize
from rating.terms import Terms


class Usage(Struct, frozen=True, kw_only=True):
    """The usage of one bucket in one period, and what it costs."""

    events: int
    """How many events the period has; what was carried into it is none."""
    units: Decimal
    """What is billed, rounded as the metric says and never below zero: prorated units if days
    count, unless each event was billed as it came."""
    total_units: Decimal
    """What the events add up to, days and rounding apart: for units that stay, what is there at
    the period's end."""
    amount: Decimal
    """The exact price, never below zero, in the asset or pricing unit of the charge."""
    prorated: bool = False

    @classmethod
    def of(
        cls,
        *,
        events: int,
        units: Decimal,
        total_units: Decimal,
        amount: Decimal,
        prorated: bool = False,
    ) -> Usage:
        """Usage with nothing below zero: units that are cost nothing. Source: Lago, fees."""
        return cls(
            events=events,
            units=max(units, ZERO),
            total_units=total_units,
            amount=ZERO if units < 0 else max(amount, ZERO),
            prorated=prorated,
        )


class _Part(Struct, frozen=True):
    """What was used at one price."""

    model: ChargeModel
    summary: Summary
    steps: Sequence[Decimal] = ()
    """Event by event, for the prices that need it."""


def rate_events(terms: Terms, events: Iterable[Event], period: Period) -> Usage:
    """Price a period from its events, given in any order.

    Events before the period are what recurring usage begins with; other usage passes over them.
    Events after it are passed over. An event's price is found by its `plan_version_id`.
    """
    ordered = in_order(event for event in events if event.timestamp < period.end)
    begin = sum(1 for event in ordered if event.timestamp < period.start)
    carried, within = ordered[:begin] if terms.recurring else [], ordered[begin:]
    if terms.is_additive:  # each part at the price of its time, the oldest price first
        within.sort(key=lambda event: terms.version(event.plan_version_id))
    if terms.is_in_advance:
        return _rate_in_advance(terms, carried, within, period)
    if terms.is_prorated:
        return _rate_prorated(terms, carried, within, period)
    if terms.is_additive:
        return _rate_parts(terms, _parts(terms, carried, within))
    before, steps = steps_of(terms.aggregation, carried, within)
    total = units = reduce(EXACT.add, steps, before)
    if terms.aggregation == "weighted_sum_agg":
        units = _weighted(summarize(within), before, period)
        before, steps = ZERO, [*(ZERO for _ in steps[1:]), units][: len(steps)]
    used = {terms.version(event.plan_version_id) for event in within}
    steps = [before, *steps] if carried else steps
    return _rate_whole(terms, used, units=units, total=total, events=len(within), steps=steps)


def rate_summaries(
    terms: Terms,
    summaries: Mapping[UUID | None, Summary],
    period: Period,
    *,
    carried: Summary = NOTHING,
    members: int | None = None,
) -> Usage:
    """Price a period from summaries of its events by plan version; the same as `rate_events`.

    `carried` sums up all that came before the period, for a recurring sum or weighted sum.
    `members` is how many a unique count has at the period's end, those included that were there
    when it began if it is recurring. The terms must be summable (`Terms.is_summable`).
    """
    by_version: dict[int, Summary] = {}
    for plan_version_id, summary in summaries.items():
        version = terms.version(plan_version_id)
        by_version[version] = merge(by_version.get(version, NOTHING), summary)
    used = {version for version, summary in by_version.items() if summary.events}
    whole = merge_all(by_version.values())
    assert terms.is_summable(corrections=whole.corrections, versions=len(used)), terms
    if not terms.recurring:
        carried = NOTHING
    if terms.is_additive:
        parts = [_Part(terms.prices[0].model, _without_events(carried))]
        parts += [_Part(terms.prices[at].model, by_version[at]) for at in sorted(by_version)]
        return _rate_parts(terms, parts)
    total = units = _units_of(terms, whole, members)
    if terms.aggregation == "weighted_sum_agg":
        total = EXACT.add(carried.units, whole.units)
        units = _weighted(whole, carried.units, period)
    return _rate_whole(terms, used, units=units, total=total, events=whole.events)


def rate_begun(terms: Terms, summary: Summary, first: Sequence[Decimal]) -> Usage:
    """Price a period from its sums and the units of the events with which it began.

    For a free tier (`Terms.needs_beginning`): `first` are the events that it looks at, in their
    order (`Percentage.is_past_free_tier`), or all that there are. The same as `rate_events`.
    """
    assert terms.needs_beginning, terms
    model = terms.prices[0].model
    assert isinstance(model, Percentage)
    units = terms.rounded(summary.units)
    amount = model.price_begun(first, units=units, events=summary.events)
    return Usage.of(events=summary.events, units=units, total_units=summary.units, amount=amount)


def _units_of(terms: Terms, whole: Summary, members: int | None) -> Decimal:
    """What the events of a period come to that is no sum."""
    if terms.aggregation == "max_agg":
        return max(whole.max_units or ZERO, ZERO)
    if terms.aggregation == "latest_agg":
        return max(whole.last_units or ZERO, ZERO)
    if terms.aggregation == "unique_count_agg":
        assert members is not None, "a unique count is not in a summary"
        return Decimal(members)
    return ZERO


def _weighted(within: Summary, before: Decimal, period: Period) -> Decimal:
    """Each unit for the seconds that it is there, over the seconds of the period's days.

    A day has 86,400 seconds, also where the clocks change. Source: Lago, weighted sum.
    """
    end = microseconds(period.end)
    carried = EXACT.multiply(before, EXACT.subtract(end, microseconds(period.start)))
    added = EXACT.subtract(EXACT.multiply(within.units, end), within.moment)
    return unit_microseconds(EXACT.add(carried, added), period.whole_days)


def _rate_in_advance(
    terms: Terms, carried: Sequence[Event], within: Sequence[Event], period: Period
) -> Usage:
    before, steps = steps_of(terms.aggregation, carried, within)
    total = reduce(EXACT.add, steps, before)
    return Usage(
        events=len(within),
        units=max(terms.rounded(total), ZERO),
        total_units=total,
        amount=fees_in_advance(terms, carried, within, period).total,
        prorated=terms.is_prorated,
    )


def _rate_prorated(
    terms: Terms, carried: Sequence[Event], within: Sequence[Event], period: Period
) -> Usage:
    is_sum = terms.aggregation == "sum_agg"
    moves = (moves_of_sum if is_sum else moves_of_members)(carried, within, period)
    units = terms.rounded(prorated_units(moves, period))
    model = _last_used(terms, {terms.version(event.plan_version_id) for event in within})
    amount = price_moves(model, moves, units=units, events=len(within), period=period)
    return Usage.of(
        events=len(within),
        units=units,
        total_units=full_units(moves),
        amount=amount,
        prorated=True,
    )


def _parts(terms: Terms, carried: Sequence[Event], within: Sequence[Event]) -> list[_Part]:
    """What was carried, at the oldest price, and the events by price."""
    before, _ = steps_of(terms.aggregation, carried, ())
    parts = [
        _Part(terms.prices[0].model, _without_events(summarize(carried)), [before] * bool(carried))
    ]
    for version, price in enumerate(terms.prices):
        events = [event for event in within if terms.version(event.plan_version_id) == version]
        parts.append(_Part(price.model, summarize(events), [event.units for event in events]))
    return parts


def _without_events(summary: Summary) -> Summary:
    """What is carried into a period are units, and no events of it."""
    return replace(summary, events=0)


def _rate_parts(terms: Terms, parts: Iterable[_Part]) -> Usage:
    """Counts and sums: each part costs what it adds, at its price, to all that came before it."""
    amount, so_far, steps = ZERO, NOTHING, list[Decimal]()
    for part in parts:
        before = _price(terms, part.model, so_far, steps)
        so_far = merge(so_far, part.summary)
        steps = [*steps, *part.steps]
        after = _price(terms, part.model, so_far, steps)
        amount = EXACT.add(amount, EXACT.subtract(after, before))
    return Usage.of(
        events=so_far.events,
        units=terms.rounded(so_far.units),
        total_units=so_far.units,
        amount=amount,
    )


def _rate_whole(
    terms: Terms,
    used: set[int],
    *,
    units: Decimal,
    total: Decimal,
    events: int,
    steps: Sequence[Decimal] = (),
) -> Usage:
    """One number for the period, at the last price that was used."""
    amount = _price(terms, _last_used(terms, used), Summary(units=units, events=events), steps)
    return Usage.of(events=events, units=terms.rounded(units), total_units=total, amount=amount)


def _price(terms: Terms, model: ChargeModel, summary: Summary, steps: Sequence[Decimal]) -> Decimal:
    """What a model asks for all this, at the metric's precision unless it was billed in advance."""
    units = summary.units if terms.is_in_advance else terms.rounded(summary.units)
    if isinstance(model, Percentage) and not model.is_summable:
        return model.price_events(steps, units=units)
    return model.price_total(
        units=units, events=summary.events, precise_amount_cents=summary.precise_amount_cents
    )


def _last_used(terms: Terms, used: set[int]) -> ChargeModel:
    return terms.prices[max(used, default=0)].model
