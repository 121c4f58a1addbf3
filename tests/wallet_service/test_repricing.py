"""An event is priced again as it was when it came, whatever the price; what was changed shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from invoicing.records import from_json, to_json
from rating import Dynamic, Standard
from rating.charges import Charge
from rating.exact import ZERO
from rating.rate_cards import RateCard
from rating.totals import Total
from tests.rating import strategies
from tests.rating.metering import graduated
from wallet_service.checks.repricing import RatedEvent, difference
from wallet_service.decision import Asset
from wallet_service.decision.commands import Cycle, Pricing
from wallet_service.decision.pricing import price_item
from wallet_service.decision.state import NIL, EventLine, Paid, TotalKey
from wallet_service.decision.usage import _negative
from wallet_service.items import rate_item

USD = Asset("USD", 9, 1)
FIRST, SECOND = UUID(int=1), UUID(int=2)
CYCLE = Cycle("monthly", "calendar", datetime(2026, 1, 1, tzinfo=UTC))
NOON = datetime(2026, 6, 11, 12, tzinfo=UTC)


def card(*charges: Charge, version: UUID = FIRST) -> RateCard:
    return RateCard.compile(version, charges)


def charge(model: Any, **more: Any) -> Charge:
    fields = {
        "id": UUID(int=10),
        "code": "usage",
        "billable_metric_code": "usage",
        "aggregation": "sum_agg",
        "field_name": "units",
        "model": model,
        "asset_code": "USD",
    }
    return Charge(**fields | more)


@dataclass
class Shop:
    """Sells usage as the decision does, and keeps what is stored of it."""

    card: RateCard
    totals: dict[TotalKey, Total] = field(default_factory=dict)

    def use(self, *, at: datetime = NOON, cents: Decimal | None = None, **properties: Any) -> Any:
        """An event as it is read back from the store."""
        pricing = Pricing(UUID(int=3), "acme", self.card.plan_version_id, CYCLE)
        item = rate_item("usage", properties, self.card, "USD", precise_amount_cents=cents)
        amount, lines, _ = price_item(item, USD, pricing, self.totals, at=at)
        return RatedEvent(
            transaction_id="call-1",
            code="usage",
            timestamp=at,
            properties=from_json(to_json(properties)),
            precise_total_amount_cents=cents,
            is_prepaid=True,
            asset_code="USD",
            lines=stored(lines),
            paid=[Paid(NIL, NIL, amount, 0, "usage")] if amount else [],
            scale=9,
            card=self.card,
            cycle=CYCLE,
        )


def stored(lines: list[EventLine]) -> list[EventLine]:
    """Lines as they come back from a JSON column."""
    return msgspec.json.decode(to_json(lines), type=list[EventLine])


def reversal(event: RatedEvent) -> RatedEvent:
    """What takes the whole of an event back."""
    return replace(
        event,
        lines=stored([_negative(line) for line in event.lines]),
        paid=[Paid(NIL, NIL, -entry.amount_minor, 0, entry.code) for entry in event.paid],
        is_reversal=True,
        reversed_lines=event.lines,
    )


units = strategies.decimals_between(0, 500, places=18)
times = st.integers(0, 29 * 24).map(
    lambda hours: datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=hours)
)


prices = st.tuples(
    st.sampled_from(["count_agg", "sum_agg", "max_agg", "latest_agg"]),
    st.lists(strategies.running, min_size=2, max_size=2),
) | st.tuples(
    st.just("sum_agg"), st.lists(strategies.running | st.just(Dynamic()), min_size=2, max_size=2)
)


@given(prices, st.lists(units, max_size=6), st.integers(0, 6))
def test_whatever_an_event_cost_it_costs_again(prices, quantities, changed_after):
    """Before and after a change of the prices, and when it is taken back."""
    aggregation, models = prices
    before, after = (
        card(charge(model, aggregation=aggregation), version=version)
        for model, version in zip(models, (FIRST, SECOND), strict=True)
    )
    shop = Shop(before)
    for position, quantity in enumerate(quantities):
        shop.card = after if position >= changed_after else before
        event = shop.use(units=quantity, cents=quantity)
        assert difference(event) is None
        assert difference(reversal(event)) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), times), max_size=8), st.booleans())
def test_members_and_the_days_that_were_left_are_counted_again(operations, is_prorated):
    """A unique count, prorated or not: what was there already costs nothing, then or now."""
    seats = charge(
        Standard(amount=Decimal("31.123456789")),
        aggregation="unique_count_agg",
        recurring=is_prorated,
        prorated=is_prorated,
        pricing_group_keys=("team",),
    )
    shop = Shop(card(seats))
    for seat, removes, at in operations:
        kind = "remove" if removes else "add"
        event = shop.use(units=seat, operation_type=kind, team="red", at=at)
        assert difference(event) is None


def test_the_negative_of_an_exact_price_has_all_its_digits():
    shop = Shop(card(charge(Standard(amount=Decimal("0.000000000000000000000000000001")))))
    event = shop.use(units="12345678.123456789012345678")
    taken_back = reversal(event)
    assert taken_back.lines[0].exact == event.lines[0].exact.copy_negate()
    assert difference(taken_back) is None


GRADUATED = graduated((0, 10, "1", "0.5"), (11, None, "0.2", 0))


@pytest.fixture
def event() -> RatedEvent:
    """The second of two events under a graduated price."""
    shop = Shop(card(charge(GRADUATED)))
    shop.use(units=8)
    return shop.use(units=7)


def line_changed(**changes: Any) -> Callable[[RatedEvent], RatedEvent]:
    return lambda event: replace(event, lines=[replace(event.lines[0], **changes)])


def event_changed(**changes: Any) -> Callable[[RatedEvent], RatedEvent]:
    return lambda event: replace(event, **changes)


CHANGES = {
    "another exact price": (line_changed(exact=Decimal("3.0000000001")), "is not its price"),
    "another amount": (line_changed(amount_minor=2_999_999_999), "was paid"),
    "other units": (line_changed(units=Decimal(8)), "its units was 8, and is 7"),
    "another charge": (line_changed(charge_id=UUID(int=11)), "its charge_id was"),
    "another group": (line_changed(group='{"region":"eu"}'), "its group was"),
    "no total": (line_changed(priced_from=None), "is not its price"),
    "another total": (line_changed(priced_from=Total(units=Decimal(9), events=1)), "not its price"),
    "a line more": (lambda event: replace(event, lines=event.lines * 2), "was paid"),
    "an amount in place of usage": (line_changed(charge_id=None), "its charge_id was None"),
    "other properties": (event_changed(properties={"units": 6}), "its units was 7, and is 6"),
    "no properties": (event_changed(properties={}), "does not price it"),
    "another code": (event_changed(code="usages"), "does not price it"),
    "another asset": (event_changed(asset_code="EUR"), "does not price it"),
    "an asset that is not there": (event_changed(scale=None), "there is no asset USD"),
    "no version": (event_changed(card=None), "names no price version"),
    "another version": (
        event_changed(card=card(charge(Standard(amount=Decimal(1))), version=SECOND)),
        "is not its price",
    ),
    "a version with more charges": (
        event_changed(card=card(charge(GRADUATED), charge(GRADUATED, id=UUID(int=12)))),
        "was priced by 1 charges, its price version has 2",
    ),
    "nobody paid": (event_changed(paid=[]), "come to 3000000000, and 0 was paid"),
    "paid though postpaid": (event_changed(is_prepaid=False), "3000000000 was paid"),
}


def test_a_price_that_stands_is_no_difference(event):
    assert event.lines[0].exact == Decimal("3.0")  # 2 units at 1, 5 at 0.2
    assert difference(event) is None


@pytest.mark.parametrize("changed", CHANGES)
def test_what_was_changed_is_a_difference(event, changed):
    change, said = CHANGES[changed]
    assert said in (difference(change(event)) or "")


def test_an_amount_that_is_not_the_exact_price_rounded_is_a_difference(event):
    free = replace(event, is_prepaid=False, paid=[])
    wrong = line_changed(amount_minor=2_999_999_999)(free)
    assert "3.0 was charged as 2999999999" in (difference(wrong) or "")


def test_another_time_is_a_difference_where_days_count():
    seats = charge(Standard(amount=Decimal(30)), recurring=True, prorated=True)
    event = Shop(card(seats)).use(units=1)
    assert event.lines[0].exact == Decimal("20.0001")  # 20 of 30 days, rounded up to 0.66667
    assert difference(event) is None
    later = replace(event, timestamp=NOON + timedelta(days=1))
    assert "is not its price" in (difference(later) or "")


def test_days_are_those_of_the_interval_that_the_plan_had():
    seats = charge(Standard(amount=Decimal(30)), recurring=True, prorated=True)
    event = Shop(card(seats)).use(units=1)
    assert difference(replace(event, cycle=replace(CYCLE, interval="yearly"))) is None


def test_what_is_known_at_the_periods_end_only_costs_nothing_before():
    event = Shop(card(charge(Standard(amount=Decimal(3)), aggregation="latest_agg"))).use(units=5)
    assert event.lines[0].exact == ZERO
    assert difference(event) is None
    charged = replace(line_changed(exact=Decimal(15))(event), is_prepaid=False)
    assert "is not its price" in (difference(charged) or "")


@pytest.mark.parametrize(
    ("amount_minor", "code", "transaction_id", "holds"),
    [
        (5, "amount", "call-1", True),
        (5, "usage", "call-1", False),
        (5, "usage", "authorization:1:final:0", False),
        (-5, "usage", "authorization:1:refund:0", True),
        (-5, "usage", "call-1", False),
    ],
)
def test_an_amount_without_a_charge_is_one_that_was_named_or_refunded(
    event, amount_minor, code, transaction_id, holds
):
    line = EventLine(None, None, Decimal(1), Decimal(amount_minor).scaleb(-9), amount_minor)
    paid = (
        [] if transaction_id.startswith("authorization") else [Paid(NIL, NIL, amount_minor, 0, "")]
    )
    named = replace(event, code=code, transaction_id=transaction_id, lines=[line], paid=paid)
    assert (difference(named) is None) is holds


def test_a_capture_is_priced_again_and_paid_by_its_authorization(event):
    captured = replace(event, transaction_id="authorization:1:final:0", paid=[])
    assert difference(captured) is None


def test_a_capture_that_names_its_price_may_be_priced_by_other_charges_too():
    dynamic = charge(Dynamic(), id=UUID(int=11))
    event = Shop(card(charge(Standard(amount=Decimal(2))), dynamic)).use(
        units=3, cents=Decimal("12.5")
    )
    captured = replace(
        event, transaction_id="authorization:1:1", precise_total_amount_cents=None, paid=[]
    )
    assert difference(captured) is None


def test_a_reversal_is_the_negative_of_what_it_takes_back_or_an_amount(event):
    whole = reversal(event)
    assert difference(whole) is None
    part = EventLine(None, None, Decimal(1), Decimal("-0.000000001"), -1)
    assert difference(replace(whole, lines=[part], paid=[Paid(NIL, NIL, -1, 0, "")])) is None
    assert "is not there" in (difference(replace(whole, reversed_lines=None)) or "")
    fewer = line_changed(units=Decimal(-6))(whole)
    assert "not the negative" in (difference(fewer) or "")
    charges = replace(event, is_reversal=True, reversed_lines=event.lines)
    assert "a reversal that charges" in (difference(charges) or "")
