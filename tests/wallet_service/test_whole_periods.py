"""Random plans and random usage through the whole decision: what a period costs in the end.

Plans are what the catalogue accepts: any aggregation, model and option that go together, filters,
groups, an alternative in another asset, prices that change. Usage comes late and at one instant,
corrects other usage, and is taken back. What is stored of it must then price the period as the
usage itself does; and what was debited on the way must be what is billed in advance. The rest is
the true-up.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from invoicing.charge_assets import AppliedPricingUnit, PlanChargeAlternative
from invoicing.charge_filters import PlanChargeFilter
from invoicing.charge_options import check_options
from invoicing.charges import PlanCharge
from invoicing.errors import Invalid
from invoicing.records import to_json
from ledger import ids, money
from ledger.money import Rounding
from rating import ChargeModel, Dynamic, Event, RateCard, Terms, quotes, rate_events
from rating.advance import fees_in_advance
from rating.buckets import Bucket
from rating.charge_models import name_of
from rating.exact import EXACT, ONE, ZERO
from rating.period import Period
from rating.terms import Price
from tests.rating import strategies as some
from tests.rating.catalogue import properties_of
from tests.wallet_service.desk import Desk
from wallet_service.decision import Asset
from wallet_service.decision.commands import Choice, Cycle, Debit, Item, Pricing, Reverse
from wallet_service.decision.outcomes import EventRow
from wallet_service.decision.pricing import wanted_totals
from wallet_service.decision.state import EventLine, TotalKey
from wallet_service.items import rate_item

USD, TOKEN = Asset("USD", 9, 7), Asset("TOKEN", 2, 8, is_unit=True)
ASSETS = {asset.code: asset for asset in (TOKEN, USD)}
RICH = 9 * 10**17
SUBSCRIPTION = UUID(int=1)
CODE = "usage"
IN_DOLLARS, IN_TOKENS = UUID(int=100), UUID(int=101)
GOLD = UUID(int=200)
MARCH = Period(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC))
APRIL = Period(start=datetime(2026, 4, 1, tzinfo=UTC), end=datetime(2026, 5, 1, tzinfo=UTC))
CYCLE = Cycle("monthly", "calendar", MARCH.start)

examples = settings(
    deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


# -- plans

POINTS = AppliedPricingUnit(code="POINT", conversion_rate=Decimal("0.37"), scale=1)
MODELS = [
    *(some.standards, some.packages, some.graduated, some.graduated_percentages, some.volumes),
    *(some.plain_percentages, some.percentages, some.bounded_percentages(), st.just(Dynamic())),
]
RISING = [some.standards, some.packages, some.graduated, some.plain_percentages]
GROWING = ["count_agg", "sum_agg"]
AGGREGATIONS = [*GROWING, "max_agg", "unique_count_agg", "latest_agg", "weighted_sum_agg"]


@st.composite
def charges(draw: st.DrawFn) -> list[PlanCharge]:
    """A charge in every version of its plan: the same terms, at other prices."""
    aggregation = draw(st.sampled_from(AGGREGATIONS))
    stays = aggregation in {"sum_agg", "unique_count_agg", "weighted_sum_agg"}
    recurring = stays and draw(st.booleans())
    charge = plan_charge(
        aggregation,
        recurring=recurring,
        prorated=recurring and draw(st.booleans()),
        pay_in_advance=draw(st.booleans()),
        rounding_function=draw(st.sampled_from([None, "ceil", "floor", "round"])),
        pricing_group_keys=draw(st.sampled_from([[], ["region"]])),
        applied_pricing_unit=draw(st.sampled_from([None, POINTS])),
    )
    models = draw(st.sampled_from(MODELS))
    has_filter, has_alternative = draw(st.booleans()), draw(st.booleans())
    return [
        at_prices(
            charge,
            draw(models),
            of_gold=draw(models) if has_filter else None,
            in_tokens=draw(models) if has_alternative else None,
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


@st.composite
def rising_charges(draw: st.DrawFn) -> list[PlanCharge]:
    """The same of what only grows, at prices that rise with it."""
    charge = plan_charge(
        draw(st.sampled_from(GROWING)),
        pay_in_advance=draw(st.booleans()),
        pricing_group_keys=draw(st.sampled_from([[], ["region"]])),
        applied_pricing_unit=draw(st.sampled_from([None, POINTS])),
    )
    models = draw(st.sampled_from(RISING))
    return [at_prices(charge, draw(models)) for _ in range(draw(st.integers(1, 3)))]


def plan_charge(aggregation: str, **terms: Any) -> PlanCharge:
    return PlanCharge(
        id=IN_DOLLARS,
        code=CODE,
        billable_metric_id=UUID(int=99),
        billable_metric_code=CODE,
        aggregation_type=aggregation,
        field_name=None if aggregation == "count_agg" else "n",
        metric_filters={"tier": ["gold", "free"]},
        charge_model="",
        properties={},
        asset_code="USD",
        created_at=MARCH.start,
        **terms,
    )


def at_prices(
    charge: PlanCharge,
    model: ChargeModel,
    *,
    of_gold: ChargeModel | None = None,
    in_tokens: ChargeModel | None = None,
) -> PlanCharge:
    """The charge at a price, that of a filter, and that of an alternative; as plans take it."""
    filters: list[PlanChargeFilter] = []
    if of_gold is not None:
        filters.append(
            PlanChargeFilter(
                id=GOLD,
                values={"tier": ["gold"]},
                properties=properties_of(of_gold),
                created_at=charge.created_at,
            )
        )
    alternatives: list[PlanChargeAlternative] = []
    if in_tokens is not None:
        alternatives.append(
            PlanChargeAlternative(
                id=IN_TOKENS,
                asset_code="TOKEN",
                charge_model=name_of(in_tokens),
                properties=properties_of(in_tokens),
                created_at=charge.created_at,
            )
        )
    made = replace(
        charge,
        charge_model=name_of(model),
        properties=properties_of(model),
        filters=filters,
        alternatives=alternatives,
    )
    try:
        check_options(made)
    except Invalid:
        assume(condition=False)
    return made


# -- usage


class Use(Struct, frozen=True, kw_only=True):
    """What somebody used, as it is sent. Numbers say in which order it comes in."""

    number: int
    at: datetime
    n: str
    cents: Decimal
    tier: str | None = None
    region: str | None = None
    removes: bool = False
    is_taken_back: bool = False

    def properties(self) -> dict[str, Any]:
        given = {"n": self.n, "tier": self.tier, "region": self.region}
        given["operation_type"] = "remove" if self.removes else None
        return {name: value for name, value in given.items() if value is not None}


@st.composite
def uses(
    draw: st.DrawFn,
    charge: PlanCharge,
    *,
    least: int = -30,
    late: bool = False,
) -> list[Use]:
    """Usage of two months; `late`: in no order of time, and some of it taken back."""
    is_unique = charge.aggregation_type == "unique_count_agg"
    quantities = st.decimals(least, 90, places=2).map(str)
    hours = draw(st.lists(st.integers(0, 61 * 24 - 1), min_size=1, max_size=9))
    return [
        Use(
            number=number,
            at=MARCH.start + timedelta(hours=hour),
            n=draw(st.sampled_from("abc") if is_unique else quantities),
            cents=draw(st.decimals(0, 900, places=1)),
            tier=draw(st.sampled_from([None, "gold", "free"])),
            region=draw(st.sampled_from([None, "eu"])),
            removes=draw(st.booleans()),
            is_taken_back=late and draw(st.sampled_from([False, False, True])),
        )
        for number, hour in enumerate(hours if late else sorted(hours))
    ]


class Counter:
    """Takes usage as the service does, at the prices that are in force, and keeps what it stores.

    Every version is in force for seventeen days, the last one from then on.
    """

    def __init__(self, versions: Sequence[PlanCharge], *, balance: int) -> None:
        self.desk = Desk()
        self.cards = [
            RateCard.compile(UUID(int=number), [version.for_rating()])
            for number, version in enumerate(versions, start=1)
        ]
        for asset in ASSETS.values():
            self.desk.wallet(asset.code, asset=asset)
            self.desk.grant(f"of {asset.code}", balance, wallet=asset.code, asset=asset)

    def card(self, at: datetime) -> RateCard:
        return self.cards[min((at - MARCH.start).days // 17, len(self.cards) - 1)]

    def take(self, use: Use) -> EventRow:
        """Charge usage, and take it back if it is to be."""
        card = self.card(use.at)
        pricing = Pricing(SUBSCRIPTION, "acme", card.plan_version_id, CYCLE)
        choices: list[Choice] = []
        for code in card.assets(CODE):
            item = rate_item(CODE, use.properties(), card, code, precise_amount_cents=use.cents)
            self._begin_totals(item, pricing, use.at)
            choices.append(Choice(ASSETS[code], (item,)))
        event_id = UUID(int=ids.hash128("event", use.number))
        self.desk.do(
            Debit(
                event_id=event_id,
                transaction_id=str(use.number),
                code=CODE,
                properties=use.properties(),
                external_subscription_id="acme",
                external_customer_id="acme",
                timestamp=use.at,
                item=choices[0].items[0],
                asset=choices[0].asset,
                others=tuple(choices[1:]),
                pricing=pricing,
                precise_total_amount_cents=use.cents,
            )
        )
        row = self.desk.rows.events[event_id][1]
        if use.is_taken_back:
            asset = ASSETS[row.asset_code or ""]
            self.desk.do(Reverse(event_id, f"{use.number}-back", asset, None))
        return row

    def _begin_totals(self, item: Item, pricing: Pricing, at: datetime) -> None:
        """What is recurring goes on from the period before, as in `running_totals`."""
        totals = self.desk.rows.totals
        for wanted in wanted_totals([item], pricing, at=at):
            earlier = [key for key in totals if _is_earlier(key, wanted.key)]
            if wanted.line.bucket.recurring and earlier and wanted.key not in totals:
                last = totals[max(earlier, key=lambda key: key.period_start)]
                totals[wanted.key] = last if wanted.is_member else quotes.carried(wanted.line, last)


def _is_earlier(key: TotalKey, wanted: TotalKey) -> bool:
    same = replace(key, period_start=wanted.period_start) == wanted
    return same and key.period_start < wanted.period_start


# -- what it comes to


class Place(Struct, frozen=True):
    """One price, and one group of it."""

    charge_id: UUID
    filter_id: UUID | None
    group: str


class Story(Struct):
    """Usage that stood, by price: as it was sent, and as it is stored."""

    sent: dict[Place, list[Event]]
    stored: dict[Place, list[tuple[Event, EventLine]]]


def play(counter: Counter, used: Sequence[Use], charge: PlanCharge) -> Story:
    """Take all usage, and tell what it was."""
    story = Story({}, {})
    for use in used:
        row = counter.take(use)
        if use.is_taken_back:
            continue
        place, event = as_sent(use, row, charge)
        story.sent.setdefault(place, []).append(event)
        for line in row.lines:
            place = Place(line.charge_id or IN_DOLLARS, line.filter_id, line.group)
            story.stored.setdefault(place, []).append((as_stored(use, row, line), line))
    return story


def as_stored(use: Use, row: EventRow, line: EventLine) -> Event:
    """The event as it is read back from the store."""
    line = msgspec.json.decode(to_json(line), type=EventLine)
    return Event(
        timestamp=row.timestamp,
        order=use.number,
        units=line.units,
        member=line.member,
        removes=line.removes,
        precise_amount_cents=line.precise_amount_cents,
        plan_version_id=row.plan_version_id,
    )


def as_sent(use: Use, row: EventRow, charge: PlanCharge) -> tuple[Place, Event]:
    """The event as the caller means it: read here once more, without rate cards."""
    kind = charge.aggregation_type
    in_tokens = row.asset_code == "TOKEN"
    is_gold = bool(charge.filters) and not in_tokens and use.tier == "gold"
    place = Place(
        IN_TOKENS if in_tokens else IN_DOLLARS,
        GOLD if is_gold else None,
        to_json({"region": use.region}) if charge.pricing_group_keys else "",
    )
    return place, Event(
        timestamp=use.at,
        order=use.number,
        units=ONE if kind in {"count_agg", "unique_count_agg"} else Decimal(use.n),
        member=use.n if kind == "unique_count_agg" else None,
        removes=kind == "unique_count_agg" and use.removes,
        precise_amount_cents=use.cents if charge.charge_model == "dynamic" else None,
        plan_version_id=row.plan_version_id,
    )


def bucket_of(card: RateCard, place: Place) -> Bucket:
    bucket = card.bucket(place.charge_id, place.filter_id)
    assert bucket is not None
    return bucket


def terms_of(counter: Counter, place: Place, events: Iterable[Event]) -> Terms:
    """The terms that these events are priced by."""
    used = {event.plan_version_id for event in events}
    cards = [card for card in counter.cards if card.plan_version_id in used] or counter.cards[:1]
    (charge,) = cards[-1].charges
    rated = next(one for one in (charge, *charge.alternatives) if one.id == place.charge_id)
    prices = [Price(card.plan_version_id, bucket_of(card, place).model) for card in cards]
    return Terms.of(rated, prices)


def total(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, ZERO)


def rate_of(bucket: Bucket) -> Decimal:
    return bucket.conversion.rate if bucket.conversion else ONE


@examples
@given(data=st.data(), versions=charges(), balance=st.sampled_from([RICH, 10**10, 1]))
def test_what_is_stored_of_usage_prices_the_period_as_the_usage_does(
    data: st.DataObject, versions: list[PlanCharge], balance: int
) -> None:
    counter = Counter(versions, balance=balance)
    story = play(counter, data.draw(uses(versions[0], late=True)), versions[0])
    assert story.stored.keys() == story.sent.keys()
    for place, sent in story.sent.items():
        stored = [event for event, _ in story.stored[place]]
        for period in (MARCH, APRIL):
            terms = terms_of(counter, place, (one for one in sent if period.holds(one.timestamp)))
            usage = rate_events(terms, sent, period)
            assert rate_events(terms, stored, period) == usage
            assert usage.amount >= 0
        for _, line in story.stored[place]:
            scale = (TOKEN if place.charge_id == IN_TOKENS else USD).scale
            rounded = money.to_minor(line.exact, scale, Rounding.HALF_AWAY)
            assert line.exact >= 0
            assert line.amount_minor == rounded


@examples
@given(data=st.data(), versions=charges())
def test_what_comes_in_order_is_debited_as_it_is_billed_in_advance(
    data: st.DataObject, versions: list[PlanCharge]
) -> None:
    counter = Counter(versions, balance=RICH)
    story = play(counter, data.draw(uses(versions[0])), versions[0])
    for place, sent in story.sent.items():
        for period in (MARCH, APRIL):
            now = [event for event in sent if period.holds(event.timestamp)]
            debited = [
                line.exact for event, line in story.stored[place] if period.holds(event.timestamp)
            ]
            bucket = bucket_of(counter.cards[0], place)
            if bucket.timing == "deferred":
                assert total(debited) == 0
                continue
            if bucket.timing == "linear":
                assert debited == [linear_price(counter, place, event) for event in now]
                continue
            terms = replace(terms_of(counter, place, now), pay_in_advance=True)
            before = [event for event in sent if event.timestamp < period.start]
            billed = fees_in_advance(terms, before if terms.recurring else [], now, period)
            assert debited == [EXACT.multiply(fee, rate_of(bucket)) for fee in billed.events]


def linear_price(counter: Counter, place: Place, event: Event) -> Decimal:
    """What an event costs by itself, whatever else there is."""
    bucket = bucket_of(counter.card(event.timestamp), place)
    if isinstance(bucket.model, Dynamic):
        cents = event.precise_amount_cents or ZERO
        return EXACT.multiply(cents if event.units > 0 else ZERO, Decimal("0.01")) * rate_of(bucket)
    amount = bucket.model.price_total(units=max(event.units, ZERO), events=1)
    return EXACT.multiply(amount, rate_of(bucket))


@examples
@given(data=st.data(), versions=rising_charges())
def test_where_usage_and_prices_only_rise_the_true_up_only_rounds(
    data: st.DataObject, versions: list[PlanCharge]
) -> None:
    counter = Counter(versions, balance=RICH)
    story = play(counter, data.draw(uses(versions[0], least=0)), versions[0])
    for place, sent in story.sent.items():
        for period in (MARCH, APRIL):
            now = [event for event in sent if period.holds(event.timestamp)]
            lines = [line for event, line in story.stored[place] if period.holds(event.timestamp)]
            amount = rate_events(terms_of(counter, place, now), sent, period).amount
            exact = EXACT.multiply(amount, rate_of(bucket_of(counter.cards[0], place)))
            debited = money.to_decimal(sum(line.amount_minor for line in lines), USD.scale)
            true_up = EXACT.subtract(exact, debited)
            assert total(line.exact for line in lines) == exact
            assert abs(true_up) * 2 <= len(lines) * Decimal("1E-9")
