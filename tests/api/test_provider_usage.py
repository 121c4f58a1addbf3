"""A provider's own usage in place of items: authorized, captured, extended, estimated, refused."""

from typing import Any

import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused, standard

OPENAI = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "prompt_tokens_details": {"cached_tokens": 1920},
}
ANTHROPIC = {
    "id": "msg_013Zva2CMHLNnjNjJKqJ2EF",
    "model": "claude-sonnet-4-5",
    "usage": {
        "input_tokens": 200_000,
        "cache_read_input_tokens": 10_000,
        "output_tokens": 1000,
        "service_tier": "standard",
    },
}


def prices(*by_filter: tuple[Json, str]) -> list[Json]:
    return [
        {
            "values": {key: [value] for key, value in values.items()},
            "properties": {"amount": amount},
        }
        for values, amount in by_filter
    ]


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Two models: one at the prices of gpt-4o, one dearer in long contexts."""
    shop = await new_shop("provider-usage")
    gpt, claude = {"model": "gpt-4o"}, {"model": "claude-sonnet-4-5"}
    long = claude | {"context_tokens": ">200000"}
    filters = {"model": ["gpt-4o", "claude-sonnet-4-5"], "context_tokens": [">200000"]}
    priced = {
        "llm_input_tokens": [(gpt, "0.0000025"), (claude, "0.000003"), (long, "0.000006")],
        "llm_output_tokens": [(gpt, "0.00001"), (claude, "0.000015"), (long, "0.0000225")],
        "llm_cache_read_tokens": [(gpt, "0.00000125"), (claude, "0.0000003")],
    }
    charges = [
        standard(
            shop.metric(code, field="tokens", **filters),
            "0",
            properties={},
            filters=prices(*by_filter),
        )
        for code, by_filter in priced.items()
    ]
    shop.plan("models", *charges)
    shop.plan("models-too", *charges)
    shop.plan("nothing", standard(shop.metric("calls"), "1"))
    return shop


@pytest.fixture
def acme(shop: Shop) -> str:
    return shop.customer("models", granted_credits="10")


def openai(**more: Any) -> Json:
    return {"usage": OPENAI, "provider": "openai", "model": "gpt-4o"} | more


def test_a_hold_is_settled_with_what_the_provider_says(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, **openai())
    # 86 at 0.0000025, 1920 at 0.00000125, 300 at 0.00001
    assert hold["amount"] == "0.005615"
    assert hold["items"] == [
        {"code": "llm_input_tokens", "amount": "0.000215"},
        {"code": "llm_cache_read_tokens", "amount": "0.0024"},
        {"code": "llm_output_tokens", "amount": "0.003"},
    ]
    captured = shop.done(hold, "capture", usage=ANTHROPIC, provider="anthropic")
    # All of a call above 200,000 tokens, but for the cached ones, whose price is always the same.
    assert captured["captured_amount"] == "1.2255"
    assert shop.balance(acme) == ("8.7745", "0", "0")


def test_an_estimate_a_check_and_an_extension_take_it_too(shop: Shop, acme: str) -> None:
    asked = {"external_customer_id": acme} | openai()
    for path in ("estimate", "check"):
        told = shop.ok(f"/authorizations/{path}", authorization=asked)["estimate"]
        assert (told["amount"], told["sufficient"]) == ("0.005615", True)
    hold = shop.held(acme, amount="1", asset_code="USD")
    assert "items" in refused(shop.on(hold, "extend", transaction_id="more", **openai()))
    hold = shop.held(acme, **openai())
    extended = shop.done(hold, "extend", transaction_id="more", **openai())
    assert extended["amount"] == "0.01123"


def test_a_repeat_is_answered_as_before_and_another_usage_is_not(shop: Shop, acme: str) -> None:
    first = shop.authorize(acme, transaction_id="call-1", **openai())
    again = shop.authorize(acme, transaction_id="call-1", **openai())
    assert first.content == again.content
    other = shop.authorize(
        acme, transaction_id="call-1", **openai(usage=OPENAI | {"completion_tokens": 301})
    )
    assert refused(other) == {"transaction_id": ["value_already_exist"]}


def test_what_is_captured_is_usage_with_the_callers_properties(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="0.01", asset_code="USD")
    assert refused(shop.on(hold, "capture", **openai())) == {"items": ["value_is_invalid"]}
    hold = shop.held(acme, **openai())
    shop.done(hold, "capture", **openai(properties={"end_user": "u-1"}))
    events = shop.api.get("/events", params={"external_subscription_id": f"{acme}-0"}).json()
    assert {event["code"]: event["properties"] for event in events["events"]} == {
        code: {"model": "gpt-4o", "tokens": tokens, "context_tokens": 2006, "end_user": "u-1"}
        for code, tokens in (
            ("llm_input_tokens", 86),
            ("llm_cache_read_tokens", 1920),
            ("llm_output_tokens", 300),
        )
    }


def test_the_subscription_that_prices_it_is_meant(shop: Shop) -> None:
    one = shop.customer("nothing", "models", granted_credits="10")
    assert shop.held(one, **openai())["amount"] == "0.005615"
    two = shop.customer("models", "models-too", granted_credits="10")
    assert refused(shop.authorize(two, **openai())) == {
        "external_subscription_id": ["value_is_mandatory"]
    }
    named = shop.held(two, external_subscription_id=f"{two}-1", **openai())
    assert named["amount"] == "0.005615"


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({"provider": None}, {"provider": ["value_is_mandatory"]}),
        ({"provider": "nobody"}, {"provider": ["value_is_invalid"]}),
        ({"model": None}, {"model": ["value_is_mandatory"]}),
        ({"model": "gpt-9"}, {"model": ["price_not_found"]}),
        ({"usage": {}}, {"usage": ["value_is_invalid"]}),
        ({"usage": {"tokens": 7}}, {"usage": ["value_is_invalid"]}),
        (
            {"usage": OPENAI | {"prompt_tokens": "7"}},
            {"usage.prompt_tokens": ["value_is_invalid"]},
        ),
        (
            {"usage": OPENAI | {"prompt_tokens": -7}},
            {"usage.prompt_tokens": ["value_is_out_of_range"]},
        ),
        ({"usage": OPENAI | {"prompt_tokens": 7}}, {"usage": ["value_is_invalid"]}),
        ({"usage": None}, {"usage": ["value_is_mandatory"]}),
        ({"items": [{"code": "calls"}]}, {"items": ["value_is_invalid"]}),
        ({"code": "calls"}, {"code": ["value_is_invalid"]}),
        ({"amount": "1"}, {"amount": ["value_is_invalid"]}),
        ({"properties": {"context_tokens": "many"}}, None),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(
    shop: Shop, acme: str, change: Json, problems: Json | None
) -> None:
    asked = {name: value for name, value in (openai() | change).items() if value is not None}
    answer = shop.authorize(acme, **asked)
    if problems is None:
        assert answer.status_code == 200, answer.text  # ours goes before the caller's
    else:
        assert refused(answer) == problems


@pytest.mark.parametrize("number", ["1e999999", "1" * 400, "0." + "1" * 100])
def test_a_giant_number_is_refused_before_anything_is_made_of_it(
    shop: Shop, acme: str, number: str
) -> None:
    body = (
        f'{{"authorization": {{"external_customer_id": "{acme}", "transaction_id": "giant",'
        ' "provider": "openai", "model": "gpt-4o",'
        f' "usage": {{"prompt_tokens": {number}, "completion_tokens": 1}}}}}}'
    )
    answer = shop.api.post(
        "/authorizations", content=body, headers={"content-type": "application/json"}
    )
    assert refused(answer) == {"usage.prompt_tokens": ["value_is_invalid"]}


def test_an_event_may_say_how_large_its_call_was(shop: Shop, acme: str) -> None:
    def charge(context: Any) -> str:
        properties = {
            "model": "claude-sonnet-4-5",
            "tokens": 1000,
            "context_tokens": context,
        }
        event = shop.charged(
            code="llm_input_tokens", external_customer_id=acme, properties=properties
        )
        return event["debits"][0]["amount"]

    assert charge(200_000) == "0.003"
    assert charge(200_001) == "0.006"
    answer = shop.event(
        code="llm_input_tokens",
        external_customer_id=acme,
        properties={"model": "claude-sonnet-4-5", "tokens": 1, "context_tokens": "many"},
    )
    assert refused(answer) == {"properties.context_tokens": ["value_is_invalid"]}
