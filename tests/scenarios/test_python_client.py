"""The Python client against a real service, and the page that explains it."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import Service
from wallet_service.client import (
    AsyncWallet,
    Event,
    Item,
    NotAllowed,
    NotFound,
    PaymentRequired,
    ProviderUsage,
    Unauthorized,
    ValidationFailed,
    Wallet,
)

PAGE = Path(__file__).parents[2] / "docs/how-to/python-client.md"
ITEM = Item("llm_output_tokens", model="gpt-4o", tokens=1000)  # 0.01 USD
LONG = Item("llm_output_tokens", model="gpt-4o", tokens=5000)  # 0.05 USD


@pytest.fixture
def client(service: Service, priced_key: str) -> Iterator[Wallet]:
    with Wallet(url=service.url, api_key=priced_key) as client:
        yield client


def open_account(client: Wallet, customer: str, *, granted: str = "1") -> None:
    client.create_customer(customer, name=customer, currency="USD")
    client.create_wallet(customer=customer, asset="USD", granted_credits=granted)


def funds(client: Wallet, customer: str) -> tuple[Decimal, Decimal]:
    """What is available and what is held."""
    (balance,) = client.balances(customer)
    return balance.available, balance.held


def test_the_page_runs_from_top_to_bottom(
    service: Service,
    priced_key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WALLET_URL", service.url)
    monkeypatch.setenv("WALLET_API_KEY", priced_key)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)
    said = capsys.readouterr().out
    assert "0.001375 USD spent, 9.998625 left" in said
    assert "0.001215 for" in said
    assert "insufficient_funds needed 75 available 9.99741" in said
    assert "USD 39.99741 free, 0 held" in said
    found = names["client"]
    assert isinstance(found, Wallet)
    assert funds(found, "acme") == (Decimal("39.99541"), 0)
    found.close()


def test_the_same_key_holds_once(client: Wallet) -> None:
    open_account(client, "once")
    holds = [
        client.authorize(customer="once", items=[ITEM], transaction_id="call-1") for _ in range(2)
    ]
    assert holds[0].id == holds[1].id
    assert funds(client, "once") == (Decimal("0.99"), Decimal("0.01"))
    with pytest.raises(ValidationFailed) as failed:
        client.authorize(customer="once", amount=1, asset="USD", transaction_id="call-1")
    assert failed.value.error_details == {"transaction_id": ["value_already_exist"]}


def test_a_hold_lives_through_parts_and_extensions(client: Wallet) -> None:
    open_account(client, "parts")
    with client.authorize(customer="parts", items=[ITEM], expires_in=60) as hold:
        hold.capture(items=[Item("llm_output_tokens", model="gpt-4o", tokens=400)], final=False)
        assert hold.authorization.captured_amount == Decimal("0.004")
        hold.extend(items=[ITEM], expires_in=120)
        assert hold.authorization.amount == Decimal("0.02")
    assert hold.authorization.status == "voided"
    assert funds(client, "parts") == (Decimal("0.996"), 0)
    hold.refund(amount="0.001")
    assert funds(client, "parts") == (Decimal("0.997"), 0)
    assert client.authorization(hold.id).refunded_amount == Decimal("0.001")


def test_a_final_capture_may_be_repeated_but_an_ended_hold_stays_ended(client: Wallet) -> None:
    open_account(client, "ended")
    hold = client.authorize(customer="ended", items=[ITEM])
    first, again = hold.capture(items=[ITEM]), hold.capture(items=[ITEM])
    assert first == again
    assert first.debits[0].amount == Decimal("0.01")
    with pytest.raises(NotAllowed) as refused:
        hold.void()
    assert refused.value.code == "already_captured"


def test_a_price_can_be_asked(client: Wallet) -> None:
    open_account(client, "curious", granted="0.02")
    for ask in (client.estimate, client.check):
        answer = ask(customer="curious", items=[LONG])
        assert answer.amount == Decimal("0.05")
        assert answer.available == Decimal("0.02")
        assert not answer.sufficient
        assert answer.code == "insufficient_funds"


def test_a_call_is_priced_held_and_settled_by_what_the_provider_says(client: Wallet) -> None:
    open_account(client, "reported")
    most = ProviderUsage("openai", {"prompt_tokens": 400, "completion_tokens": 500}, model="gpt-4o")
    for ask in (client.estimate, client.check):
        assert ask(customer="reported", usage=most).amount == Decimal("0.006")
    response = {
        "model": "claude-sonnet-4-5",
        "usage": {"input_tokens": 100, "cache_read_input_tokens": 1000, "output_tokens": 10},
    }
    with client.authorize(customer="reported", usage=most) as hold:
        assert hold.authorization.amount == Decimal("0.006")
        hold.extend(usage=most)
        assert hold.authorization.amount == Decimal("0.012")
        # 100 at 0.000003, 1000 at 0.0000003, 10 at 0.000015
        captured = hold.capture(usage=ProviderUsage("anthropic", response))
    assert captured.captured_amount == Decimal("0.00075")
    assert funds(client, "reported") == (Decimal("0.99925"), 0)
    with pytest.raises(ValidationFailed) as failed:
        client.estimate(customer="reported", usage=ProviderUsage("nobody", response))
    assert set(failed.value.error_details) == {"provider"}


def test_a_feature_that_is_not_had_is_named(
    client: Wallet, service: Service, priced_key: str
) -> None:
    made = httpx.post(
        f"{service.url}/api/v1/features",
        json={"feature": {"code": "exports", "name": "Exports"}},
        headers={"Authorization": f"Bearer {priced_key}"},
        timeout=60,
    )
    assert made.status_code == 200, made.text
    open_account(client, "featureless")
    with pytest.raises(PaymentRequired) as refused:
        client.authorize(customer="featureless", items=[ITEM], features=["exports"])
    assert refused.value.code == "not_entitled"
    assert refused.value.error_details["feature_code"] == "exports"
    for ask in (client.estimate, client.check):
        answer = ask(customer="featureless", items=[ITEM], features=["exports"])
        assert (answer.sufficient, answer.code) == (False, "not_entitled")


def test_a_hold_may_take_what_there_is(client: Wallet) -> None:
    open_account(client, "partial", granted="0.02")
    with client.authorize(customer="partial", items=[LONG], partial=True) as hold:
        assert hold.authorization.amount == Decimal("0.02")


def test_events_are_charged_once_and_reversed(client: Wallet) -> None:
    open_account(client, "events")
    events = [
        Event(code=ITEM.code, properties=ITEM.properties, customer="events") for _ in range(3)
    ]
    assert [event.rating_status for event in client.debit_many(events)] == ["rated"] * 3
    client.debit(events[0])
    assert funds(client, "events") == (Decimal("0.97"), 0)
    client.reverse(events[0].transaction_id, amount="0.004")
    assert funds(client, "events") == (Decimal("0.974"), 0)


def test_credits_are_granted_bought_and_settled(client: Wallet) -> None:
    client.create_customer("saver", currency="USD")
    wallet = client.create_wallet(customer="saver", asset="USD", rate_amount="2", priority=1)
    assert (wallet.asset_code, wallet.balance, wallet.priority) == ("USD", 0, 1)
    (granted,) = client.grant(wallet.lago_id, "1.5", transaction_id="gift")
    assert (granted.status, granted.amount) == ("settled", Decimal(3))
    assert client.grant(wallet.lago_id, "1.5", transaction_id="gift")[0] == granted
    (bought,) = client.top_up(wallet.lago_id, 10)
    assert (bought.status, bought.transaction_status) == ("pending", "purchased")
    assert client.settle(bought.lago_id).status == "settled"
    assert funds(client, "saver") == (Decimal(23), 0)


def test_refusals_have_their_types(client: Wallet, service: Service) -> None:
    open_account(client, "poor", granted="0.02")
    with pytest.raises(PaymentRequired) as refused:
        client.authorize(customer="poor", items=[LONG])
    assert (refused.value.needed, refused.value.available) == (Decimal("0.05"), Decimal("0.02"))
    with pytest.raises(NotFound):
        client.balances("nobody/at all")
    with pytest.raises(ValidationFailed):
        client.authorize(customer="poor", items=[Item("llm_output_tokens", model="x", tokens=1)])
    with Wallet(url=service.url, api_key="wrong") as stranger, pytest.raises(Unauthorized):
        stranger.balances("poor")


async def test_the_async_client_does_the_same(service: Service, priced_key: str) -> None:
    async with AsyncWallet(url=service.url, api_key=priced_key) as client:
        await client.create_customer("async", currency="USD")
        await client.create_wallet(customer="async", asset="USD", granted_credits=1)
        async with client.authorize(customer="async", items=[ITEM]) as hold:
            await hold.capture(items=[ITEM])
        found = [authorization async for authorization in client.authorizations(customer="async")]
    assert [(one.status, one.captured_amount) for one in found] == [("captured", Decimal("0.01"))]
