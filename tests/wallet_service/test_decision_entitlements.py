"""Entitlements are part of the decision: after the key, before the money, and never for usage."""

from typing import Any

import pytest
from msgspec import structs

from invoicing.access import Access, Gate, Limit
from tests.wallet_service.desk import USD, Desk
from wallet_service.decision import Done, Refused, Replayed
from wallet_service.decision.commands import Authorize, Extend, Item
from wallet_service.errors import (
    EntitlementLimitExceeded,
    InsufficientFunds,
    Invalid,
    KeyReused,
    NoEligibleWallet,
    NotEntitled,
    WalletError,
)

LIMIT = Limit("max_per_call", "tokens", 100)
OPEN = Access({"gpt": True}, {"input": [Gate("gpt", True, (LIMIT,))]})
CLOSED = Access({"gpt": False}, {"input": [Gate("gpt", False)]})


@pytest.fixture
def desk() -> Desk:
    """A customer with 100 in one grant."""
    desk = Desk()
    desk.wallet()
    desk.grant("paid", 100)
    return desk


def hold(
    access: Access | None, *, amount: int = 30, features: tuple[str, ...] = (), **properties: Any
) -> Authorize:
    items = (Item("input", properties, amount_minor=amount),)
    return Authorize("acme", "call", USD, items, 600, features=features, access=access)


def test_what_a_subscription_lacks_is_refused_by_its_name(desk: Desk) -> None:
    refusal = desk.refusal(hold(CLOSED))
    assert isinstance(refusal, NotEntitled)
    assert refusal.details == {"feature_code": "gpt", "billable_metric_code": "input"}
    desk.do(hold(OPEN, tokens=100))


def test_a_limit_names_privilege_limit_and_what_was_given(desk: Desk) -> None:
    refusal = desk.refusal(hold(OPEN, tokens="100.5"))
    assert isinstance(refusal, EntitlementLimitExceeded)
    assert refusal.details == {
        "feature_code": "gpt",
        "billable_metric_code": "input",
        "privilege_code": "max_per_call",
        "property": "tokens",
        "limit": "100",
        "given": "100.5",
    }


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (hold(CLOSED, amount=1_000), NotEntitled),
        (hold(OPEN, amount=1_000, tokens=101), EntitlementLimitExceeded),
        (hold(OPEN, amount=1_000), InsufficientFunds),
        (hold(OPEN, tokens="many"), Invalid),
    ],
)
def test_who_may_not_use_it_is_not_told_about_money(
    desk: Desk, command: Authorize, kind: type[WalletError]
) -> None:
    assert type(desk.refusal(command)) is kind


def test_who_has_no_wallet_is_told_first_that_it_may_not(desk: Desk) -> None:
    elsewhere = Desk()
    assert type(elsewhere.refusal(hold(CLOSED))) is NotEntitled
    assert type(elsewhere.refusal(hold(OPEN))) is NoEligibleWallet


def test_a_known_key_is_answered_as_the_first_time_whatever_was_taken_away(desk: Desk) -> None:
    first = desk.operation(hold(OPEN), key="call-1", body="the same")
    later = structs.replace(first, command=hold(CLOSED))
    done, again = desk.judge(first, later)
    assert isinstance(done, Done)
    assert again == Replayed(done.reply)


def test_a_refused_key_is_judged_anew_and_stays_bound_to_its_body(desk: Desk) -> None:
    refused = desk.operation(hold(CLOSED), key="call-1", body="the same")
    assert isinstance(desk.judge(refused)[0], Refused)
    other = desk.operation(hold(OPEN), key="call-1", body="another")
    (outcome,) = desk.judge(other)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, KeyReused)
    assert isinstance(desk.judge(structs.replace(refused, command=hold(OPEN)))[0], Done)


def test_features_may_be_asked_for_by_name(desk: Desk) -> None:
    desk.do(hold(OPEN, features=("gpt",)))
    refusal = desk.refusal(hold(structs.replace(CLOSED, gates={}), features=("gpt",)))
    assert isinstance(refusal, NotEntitled)
    assert refusal.details == {"feature_code": "gpt"}
    for access in (OPEN, None):
        refusal = desk.refusal(hold(access, features=("gpt", "cloud")))
        assert isinstance(refusal, Invalid)
        known = access is OPEN
        assert (refusal.field, refusal.code) == (f"features.{int(known)}", "feature_not_found")


def test_an_extension_is_refused_too_and_leaves_the_hold(desk: Desk) -> None:
    held = desk.authorize(10)
    more = (Item("input", {}, amount_minor=5),)
    refusal = desk.refusal(Extend(held, USD, more, None, access=CLOSED))
    assert isinstance(refusal, NotEntitled)
    assert desk.show() == "paid 90 held 10"
    desk.do(Extend(held, USD, (), 900, access=CLOSED))
    desk.do(Extend(held, USD, more, None, access=OPEN))
    assert desk.show() == "paid 85 held 15"


def test_several_limits_of_a_feature_are_all_asked(desk: Desk) -> None:
    limits = (LIMIT, Limit("max_seconds", "seconds", 5))
    access = Access({"gpt": True}, {"input": [Gate("gpt", True, limits)]})
    refusal = desk.refusal(hold(access, tokens=100, seconds=6))
    assert refusal.details["privilege_code"] == "max_seconds"
