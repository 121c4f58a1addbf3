"""Wallets, grants and events: funded, charged, reversed, expired; prices from totals."""

from decimal import Decimal
from uuid import UUID

import pytest

from ledger.chart import AccountCode
from rating.charge_models import ChargeModel, Package, Percentage
from rating.rate_cards import Line
from tests.rating.playing import bucket
from tests.wallet_service.desk import NOON, USD, Desk
from wallet_service.decision.commands import (
    Capture,
    Cycle,
    Fail,
    Item,
    MoveCredits,
    PricedLine,
    Pricing,
    Reverse,
    Settle,
    UpdateWallet,
)
from wallet_service.errors import InsufficientFunds, Invalid, NotAllowed

PRICING = Pricing(UUID(int=1), "main subscription", UUID(int=2), Cycle("monthly", "calendar", NOON))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.wallet()
    return desk


def use(model: ChargeModel, units: int, *, code: str = "calls") -> Item:
    line = Line(bucket(model, charge_id=UUID(int=len(code)), code=code), Decimal(units))
    return Item(code, {}, (PricedLine(line, None),))


# -- events -------------------------------------------------------------------------------------


def test_usage_that_happened_is_never_dropped(desk: Desk):
    desk.grant("paid", 10)
    event = desk.debit(25)
    assert desk.show() == "paid 0 | overage 15"
    row = desk.rows.events[event][1]
    assert (row.rating_status, sum(entry.amount_minor for entry in row.paid)) == ("rated", 25)


def test_a_wallet_may_say_that_a_shortfall_is_refused(desk: Desk):
    desk.change(on_shortfall="reject")
    desk.grant("paid", 10)
    assert isinstance(desk.refusal(desk.debit_command(25)), InsufficientFunds)
    assert desk.show() == "paid 10"
    assert not desk.rows.events


def test_nothing_goes_back_to_a_credit_line_that_was_closed(desk: Desk):
    desk.change(overdraft_limit_minor=10)
    event = desk.debit(22)
    desk.grant("paid", 48)  # repays what is owed, and fills the credit line up
    assert desk.show() == "paid 26 | overdraft 10"
    desk.change(status="terminated")
    assert desk.refusal(Reverse(event, "r", USD, None)).code == "no_grant_to_refund"
    desk.wallet("next")
    desk.grant("later", 1, wallet="next")
    desk.reverse(event)
    assert desk.show() == "later 23"


def test_an_event_is_reversed_in_parts_and_never_more_than_it_cost(desk: Desk):
    desk.grant("gift", 10, kind="promotional")
    desk.grant("paid", 10)
    event = desk.debit(15)
    desk.reverse(event, 7)
    assert desk.show() == "gift 2 | paid 10"
    assert isinstance(desk.refusal(Reverse(event, "r", USD, 9)), Invalid)
    desk.reverse(event)
    assert desk.show() == "gift 10 | paid 10"
    assert desk.refusal(Reverse(event, "r", USD, None)).code == "nothing_to_reverse"
    lines = [row.lines[0].amount_minor for _, row in desk.rows.events.values()]
    assert lines == [15, -7, -8]


def test_reversed_overage_is_lowered_first_and_what_was_repaid_goes_to_a_grant(desk: Desk):
    event = desk.debit(25)
    desk.grant("paid", 10)
    assert desk.show() == "paid 0 | overage 15"
    desk.reverse(event)
    assert desk.show() == "paid 10"


# -- grants -------------------------------------------------------------------------------------


def test_a_purchase_is_spendable_once_it_is_paid(desk: Desk):
    bought = desk.purchase(50)
    assert desk.show() == ""
    desk.settle(bought)
    assert desk.show() == "paid 50"
    assert desk.house(AccountCode.PAYMENTS, "manual") == 50
    assert desk.refusal(Settle(bought, USD, "manual")).code == "invalid_status"
    assert desk.refusal(Fail(bought, USD)).code == "invalid_status"


def test_a_purchase_that_failed_is_never_settled(desk: Desk):
    bought = desk.purchase(50)
    desk.fail(bought)
    assert desk.refusal(Settle(bought, USD, "manual")).code == "invalid_status"
    assert desk.show() == ""


def test_voided_credits_are_taken_in_burn_order(desk: Desk):
    desk.grant("paid", 10)
    desk.grant("gift", 10, kind="promotional")
    desk.void_credits(15)
    assert desk.show() == "paid 5"
    command = MoveCredits(desk.ids["main"], USD, (), voided_minor=6, voided_credits=Decimal(6))
    assert desk.refusal(command).code == "insufficient_credits"
    assert desk.house(AccountCode.PROMOTIONS) == 0
    assert desk.house(AccountCode.BREAKAGE) == 5


def test_an_expired_grant_is_taken_and_put_away(desk: Desk):
    desk.grant("soon", 10, expires_in_s=5)
    with pytest.raises(NotAllowed, match="not_expired"):
        desk.expire_grant("soon")
    desk.pass_time(5)
    desk.expire_grant("soon")
    assert desk.show() == ""
    assert desk.house(AccountCode.BREAKAGE) == 10


def test_a_grant_that_has_something_left_is_not_put_away(desk: Desk):
    desk.grant("paid", 10)
    desk.debit(9)
    with pytest.raises(NotAllowed, match="not_exhausted"):
        desk.close_grant("paid")


# -- wallets ------------------------------------------------------------------------------------


def test_a_credit_line_moves_both_ways_but_not_below_what_is_in_use(desk: Desk):
    desk.change(overdraft_limit_minor=40)
    desk.debit(15)
    desk.change(overdraft_limit_minor=20)
    assert desk.show() == "overdraft 5"
    changes = {"overdraft_limit_minor": 14}
    error = desk.refusal(UpdateWallet(wallet_id=desk.ids["main"], asset=USD, changes=changes))
    assert isinstance(error, Invalid)
    assert desk.house(AccountCode.CREDIT_LINES) == 20


def test_a_refused_change_of_a_wallet_does_not_move_its_credit_line(desk: Desk):
    changes = {"overdraft_limit_minor": 40, "expiration_at": desk.now}
    desk.refusal(UpdateWallet(wallet_id=desk.ids["main"], asset=USD, changes=changes))
    assert desk.show() == ""


def test_an_ended_wallet_gives_up_what_is_free_and_keeps_what_is_held(desk: Desk):
    desk.change(overdraft_limit_minor=40)
    desk.grant("paid", 10)
    hold = desk.authorize(4)
    desk.change(status="terminated", overdraft_limit_minor=50)
    assert desk.show() == "paid 0 held 4"
    desk.capture(hold, 3)
    assert desk.show() == "paid 1"
    error = desk.refusal(UpdateWallet(wallet_id=desk.ids["main"], asset=USD, changes={}))
    assert error.code == "wallet_is_terminated"


# -- prices from running totals -----------------------------------------------------------------

DOZENS = Package(amount=Decimal(5), package_size=12, free_units=0)
TEN_PERCENT = Percentage(rate=Decimal(10), fixed_amount=Decimal(1), free_units_per_events=1)


def test_a_package_is_paid_when_it_is_opened(desk: Desk):
    desk.grant("paid", 100)
    costs: list[int] = []
    for units in (1, 11, 1, 24):
        event = desk.debit([use(DOZENS, units)], pricing=PRICING)
        costs.append(desk.rows.events[event][1].lines[0].amount_minor)
    assert costs == [5, 0, 5, 10]
    (total,) = desk.rows.totals.values()
    assert total.units == 37


def test_holds_move_no_total_and_captures_do(desk: Desk):
    desk.grant("paid", 100)
    hold = desk.authorize([use(DOZENS, 12), use(TEN_PERCENT, 50, code="volume")], pricing=PRICING)
    assert not desk.rows.totals
    used = [use(DOZENS, 12), use(TEN_PERCENT, 50, code="volume"), use(DOZENS, 1)]
    reply = desk.capture(hold, used, pricing=PRICING)
    # The first event of the percentage is free, and the thirteenth unit opens a second package.
    assert reply["captured_amount"] == "10"
    assert sorted(total.events for total in desk.rows.totals.values()) == [1, 2]


def test_a_refused_event_leaves_the_total_as_it_was(desk: Desk):
    desk.change(on_shortfall="reject")
    desk.grant("paid", 5)
    desk.debit([use(DOZENS, 3)], pricing=PRICING)
    before = dict(desk.rows.totals)
    desk.refusal(desk.debit_command([use(DOZENS, 24)], pricing=PRICING))
    assert desk.rows.totals == before
    event = desk.debit([use(DOZENS, 9)], pricing=PRICING)
    assert desk.rows.events[event][1].lines[0].amount_minor == 0


def test_a_late_capture_that_is_refused_leaves_all_its_totals_as_they_were(desk: Desk):
    desk.change(on_shortfall="reject")
    desk.grant("paid", 20)
    hold = desk.authorize([use(DOZENS, 12)], expires_in_s=5, pricing=PRICING)
    desk.pass_time(10)
    desk.expire(hold)
    items = (use(DOZENS, 60), use(TEN_PERCENT, 50, code="volume"), use(DOZENS, 60))
    error = desk.refusal(Capture(hold, "late", USD, items, True, PRICING))
    assert isinstance(error, InsufficientFunds)
    assert not desk.rows.totals


def test_a_price_beyond_what_can_be_counted_is_refused_by_name_and_moves_no_total(desk: Desk):
    dear = Package(amount=Decimal(10**18), package_size=1, free_units=0)
    hold = desk.authorize(0, pricing=PRICING)
    items = (use(DOZENS, 12), use(dear, 12, code="gold"))
    error = desk.refusal(Capture(hold, None, USD, items, True, PRICING))
    assert error.code == "value_is_out_of_range"
    assert not desk.rows.totals
