"""What each call sends, and how its answer is read."""

import inspect
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, Field

import wallet_service.client
from tests.wallet_service.client.conftest import NewWallet
from tests.wallet_service.client.conversation import AUTHORIZATION, HOLD_PATH, authorization
from wallet_service.client import (
    AsyncWallet,
    Event,
    Hold,
    Item,
    ProviderUsage,
    UnexpectedReply,
    Wallet,
)
from wallet_service.client.inputs import amount_text

ITEM = Item("llm_input_tokens", model="gpt-4o", tokens=374)


def test_an_authorization_asks_with_items_and_a_key_of_its_own(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    hold = wallet.authorize(customer="acme", items=[ITEM], expires_in=60)
    assert service.paths == ["POST /api/v1/authorizations"]
    body = service.body()["authorization"]
    assert len(body.pop("transaction_id")) == 32
    assert body == {
        "external_customer_id": "acme",
        "expires_in": 60,
        "items": [{"code": "llm_input_tokens", "properties": {"model": "gpt-4o", "tokens": 374}}],
    }
    assert service.requests[0].headers["authorization"] == "Bearer key"
    assert hold.id == AUTHORIZATION["id"]
    assert hold.authorization.amount == Decimal("0.005935")
    assert hold.authorization.available == Decimal("9.994065")
    assert hold.authorization.expires_at == datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
    assert hold.authorization.grants[0].amount == Decimal("0.005935")


def test_an_amount_is_sent_digit_by_digit(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    wallet.authorize(customer="acme", amount=Decimal("1E-9"), asset="USD", transaction_id="call-1")
    assert service.body() == {
        "authorization": {
            "external_customer_id": "acme",
            "amount": "0.000000001",
            "asset_code": "USD",
            "transaction_id": "call-1",
        }
    }


@pytest.mark.parametrize("inexact", [0.1, True])
def test_an_amount_that_is_not_exact_is_refused(inexact: object) -> None:
    with pytest.raises(TypeError, match="an amount is a Decimal"):
        amount_text(inexact)  # pyright: ignore[reportArgumentType]


def test_an_amount_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not an amount"):
        amount_text(Decimal("NaN"))


def test_decimal_properties_keep_every_digit(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    wallet.authorize(
        customer="acme", items=[Item("gpu", hours=Decimal("0.00000001"), model="h100")]
    )
    properties = service.body()["authorization"]["items"][0]["properties"]
    assert properties == {"hours": "0.00000001", "model": "h100"}


class Counted(BaseModel):
    prompt_tokens: int
    cached: int | None = Field(default=None, serialization_alias="cachedTokens")
    written: int | None = None


class Response(BaseModel):
    """What a provider's own package returns."""

    model: str
    created: datetime
    usage: Counted


def test_what_a_provider_reports_is_sent_in_its_own_words(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    sent = {"prompt_tokens": 374, "completion_tokens": 44}
    usage = ProviderUsage(
        "openai", sent, model="gpt-4o", service_tier="batch", properties={"end_user": "u-1"}
    )
    told = {
        "provider": "openai",
        "usage": sent,
        "model": "gpt-4o",
        "service_tier": "batch",
        "properties": {"end_user": "u-1"},
    }
    wallet.capture("x", usage=usage)
    assert service.body() == {"capture": {"final": True} | told}
    wallet.extend("x", usage=usage, transaction_id="more")
    assert service.body() == {"extend": {"transaction_id": "more"} | told}
    wallet.authorize(customer="acme", usage=usage, transaction_id="call-1")
    asked = {"external_customer_id": "acme", "transaction_id": "call-1"}
    assert service.body() == {"authorization": asked | told}


def test_a_response_object_is_sent_as_the_provider_wrote_it(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    counted = Counted(prompt_tokens=374, cached=10)
    response = Response(model="gpt-4o", created=datetime(2026, 3, 10, tzinfo=UTC), usage=counted)
    wallet.capture("x", usage=ProviderUsage("openai", response))
    assert service.body()["capture"] == {
        "final": True,
        "provider": "openai",
        "usage": {
            "model": "gpt-4o",
            "created": "2026-03-10T00:00:00Z",
            "usage": {"prompt_tokens": 374, "cachedTokens": 10},
        },
    }


def test_features_are_asked_for_beside_what_is_used(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    wallet.authorize(customer="acme", amount=1, asset="USD", features=["exports", "sso"])
    assert service.body()["authorization"]["features"] == ["exports", "sso"]


def test_a_final_capture_repeats_by_the_hold_and_another_by_its_key(hear: NewWallet) -> None:
    wallet, service = hear(authorization(status="captured"))
    wallet.capture("a/b", items=[ITEM])
    wallet.capture("a/b", amount="12.5", final=False)
    assert service.paths == ["POST /api/v1/authorizations/a%2Fb/capture"] * 2
    assert "transaction_id" not in service.body(0)["capture"]
    assert service.body(0)["capture"]["final"] is True
    assert service.body(1)["capture"]["transaction_id"]
    assert service.body(1)["capture"]["final"] is False
    assert service.body(1)["capture"]["amount"] == "12.5"


def test_a_capture_says_what_it_charged(hear: NewWallet) -> None:
    debits = [
        {
            "asset_code": "USD",
            "amount": "0.0021",
            "overage": "0.0004",
            "grants": [{"id": "g", "amount": "0.0021"}],
        }
    ]
    wallet, _ = hear(authorization(status="captured", captured_amount="0.0025", debits=debits))
    captured = wallet.capture("x", items=[ITEM])
    assert captured.debits[0].amount == Decimal("0.0021")
    assert captured.debits[0].overage == Decimal("0.0004")


def test_extend_void_and_refund_name_the_hold(hear: NewWallet) -> None:
    wallet, service = hear(authorization())
    wallet.extend(AUTHORIZATION["id"], expires_in=90, transaction_id="longer")
    wallet.void(AUTHORIZATION["id"])
    wallet.refund(AUTHORIZATION["id"], amount=1, transaction_id="sorry")
    wallet.authorization(AUTHORIZATION["id"])
    assert service.paths == [
        f"POST {HOLD_PATH}/extend",
        f"POST {HOLD_PATH}/void",
        f"POST {HOLD_PATH}/refund",
        f"GET {HOLD_PATH}",
    ]
    assert service.body(0) == {"extend": {"expires_in": 90, "transaction_id": "longer"}}
    assert service.requests[1].content == b""
    assert service.body(2) == {"refund": {"amount": "1", "transaction_id": "sorry"}}


@pytest.mark.parametrize("call", ["estimate", "check"])
def test_a_price_is_asked_without_a_hold(hear: NewWallet, call: str) -> None:
    answer = {
        "amount": "0.5",
        "asset_code": "USD",
        "available": "0.25",
        "sufficient": False,
        "items": [{"code": "llm_input_tokens", "amount": "0.5"}],
    }
    wallet, service = hear(httpx.Response(200, json={"estimate": answer}))
    ask = getattr(wallet, call)
    estimate = ask(customer="acme", items=[ITEM], subscription="acme-pro", features=["sso"])
    assert service.paths == [f"POST /api/v1/authorizations/{call}"]
    assert service.body()["authorization"]["external_subscription_id"] == "acme-pro"
    assert service.body()["authorization"]["features"] == ["sso"]
    ask(customer="acme", usage=ProviderUsage("openai", {"prompt_tokens": 1}, model="gpt-4o"))
    assert service.body()["authorization"]["usage"] == {"prompt_tokens": 1}
    assert (estimate.amount, estimate.sufficient) == (Decimal("0.5"), False)


EVENT = {
    "lago_id": "0198c2a0-0000-7000-8000-000000000002",
    "transaction_id": "t1",
    "code": "llm_output_tokens",
    "timestamp": "2026-03-10T12:00:00.000Z",
    "rating_status": "rated",
    "properties": {"tokens": 44},
    "external_subscription_id": "acme",
    "debits": [{"asset_code": "USD", "amount": "0.00044", "overage": "0", "grants": []}],
}


def test_an_event_is_charged_under_the_key_it_was_made_with(hear: NewWallet) -> None:
    wallet, service = hear(httpx.Response(200, json={"event": EVENT}))
    event = Event(
        code="llm_output_tokens",
        customer="acme",
        properties={"tokens": 44},
        timestamp=datetime(2026, 3, 10, 12, tzinfo=UTC),
    )
    debited = wallet.debit(event)
    wallet.debit(event)
    assert service.body(0) == service.body(1)
    body = service.body()["event"]
    assert body.pop("transaction_id") == event.transaction_id
    assert body == {
        "code": "llm_output_tokens",
        "external_customer_id": "acme",
        "properties": {"tokens": 44},
        "timestamp": "1773144000.000",
    }
    assert debited.debits[0].amount == Decimal("0.00044")


def test_events_go_in_one_batch_and_come_back_in_order(hear: NewWallet) -> None:
    answer = {"events": [EVENT, {**EVENT, "transaction_id": "t2"}]}
    wallet, service = hear(httpx.Response(200, json=answer))
    events = [Event(code="x", transaction_id="t1"), Event(code="x", transaction_id="t2")]
    assert [event.transaction_id for event in wallet.debit_many(events)] == ["t1", "t2"]
    assert service.paths == ["POST /api/v1/events/batch"]
    assert [event["transaction_id"] for event in service.body()["events"]] == ["t1", "t2"]


def test_an_event_that_its_wallet_refuses_is_told_among_the_others(hear: NewWallet) -> None:
    rejected = {
        "transaction_id": "t2",
        "code": "llm_output_tokens",
        "status": "rejected",
        "error_code": "insufficient_funds",
        "error_details": {"needed": "1", "available": "0", "asset_code": "USD"},
    }
    wallet, _ = hear(httpx.Response(200, json={"events": [EVENT, rejected]}))
    charged, refused = wallet.debit_many([Event(code="x"), Event(code="x")])
    assert (charged.rating_status, refused.rating_status) == ("rated", "rejected")
    assert refused.error_code == "insufficient_funds"
    assert refused.debits == ()


def test_an_event_is_reversed_by_its_key(hear: NewWallet) -> None:
    wallet, service = hear(httpx.Response(200, json={"event": EVENT}))
    wallet.reverse("t 1", amount="0.1", transaction_id="undo-t1")
    assert service.paths == ["POST /api/v1/events/t%201/reverse"]
    assert service.body() == {"reverse": {"amount": "0.1", "transaction_id": "undo-t1"}}


def test_a_wallet_is_opened_under_a_key(hear: NewWallet) -> None:
    answer = {
        "lago_id": "w",
        "external_customer_id": "acme",
        "status": "active",
        "asset_code": "USD",
        "rate_amount": "1.0",
        "credits_balance": "10.0",
        "balance": "10",
        "held": "0",
        "available": "10",
    }
    wallet, service = hear(httpx.Response(200, json={"wallet": answer}))
    opened = wallet.create_wallet(
        customer="acme", asset="USD", granted_credits=10, priority=2, transaction_id="first"
    )
    assert service.body() == {
        "wallet": {
            "external_customer_id": "acme",
            "asset_code": "USD",
            "rate_amount": "1",
            "granted_credits": "10",
            "priority": 2,
            "transaction_id": "first",
        }
    }
    assert opened.credits_balance == Decimal("10.0")


@pytest.mark.parametrize(
    ("call", "field"), [("top_up", "paid_credits"), ("grant", "granted_credits")]
)
def test_credits_are_bought_or_given_under_a_key(hear: NewWallet, call: str, field: str) -> None:
    movement = {
        "lago_id": "wt",
        "lago_wallet_id": "w",
        "status": "pending",
        "transaction_status": "purchased",
        "transaction_type": "inbound",
        "amount": "25.0",
        "credit_amount": "25.0",
        "created_at": "2026-03-10T12:00:00Z",
    }
    wallet, service = hear(httpx.Response(200, json={"wallet_transactions": [movement]}))
    (found,) = getattr(wallet, call)("w", "25", transaction_id="once")
    getattr(wallet, call)("w", "25")
    assert service.paths == ["POST /api/v1/wallet_transactions"] * 2
    assert service.body(0) == {
        "wallet_transaction": {"wallet_id": "w", field: "25", "transaction_id": "once"}
    }
    assert len(service.body(1)["wallet_transaction"]["transaction_id"]) == 32
    assert found.amount == Decimal(25)


def test_balances_are_read_hot_or_from_the_ledger(hear: NewWallet) -> None:
    balance: dict[str, Any] = {
        "asset_code": "USD",
        "available": "9.99",
        "held": "0.01",
        "overage": "0",
    }
    balance["grants"] = [{"id": "g", "kind": "paid", "available": "9.99", "held": "0.01"}]
    wallet, service = hear(httpx.Response(200, json={"balances": [balance]}))
    assert wallet.balances("acme")[0].held == Decimal("0.01")
    wallet.balances("acme corp", source="ledger")
    assert service.paths == [
        "GET /api/v1/customers/acme/balances",
        "GET /api/v1/customers/acme%20corp/balances?source=ledger",
    ]


def test_pages_are_read_as_they_are_wanted(hear: NewWallet) -> None:
    def page(name: str, next_page: int | None) -> httpx.Response:
        found = [{**AUTHORIZATION, "transaction_id": name}]
        return httpx.Response(200, json={"authorizations": found, "meta": {"next_page": next_page}})

    wallet, service = hear(page("newer", 2), page("older", None))
    found = wallet.authorizations(customer="acme")
    assert next(found).transaction_id == "newer"
    assert len(service.requests) == 1
    assert [authorization.transaction_id for authorization in found] == ["older"]
    assert "page=2" in service.paths[1]


def test_an_answer_that_cannot_be_read_names_the_call(hear: NewWallet) -> None:
    wallet, _ = hear(httpx.Response(200, text="<html>"))
    with pytest.raises(UnexpectedReply, match="GET /customers/acme/balances"):
        wallet.balances("acme")


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WALLET_URL", raising=False)
    monkeypatch.setenv("WALLET_API_KEY", "key")
    with pytest.raises(ValueError, match="WALLET_URL"):
        Wallet()
    monkeypatch.setenv("WALLET_URL", "http://wallet:8080")
    monkeypatch.delenv("WALLET_API_KEY")
    with pytest.raises(ValueError, match="WALLET_API_KEY"):
        Wallet()
    monkeypatch.setenv("WALLET_API_KEY", "key")
    Wallet().close()


def test_both_clients_can_do_the_same() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Wallet) == public(AsyncWallet)
    assert public(wallet_service.client.Hold) == public(wallet_service.client.AsyncHold)


def test_a_method_shows_what_it_takes() -> None:
    assert [*inspect.signature(Wallet.void).parameters] == ["self", "authorization_id"]
    assert [*inspect.signature(Hold.refund).parameters] == ["self", "amount", "transaction_id"]
    assert Hold.refund.__doc__ == Wallet.refund.__doc__


def test_the_package_offers_what_it_names() -> None:
    for name in wallet_service.client.__all__:
        assert hasattr(wallet_service.client, name)
    assert list(wallet_service.client.__all__) == sorted(wallet_service.client.__all__)
