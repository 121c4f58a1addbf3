"""Keys: one effect, one reply; and what an engine outside Postgres must wait for."""

import pytest

from tests.wallet_service.desk import NOON, USD, Desk, customer_id, items_of
from wallet_service.decision import Done, LockedState, Refused, Replayed, Waits, decide
from wallet_service.decision.commands import Authorize, Capture, CreateWallet, Reverse, Settle, Void
from wallet_service.decision.state import KnownOperation
from wallet_service.errors import InsufficientFunds, KeyReused

HOLD = Authorize("acme", "call", USD, items_of(30), 600)
ANOTHER = Authorize("acme", "call", USD, items_of(31), 600)


@pytest.fixture
def desk() -> Desk:
    """A customer with 100 in one grant."""
    desk = Desk()
    desk.wallet()
    desk.grant("paid", 100)
    return desk


def test_a_repeat_gets_the_first_reply_and_moves_nothing(desk: Desk):
    (first,) = desk.judge(desk.operation(HOLD, key="call-1"))
    assert isinstance(first, Done)
    desk.pass_time(3_600)
    (again,) = desk.judge(desk.operation(HOLD, key="call-1"))
    assert again == Replayed(first.reply)
    assert desk.show() == "paid 70 held 30"


def test_a_key_with_another_body_is_refused(desk: Desk):
    desk.judge(desk.operation(HOLD, key="call-1"))
    assert isinstance(desk.refusal(ANOTHER, key="call-1"), KeyReused)
    assert desk.show() == "paid 70 held 30"


def test_a_key_of_another_customer_is_refused(desk: Desk):
    desk.wallet(customer="globex")
    desk.judge(desk.operation(HOLD, key="call-1"))
    assert isinstance(desk.refusal(HOLD, key="call-1", customer="globex"), KeyReused)


def test_the_same_key_twice_in_one_batch_is_one_effect(desk: Desk):
    one, two, other = (desk.operation(body, key="call-1") for body in (HOLD, HOLD, ANOTHER))
    first, second, third = desk.judge(one, two, other)
    assert isinstance(first, Done)
    assert second == Replayed(first.reply)
    assert isinstance(third, Refused)
    assert isinstance(third.error, KeyReused)
    assert desk.show() == "paid 70 held 30"


def test_a_refused_key_is_judged_anew_with_new_transfer_ids(desk: Desk):
    desk.debit(80)
    refused, again = desk.judge(
        desk.operation(HOLD, key="call-1"), desk.operation(HOLD, key="call-1")
    )
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, InsufficientFunds)
    assert (refused.attempt, again.attempt) == (1, 2)
    desk.grant("more", 100)
    (third,) = desk.judge(desk.operation(HOLD, key="call-1"))
    assert isinstance(third, Done)
    assert third.attempt == 3
    assert third.operation_id == refused.operation_id
    assert isinstance(desk.refusal(ANOTHER, key="call-1"), KeyReused)


def test_a_refused_key_stays_bound_to_its_body(desk: Desk):
    desk.debit(80)
    desk.refusal(HOLD, key="call-1")
    assert isinstance(desk.refusal(ANOTHER, key="call-1"), KeyReused)


def test_a_final_capture_repeats_by_the_holds_id(desk: Desk):
    hold = desk.authorize(30)
    first = desk.capture(hold, 10)
    assert desk.capture(hold, 10) == first
    command = Capture(hold, None, USD, items_of(11), True)
    assert desk.refusal(command, key=str(hold)).code == "already_captured"


def test_later_operations_of_a_batch_see_what_earlier_ones_did(desk: Desk):
    outcomes = desk.judge(*(desk.operation(HOLD) for _ in range(5)))
    assert [type(outcome) for outcome in outcomes] == [Done, Done, Done, Refused, Refused]
    assert desk.show() == "paid 10 held 90"


# -- an engine outside Postgres -----------------------------------------------------------------


def test_what_is_under_way_is_waited_for(desk: Desk):
    desk.is_atomic = False
    first, second = desk.judge(*(desk.operation(HOLD, key="call-1") for _ in range(2)))
    assert isinstance(first, Done)
    assert isinstance(second, Waits)
    (later,) = desk.judge(desk.operation(HOLD, key="call-1"))
    assert later == Replayed(first.reply)


def test_a_hold_has_one_open_operation_at_a_time(desk: Desk):
    hold = desk.authorize(30)
    desk.is_atomic = False
    capture = Capture(hold, "first", USD, items_of(5), False)
    outcomes = desk.judge(desk.operation(capture), desk.operation(Void(hold, USD)))
    assert [type(outcome) for outcome in outcomes] == [Done, Waits]
    assert desk.show() == "paid 70 held 25"


def test_an_event_is_not_reversed_twice_at_a_time(desk: Desk):
    event = desk.debit(10)
    desk.is_atomic = False
    reverse = Reverse(event, "reversal", USD, None)
    outcomes = desk.judge(desk.operation(reverse, key="one"), desk.operation(reverse, key="two"))
    assert [type(outcome) for outcome in outcomes] == [Done, Waits]
    assert desk.refusal(reverse, key="two").code == "nothing_to_reverse"
    assert desk.show() == "paid 100"


def test_a_customers_wallets_change_one_at_a_time(desk: Desk):
    bought = desk.purchase(50)
    desk.is_atomic = False
    settle = desk.operation(Settle(bought, USD, "manual"))
    outcomes = desk.judge(settle, desk.operation(Settle(bought, USD, "manual")))
    assert [type(outcome) for outcome in outcomes] == [Done, Waits]
    assert desk.show() == "paid 100 | paid 50"


def test_any_number_of_authorizations_may_be_open(desk: Desk):
    desk.is_atomic = False
    outcomes = desk.judge(*(desk.operation(HOLD) for _ in range(4)))
    assert [type(outcome) for outcome in outcomes] == [Done, Done, Done, Refused]


def test_nothing_is_charged_while_a_grants_balance_is_unknown(desk: Desk):
    state = desk.state()
    for customer in state.customers.values():
        customer.grants[0].is_known = False
        customer.grants[0].available = 0
    operations = [desk.operation(desk.debit_command(10)), desk.operation(HOLD)]
    outcomes = decide(operations, state, is_atomic=False)
    assert [type(outcome) for outcome in outcomes] == [Waits, Waits]


def test_an_open_key_from_before_is_waited_for():
    desk = Desk()
    operation = desk.operation(HOLD, key="call-1")
    known = KnownOperation(
        operation.id, customer_id("acme"), None, operation.body_hash, "open", 1, None
    )
    state = LockedState(NOON, {}, {(operation.organization_id, operation.kind, "call-1"): known})
    assert [type(one) for one in decide([operation], state, is_atomic=False)] == [Waits]


def test_a_wallet_code_is_taken_once():
    desk = Desk()
    desk.wallet()
    wallet = next(iter(desk.rows.wallets.values()))[1]
    again = CreateWallet(
        wallet.id,
        "acme",
        USD,
        "main",
        None,
        wallet.rate_amount,
        1,
        (),
        (),
        "overage",
        0,
        None,
        {},
        (),
    )
    assert desk.refusal(again).code == "value_already_exist"
