"""What is shown of a customer says the same as what was decided."""

from uuid import UUID

from ledger.money import MAX_MINOR
from tests.wallet_service.desk import ORGANIZATION, Desk, customer_id
from wallet_service.decision import CustomerState
from wallet_service.hot_document import decode_document, encode_document

ACME = customer_id("acme")


def shown(state: CustomerState) -> CustomerState:
    return decode_document(encode_document(state), ORGANIZATION, ACME, version=state.version)


def state_of(desk: Desk) -> CustomerState:
    return desk.state().customers[ORGANIZATION, ACME]


def test_wallets_grants_and_overage_come_back_in_burn_order():
    desk = Desk()
    desk.wallet("first", priority=1, codes=["calls", "images"], overdraft=5)
    desk.wallet("second", priority=2, expires_in_s=3_600, on_shortfall="reject")
    desk.grant("late", 30, wallet="second", expires_in_s=600)
    desk.grant("early", 20, wallet="first", kind="promotional", priority=3)
    desk.authorize({"calls": 10})
    desk.debit({"calls": 100})
    state = state_of(desk)
    again = shown(state)
    assert list(again.wallets.values()) == list(state.wallets.values())
    assert again.overage == state.overage
    assert [
        (grant.id, grant.kind, grant.priority, grant.expires_at, grant.available, grant.held)
        for grant in again.grants
    ] == [
        (grant.id, grant.kind, grant.priority, grant.expires_at, grant.available, grant.held)
        for grant in state.grants
    ]
    for code in ("calls", "tokens"):
        available = [one.available("USD", [code], now=desk.now) for one in (state, again)]
        assert available[0] == available[1]


def test_amounts_are_exact_to_the_last_unit():
    desk = Desk()
    desk.wallet()
    desk.grant("all", MAX_MINOR)
    desk.authorize(MAX_MINOR - 1)
    (grant,) = shown(state_of(desk)).grants
    assert (grant.available, grant.held, grant.amount_minor) == (1, MAX_MINOR - 1, MAX_MINOR)


def test_a_grant_of_an_ended_wallet_keeps_its_wallet():
    desk = Desk()
    desk.wallet()
    desk.grant("paid", 10)
    desk.authorize(10)
    desk.change(status="terminated")
    again = shown(state_of(desk))
    assert [grant.wallet.status for grant in again.grants] == ["terminated"]
    assert again.grants[0].wallet is again.wallets[desk.ids["main"]]


def test_a_customer_without_anything_is_shown_with_nothing():
    empty = CustomerState(ORGANIZATION, UUID(int=5), 3)
    again = decode_document(encode_document(empty), ORGANIZATION, UUID(int=5), version=3)
    assert again == empty
