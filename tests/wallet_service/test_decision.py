"""Who pays, in which order, and why not: stories that are compared with a book in memory."""

from decimal import Decimal
from uuid import UUID

import pytest

from ledger.chart import AccountCode
from ledger.money import MAX_MINOR
from tests.wallet_service.desk import TOKEN, USD, Desk, items_of
from wallet_service.decision.commands import Authorize, Capture, Funding, MoveCredits
from wallet_service.errors import (
    InsufficientFunds,
    Invalid,
    NoEligibleWallet,
    OverageDue,
    WalletFrozen,
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def authorize(usage: int | dict[str, int], **more: bool) -> Authorize:
    return Authorize("acme", "call", USD, items_of(usage), 600, **more)


# -- burn order ---------------------------------------------------------------------------------


def test_the_wallet_of_the_lower_priority_number_pays_first(desk: Desk):
    desk.wallet("late", priority=2)
    desk.wallet("early", priority=1)
    desk.grant("of late", 10, wallet="late", priority=1)
    desk.grant("of early", 10, wallet="early", priority=50)
    desk.authorize(15)
    assert desk.show() == "of early 0 held 10 | of late 5 held 5"


def test_then_the_grant_of_the_lower_priority_number(desk: Desk):
    desk.wallet()
    desk.grant("second", 10, priority=2, expires_in_s=5)
    desk.grant("first", 10, priority=1)
    desk.debit(15)
    assert desk.show() == "first 0 | second 5"


def test_then_what_expires_first(desk: Desk):
    desk.wallet()
    desk.grant("never", 10, kind="promotional")
    desk.grant("tomorrow", 10, expires_in_s=86_400)
    desk.grant("today", 10, expires_in_s=3_600)
    desk.debit(25)
    assert desk.show() == "today 0 | tomorrow 0 | never 5"


def test_then_promotional_before_paid_and_the_oldest_first(desk: Desk):
    desk.wallet()
    desk.grant("old paid", 10)
    desk.grant("new paid", 10)
    desk.grant("gift", 10, kind="promotional")
    desk.debit(25)
    assert desk.show() == "gift 0 | old paid 0 | new paid 5"


def test_an_overdraft_pays_after_everything_else_whatever_its_wallets_priority(desk: Desk):
    desk.wallet("first", priority=1, overdraft=10)
    desk.wallet("last", priority=50)
    desk.grant("paid", 10, wallet="last", priority=50)
    desk.debit(15)
    assert desk.show() == "paid 0 | overdraft 5"


def test_an_expired_grant_is_passed_over(desk: Desk):
    desk.wallet()
    desk.grant("gone", 10, expires_in_s=5)
    desk.grant("there", 10)
    desk.pass_time(5)
    desk.debit(5)
    assert desk.show() == "gone 10 | there 5"


def test_an_expired_or_frozen_wallet_is_passed_over(desk: Desk):
    desk.wallet("ended", priority=1, expires_in_s=5)
    desk.wallet("frozen", priority=2)
    desk.wallet("open", priority=3)
    for name in ("ended", "frozen", "open"):
        desk.grant(f"of {name}", 10, wallet=name)
    desk.change("frozen", frozen=True)
    desk.pass_time(5)
    desk.debit(5)
    assert desk.show() == "of ended 10 | of frozen 10 | of open 5"


# -- eligibility --------------------------------------------------------------------------------


def test_a_wallet_for_one_metric_pays_for_no_other(desk: Desk):
    desk.wallet("images only", priority=1, codes=["images"])
    desk.wallet("any", priority=2)
    desk.grant("for images", 10, wallet="images only")
    desk.grant("for all", 10, wallet="any")
    desk.authorize({"tokens": 8})
    assert desk.show() == "for images 10 | for all 2 held 8"


def test_several_items_are_each_paid_by_the_wallets_that_may(desk: Desk):
    desk.wallet("any", priority=1)
    desk.wallet("tokens only", priority=2, codes=["tokens"])
    desk.grant("for all", 10, wallet="any")
    desk.grant("for tokens", 10, wallet="tokens only")
    # Tokens alone would take all of the first wallet, and images would find nothing.
    hold = desk.authorize({"tokens": 12, "images": 8})
    assert desk.show() == "for all 0 held 10 | for tokens 0 held 10"
    reply = desk.capture(hold, {"tokens": 12, "images": 8})
    assert desk.show() == "for all 0 | for tokens 0"
    assert reply["debits"][0]["overage"] == "0"


def test_where_no_wallet_may_pay_an_authorization_is_refused_and_usage_is_postpaid(desk: Desk):
    desk.wallet("images only", codes=["images"])
    desk.grant("for images", 10, wallet="images only")
    error = desk.refusal(authorize({"images": 1, "tokens": 1}))
    assert isinstance(error, NoEligibleWallet)
    event = desk.debit({"tokens": 5})
    assert desk.rows.events[event][1].rating_status == "postpaid"
    assert desk.show() == "for images 10"


# -- refusals -----------------------------------------------------------------------------------


def test_too_little_is_refused_with_what_was_needed_and_what_there_is(desk: Desk):
    desk.wallet()
    desk.grant("paid", 50)
    error = desk.refusal(authorize(75))
    assert isinstance(error, InsufficientFunds)
    assert error.details == {"needed": "75", "available": "50", "asset_code": "USD"}
    assert desk.show() == "paid 50"


def test_money_in_a_frozen_wallet_is_named_as_such(desk: Desk):
    desk.wallet()
    desk.grant("paid", 50)
    desk.change(frozen=True)
    assert isinstance(desk.refusal(authorize(50)), WalletFrozen)
    assert isinstance(desk.refusal(authorize(51)), InsufficientFunds)


def test_overage_is_repaid_before_the_next_hold(desk: Desk):
    desk.wallet("closed", priority=1)
    desk.wallet("open", priority=2)
    desk.grant("frozen", 100, wallet="closed")
    desk.change("closed", frozen=True)
    desk.debit(30)
    assert desk.show() == "frozen 100 | overage 30"
    desk.change("closed", frozen=False)
    assert isinstance(desk.refusal(authorize(80)), OverageDue)
    desk.authorize(70)
    assert desk.show() == "frozen 0 held 70"


def test_overage_is_repaid_by_the_next_top_up(desk: Desk):
    desk.wallet()
    desk.grant("first", 10)
    desk.debit(50)
    assert desk.show() == "first 0 | overage 40"
    desk.grant("second", 15)
    assert desk.show() == "first 0 | second 0 | overage 25"
    desk.grant("third", 30)
    assert desk.show() == "first 0 | second 0 | third 5"


def test_a_used_overdraft_is_filled_up_by_the_next_top_up(desk: Desk):
    desk.wallet(overdraft=20)
    desk.debit(15)
    assert desk.show() == "overdraft 5"
    desk.grant("paid", 40)
    assert desk.show() == "paid 25 | overdraft 20"


# -- partial ------------------------------------------------------------------------------------


def test_a_partial_authorization_takes_what_there_is(desk: Desk):
    desk.wallet()
    desk.grant("paid", 50)
    hold = desk.authorize(75, partial=True)
    assert desk.rows.holds[hold].amount_minor == 50
    assert isinstance(desk.refusal(authorize(75, partial=True)), InsufficientFunds)


def test_a_partial_authorization_repays_overage_first(desk: Desk):
    desk.wallet("main")
    desk.grant("paid", 50)
    desk.change(frozen=True)
    desk.debit(20)
    desk.change(frozen=False)
    hold = desk.authorize(75, partial=True)
    assert desk.rows.holds[hold].amount_minor == 30
    assert desk.show() == "paid 0 held 30"


def test_a_partial_authorization_of_items_that_share_a_wallet_does_not_count_it_twice(desk: Desk):
    desk.wallet("shared", priority=1, codes=["calls", "tokens"])
    desk.wallet("images only", priority=2, codes=["images"])
    desk.grant("shared grant", 10, wallet="shared")
    desk.grant("image grant", 10, wallet="images only")
    hold = desk.authorize({"calls": 10, "tokens": 10, "images": 4}, partial=True)
    held = {item.code: item.amount_minor for item in desk.rows.holds[hold].items}
    assert held == {"calls": 10, "tokens": 0, "images": 4}


# -- amounts at the edges -----------------------------------------------------------------------


def test_an_amount_of_nothing_holds_and_charges_nothing(desk: Desk):
    desk.wallet()
    desk.grant("paid", 10)
    hold = desk.authorize(0)
    assert not desk.rows.holds[hold].legs
    desk.capture(hold, 0)
    desk.debit(0)
    assert desk.show() == "paid 10"


def test_a_balance_may_be_exactly_as_large_as_can_be_counted(desk: Desk):
    desk.wallet()
    desk.grant("all", MAX_MINOR)
    error = desk.refusal(MoveCredits(desk.ids["main"], USD, (Funding("paid", 1, Decimal(1), 25),)))
    assert isinstance(error, Invalid)
    assert str(MAX_MINOR) in error.message
    hold = desk.authorize(MAX_MINOR)
    assert desk.show() == f"all 0 held {MAX_MINOR}"
    desk.void(hold)
    assert desk.show() == f"all {MAX_MINOR}"


def test_overage_beyond_what_can_be_counted_is_refused_by_name(desk: Desk):
    desk.wallet()
    desk.debit(MAX_MINOR)
    error = desk.refusal(desk.debit_command(1))
    assert isinstance(error, Invalid)
    assert error.code == "value_is_out_of_range"


def test_captures_beyond_what_can_be_counted_are_refused_by_name(desk: Desk):
    desk.wallet()
    desk.grant("paid", 10)
    hold = desk.authorize(10)
    desk.capture(hold, 10, final=False, transaction_id="first")
    error = desk.refusal(Capture(hold, "second", USD, items_of(MAX_MINOR), True))
    assert isinstance(error, Invalid)
    assert error.code == "value_is_out_of_range"


def test_native_units_are_issued_and_used_in_a_ledger_of_their_own(desk: Desk):
    desk.wallet("tokens", asset=TOKEN)
    desk.grant("pack", 1_000, wallet="tokens", asset=TOKEN)
    desk.authorize(400, asset=TOKEN)
    assert desk.show() == "pack 600 held 400"
    assert desk.house(AccountCode.ISSUED, "TOKEN", asset=TOKEN) == 1_000
    assert isinstance(desk.refusal(authorize(1)), NoEligibleWallet)


def test_one_customers_operations_touch_no_other(desk: Desk):
    desk.wallet()
    desk.wallet("theirs", customer="globex")
    desk.grant("ours", 10)
    desk.grant("their grant", 10, wallet="theirs", customer="globex")
    desk.debit(5)
    assert desk.show("globex") == "their grant 10"
    stranger = UUID(int=99)
    assert desk.refusal(Capture(stranger, "k", USD, None, True)).code == "authorization_not_found"
