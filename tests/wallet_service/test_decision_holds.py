"""The life of an authorization: captured, extended, voided, expired, refunded."""

import gc
from datetime import timedelta
from uuid import UUID

import pytest

from ledger.chart import AccountCode
from tests.wallet_service.desk import USD, Desk, items_of
from tests.wallet_service.rows import NOON
from wallet_service.decision import Done, Refused, decide
from wallet_service.decision.commands import (
    Authorize,
    Capture,
    Cycle,
    Expire,
    Extend,
    Pricing,
    Refund,
    Void,
)
from wallet_service.errors import InsufficientFunds, Invalid, NotAllowed

PRICING = Pricing(UUID(int=1), "main", UUID(int=2), Cycle("monthly", "calendar", NOON))


@pytest.fixture
def desk() -> Desk:
    """A customer with 100 in one grant."""
    desk = Desk()
    desk.wallet()
    desk.grant("paid", 100)
    return desk


def test_capturing_less_gives_the_rest_back(desk: Desk):
    hold = desk.authorize(30)
    reply = desk.capture(hold, 12)
    assert desk.show() == "paid 88"
    assert (reply["status"], reply["captured_amount"], reply["available"]) == (
        "captured",
        "12",
        "88",
    )
    assert desk.house(AccountCode.REVENUE) == 12


@pytest.mark.parametrize("amount", [30, 101])
def test_what_was_held_or_refused_leaves_nothing_for_the_garbage_collector(
    desk: Desk, amount: int
) -> None:
    operation = desk.operation(Authorize("acme", "call", USD, items_of(amount), 600))
    gc.collect()
    gc.disable()
    try:
        (outcome,) = decide([operation], desk.state(), is_atomic=True)
        assert isinstance(outcome, Done if amount <= 100 else Refused)
        del outcome
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_capturing_all_needs_no_amount(desk: Desk):
    desk.capture(desk.authorize(30))
    assert desk.show() == "paid 70"


def test_capturing_more_takes_free_grants_then_the_overdraft_then_overage(desk: Desk):
    desk.change(overdraft_limit_minor=10)
    hold = desk.authorize(30)
    reply = desk.capture(hold, 125)
    assert desk.show() == "paid 0 | overdraft 0 | overage 15"
    assert reply["debits"][0]["overage"] == "15"
    assert desk.rows.holds[hold].overage_minor == 15


def test_partial_captures_keep_holding_the_rest_until_the_final_one(desk: Desk):
    hold = desk.authorize(30)
    desk.capture(hold, 10, final=False, transaction_id="first")
    assert desk.show() == "paid 70 held 20"
    desk.capture(hold, 0, final=False, transaction_id="nothing")
    desk.capture(hold, 20, final=False, transaction_id="rest")
    assert desk.show() == "paid 70"
    assert desk.rows.holds[hold].status == "held"
    reply = desk.capture(hold, 5)
    assert desk.show() == "paid 65"
    assert (reply["status"], reply["captured_amount"]) == ("captured", "35")


def test_captures_store_usage_events_that_are_named_after_them(desk: Desk):
    hold = desk.authorize({"calls": 5, "tokens": 5})
    desk.capture(hold, {"calls": 1, "tokens": 2}, final=False, transaction_id="first")
    desk.capture(hold, {"calls": 3})
    names = {row.transaction_id: row.lines[0].amount_minor for _, row in desk.rows.events.values()}
    assert names == {
        f"authorization:{hold}:first:0": 1,
        f"authorization:{hold}:first:1": 2,
        f"authorization:{hold}:final:0": 3,
    }


def test_a_hold_past_its_time_is_captured_while_the_ledger_still_has_it(desk: Desk):
    hold = desk.authorize(30, expires_in_s=5)
    desk.pass_time(10)
    desk.capture(hold, 20)
    assert desk.show() == "paid 80"


def test_a_late_capture_is_charged_at_once(desk: Desk):
    hold = desk.authorize(30, expires_in_s=5)
    desk.pass_time(10)
    desk.expire(hold)
    assert desk.show() == "paid 100"
    reply = desk.capture(hold, 20)
    assert desk.show() == "paid 80"
    assert reply["status"] == "captured"


def test_a_late_capture_without_an_amount_takes_what_the_hold_was_for(desk: Desk):
    hold = desk.authorize(30, expires_in_s=5)
    desk.capture(hold, 10, final=False, transaction_id="first")
    desk.pass_time(10)
    desk.expire(hold)
    desk.capture(hold)
    assert desk.show() == "paid 70"


def test_a_late_capture_that_is_not_final_leaves_room_for_the_next(desk: Desk):
    hold = desk.authorize(30, expires_in_s=5)
    desk.pass_time(10)
    desk.expire(hold)
    assert desk.capture(hold, 20, final=False, transaction_id="first")["status"] == "expired"
    assert desk.capture(hold, 5)["status"] == "captured"
    assert desk.show() == "paid 75"


def test_a_late_capture_that_cannot_be_paid_is_overage_or_refused_as_the_wallet_says(desk: Desk):
    hold = desk.authorize(30, expires_in_s=5)
    other = desk.authorize(30, expires_in_s=5)
    desk.pass_time(10)
    desk.expire(hold)
    desk.expire(other)
    desk.capture(hold, 120)
    assert desk.show() == "paid 0 | overage 20"
    desk.change(on_shortfall="reject")
    error = desk.refusal(Capture(other, None, USD, items_of(1), True), key=str(other))
    assert isinstance(error, InsufficientFunds)
    desk.grant("more", 30)
    desk.capture(other, 1)
    assert desk.show() == "paid 0 | more 9"


def test_a_live_hold_is_captured_even_where_the_wallet_rejects(desk: Desk):
    hold = desk.authorize(30)
    desk.change(on_shortfall="reject", frozen=True)
    desk.capture(hold, 40)
    assert desk.show() == "paid 70 | overage 10"


def test_a_hold_is_extended_in_money(desk: Desk):
    hold = desk.authorize(30)
    reply = desk.extend(hold, 20)
    assert desk.show() == "paid 50 held 50"
    assert reply["amount"] == "50"
    assert isinstance(desk.refusal(Extend(hold, USD, items_of(51), None)), InsufficientFunds)
    assert desk.show() == "paid 50 held 50"
    desk.capture(hold, 45)
    assert desk.show() == "paid 55"


def test_a_hold_is_extended_in_time(desk: Desk):
    hold = desk.authorize(30, expires_in_s=5)
    desk.extend(hold, 0, expires_in_s=60)
    assert desk.show() == "paid 70 held 30"
    desk.pass_time(30)
    with pytest.raises(NotAllowed, match="not_expired"):
        desk.expire(hold)
    assert desk.rows.holds[hold].expires_at - desk.now < timedelta(seconds=31)
    desk.pass_time(30)
    assert desk.refusal(Extend(hold, USD, (), 60)).code == "already_expired"
    desk.expire(hold)
    assert desk.show() == "paid 100"


def test_a_void_gives_all_back_once(desk: Desk):
    hold = desk.authorize(30)
    desk.capture(hold, 10, final=False, transaction_id="first")
    first = desk.void(hold)
    assert desk.show() == "paid 90"
    assert first["status"] == "voided"
    assert desk.void(hold) == first
    assert desk.refusal(Void(hold, USD)).code == "already_voided"
    assert desk.refusal(Capture(hold, "k", USD, None, True)).code == "already_voided"
    assert desk.refusal(Expire(hold, USD)).code == "already_voided"


def test_a_grant_that_expires_while_held_pays_all_the_same(desk: Desk):
    desk.grant("soon", 10, expires_in_s=5)
    hold = desk.authorize(15)
    desk.pass_time(10)
    assert desk.show() == "soon 0 held 10 | paid 95 held 5"
    with pytest.raises(NotAllowed, match="held"):
        desk.expire_grant("soon")
    desk.capture(hold, 12)
    assert desk.show() == "soon 0 | paid 98"


def test_what_a_hold_gives_back_to_an_expired_grant_goes_to_breakage(desk: Desk):
    desk.grant("soon", 10, expires_in_s=5)
    hold = desk.authorize(15)
    desk.pass_time(10)
    desk.void(hold)
    desk.expire_grant("soon")
    assert desk.show() == "paid 100"
    assert desk.house(AccountCode.BREAKAGE) == 10


# -- refunds ------------------------------------------------------------------------------------


def test_a_refund_goes_back_to_the_grants_that_paid_the_last_first(desk: Desk):
    desk.grant("gift", 10, kind="promotional")
    hold = desk.authorize(15)
    desk.capture(hold)
    assert desk.show() == "gift 0 | paid 95"
    desk.refund(hold, 7)
    assert desk.show() == "gift 2 | paid 100"
    reply = desk.refund(hold)
    assert desk.show() == "gift 10 | paid 100"
    assert reply["refunded_amount"] == "15"
    assert desk.house(AccountCode.REVENUE) == 0


def test_a_refunds_usage_event_names_the_subscription_as_the_captures_does(desk: Desk):
    hold = desk.authorize(15, pricing=PRICING)
    desk.capture(hold, 15, pricing=PRICING)
    desk.do(Refund(hold, USD, "refund", None, PRICING))
    rows = [row for _, row in desk.rows.events.values()]
    assert [row.external_subscription_id for row in rows] == ["main", "main"]
    assert [row.lines[0].amount_minor for row in rows] == [15, -15]


def test_no_more_is_refunded_than_was_captured(desk: Desk):
    hold = desk.authorize(15)
    assert desk.refusal(Refund(hold, USD, "r", None)).code == "nothing_to_refund"
    desk.capture(hold, 10)
    error = desk.refusal(Refund(hold, USD, "r", 11))
    assert isinstance(error, Invalid)
    desk.refund(hold, 10)
    assert desk.refusal(Refund(hold, USD, "r", None)).code == "nothing_to_refund"


def test_refunded_overage_that_is_still_due_is_no_longer_due(desk: Desk):
    hold = desk.authorize(100)
    desk.capture(hold, 130)
    assert desk.show() == "paid 0 | overage 30"
    desk.refund(hold, 10)
    assert desk.show() == "paid 0 | overage 20"


def test_refunded_overage_that_was_repaid_goes_to_the_newest_grant(desk: Desk):
    hold = desk.authorize(100)
    desk.capture(hold, 130)
    desk.grant("new", 50)
    assert desk.show() == "paid 0 | new 20"
    desk.refund(hold, 30)
    assert desk.show() == "paid 0 | new 50"


def test_a_refund_of_what_an_overdraft_paid_never_raises_it_above_its_limit(desk: Desk):
    desk.change(overdraft_limit_minor=40)
    hold = desk.authorize(130)
    desk.capture(hold)
    assert desk.show() == "paid 0 | overdraft 10"
    desk.grant("new", 20)
    assert desk.show() == "paid 0 | new 0 | overdraft 30"
    desk.refund(hold, 25)
    assert desk.show() == "paid 0 | new 15 | overdraft 40"


def test_a_refund_to_a_grant_that_was_put_away_opens_it_again(desk: Desk):
    hold = desk.authorize(100)
    desk.capture(hold)
    desk.close_grant("paid")
    assert desk.show() == ""
    desk.refund(hold, 10)
    assert desk.show() == "paid 10"
