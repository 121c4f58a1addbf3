"""Entitlements over HTTP, and what they keep from being authorized."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused, standard

PRIVILEGES = [
    {"code": "max_per_call", "value_type": "integer", "config": {"property": "tokens"}},
    {"code": "region", "value_type": "select", "config": {"select_options": ["eu", "us"]}},
    {"code": "priority", "value_type": "boolean"},
]


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """A feature with a metric behind it, and one with nothing behind it."""
    shop = await new_shop("entitled")
    tokens = shop.metric("tokens", field="tokens")
    calls = shop.metric("calls")
    shop.ok(
        "/features",
        feature={"code": "gpt", "privileges": PRIVILEGES, "billable_metric_codes": ["tokens"]},
    )
    shop.ok("/features", feature={"code": "support", "name": "Someone answers"})
    for plan in ("free", "pro"):
        shop.plan(plan, standard(tokens, "0.001"), standard(calls, "1"))
    send(shop, "POST", "/plans/pro/entitlements", entitlements={"gpt": {"max_per_call": 1000}})
    return shop


def send(shop: Shop, method: str, path: str, **envelope: Any) -> Json:
    answer = shop.api.request(method, path, json=envelope or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def patched(shop: Shop, customer: str, **entitlements: Any) -> Json:
    path = f"/subscriptions/{customer}-0/entitlements"
    return send(shop, "PATCH", path, entitlements=entitlements)


def values(reply: Json) -> dict[str, dict[str, Any]]:
    """What an answer gives, as a request would say it."""
    return {
        one["code"]: {granted["code"]: granted["value"] for granted in one["privileges"]}
        for one in reply["entitlements"]
    }


def asked(shop: Shop, customer: str, code: str = "tokens", **terms: Any) -> httpx.Response:
    properties = terms.pop("properties", {"tokens": 10})
    return shop.authorize(customer, code=code, properties=properties, **terms)


# -- the resources ---------------------------------------------------------------------------------


def test_a_plans_entitlements_are_shown_in_lagos_shape(shop: Shop) -> None:
    shop.plan("shape")
    given = {"gpt": {"region": "eu", "max_per_call": "7"}, "support": {}}
    made = send(shop, "POST", "/plans/shape/entitlements", entitlements=given)
    assert made == {
        "entitlements": [
            {
                "code": "gpt",
                "name": None,
                "description": None,
                "privileges": [
                    {
                        "code": "max_per_call",
                        "name": None,
                        "value_type": "integer",
                        "config": {"property": "tokens"},
                        "value": 7,
                    },
                    {
                        "code": "region",
                        "name": None,
                        "value_type": "select",
                        "config": {"select_options": ["eu", "us"]},
                        "value": "eu",
                    },
                ],
            },
            {
                "code": "support",
                "name": "Someone answers",
                "description": None,
                "privileges": [],
            },
        ]
    }
    assert send(shop, "GET", "/plans/shape/entitlements") == made
    one = send(shop, "GET", "/plans/shape/entitlements/gpt")
    assert one == {"entitlement": made["entitlements"][0]}
    merged = send(
        shop, "PATCH", "/plans/shape/entitlements", entitlements={"gpt": {"region": None}}
    )
    assert values(merged) == {"gpt": {"max_per_call": 7}, "support": {}}
    path = "/plans/shape/entitlements/gpt/privileges/max_per_call"
    assert send(shop, "DELETE", path)["entitlement"]["privileges"] == []
    assert refused(shop.api.delete(path), 404) == "privilege_not_found"
    gone = send(shop, "DELETE", "/plans/shape/entitlements/gpt")
    assert gone["entitlement"]["code"] == "gpt"
    assert refused(shop.api.get("/plans/shape/entitlements/gpt"), 404) == "entitlement_not_found"
    replaced = send(shop, "POST", "/plans/shape/entitlements", entitlements={})
    assert replaced == {"entitlements": []}


def test_a_subscriptions_entitlements_show_what_differs(shop: Shop) -> None:
    customer = shop.customer("pro")
    path = f"/subscriptions/{customer}-0/entitlements"
    reply = patched(shop, customer, gpt={"max_per_call": 5, "priority": True})
    (found,) = reply["entitlements"]
    assert found["overrides"] == {"max_per_call": 5, "priority": True}
    assert found["privileges"][0] == {
        "code": "max_per_call",
        "name": None,
        "value_type": "integer",
        "config": {"property": "tokens"},
        "value": 5,
        "plan_value": 1000,
        "override_value": 5,
    }
    assert found["privileges"][1]["plan_value"] is None
    left = send(shop, "DELETE", f"{path}/gpt/privileges/max_per_call")["entitlement"]
    assert [one["code"] for one in left["privileges"]] == ["priority"]
    assert send(shop, "GET", path)["entitlements"] == [left]
    assert send(shop, "DELETE", f"{path}/gpt") == {"entitlement": left}
    assert send(shop, "GET", path) == {"entitlements": []}
    assert refused(shop.api.delete(f"{path}/gpt"), 404) == "entitlement_not_found"
    assert values(patched(shop, customer, gpt={})) == {"gpt": {"max_per_call": 1000}}


def test_a_subscription_that_has_ended_is_found_by_its_status(shop: Shop) -> None:
    customer = shop.customer("pro")
    path = f"/subscriptions/{customer}-0/entitlements"
    send(shop, "DELETE", f"/subscriptions/{customer}-0")
    assert refused(shop.api.get(path), 404) == "subscription_not_found"
    ended = shop.api.get(path, params={"subscription_status": "terminated"})
    assert values(ended.json()) == {"gpt": {"max_per_call": 1000}}
    odd = shop.api.get(path, params={"subscription_status": "asleep"})
    assert refused(odd) == {"subscription_status": ["value_is_invalid"]}


@pytest.mark.parametrize(
    ("given", "details"),
    [
        ({"cloud": {}}, {"cloud": ["feature_not_found"]}),
        ({"": {}}, {"base": ["feature_not_found"]}),
        ({"gpt": []}, {"gpt": ["value_is_invalid"]}),
        ({"gpt": "yes"}, {"gpt": ["value_is_invalid"]}),
        ({"gpt": {"max": 1}}, {"gpt.max": ["privilege_not_found"]}),
        ({"gpt": {"max_per_call": -1}}, {"gpt.max_per_call": ["value_is_out_of_range"]}),
        ({"gpt": {"max_per_call": 2**63}}, {"gpt.max_per_call": ["value_is_out_of_range"]}),
        ({"gpt": {"max_per_call": 1.5}}, {"gpt.max_per_call": ["value_is_invalid"]}),
        ({"gpt": {"max_per_call": True}}, {"gpt.max_per_call": ["value_is_invalid"]}),
        ({"gpt": {"max_per_call": [1]}}, {"gpt.max_per_call": ["value_is_invalid"]}),
        ({"gpt": {"region": "mars"}}, {"gpt.region": ["value_is_invalid"]}),
        ({"gpt": {"region": "\x00"}}, {"gpt.region": ["value_is_invalid"]}),
        ({"gpt": {"priority": "maybe"}}, {"gpt.priority": ["value_is_invalid"]}),
    ],
)
def test_entitlements_that_are_wrong_are_refused_by_field(
    shop: Shop, given: Json, details: Json
) -> None:
    before = send(shop, "GET", "/plans/pro/entitlements")
    for method in ("POST", "PATCH"):
        answer = shop.api.request(method, "/plans/pro/entitlements", json={"entitlements": given})
        assert refused(answer) == details
    assert send(shop, "GET", "/plans/pro/entitlements") == before
    customer = shop.customer("pro")
    path = f"/subscriptions/{customer}-0/entitlements"
    assert refused(shop.api.patch(path, json={"entitlements": given})) == details


@pytest.mark.parametrize(
    "raw",
    [
        b'{"entitlements": {"gpt": {"max_per_call": 1e999999}}}',
        b'{"entitlements": {"gpt": {"max_per_call": %s}}}' % (b"9" * 5_000),
        b'{"entitlements": {"gpt": {"region": %s1%s}}}' % (b"[" * 900, b"]" * 900),
    ],
)
def test_no_number_and_no_depth_is_too_much(shop: Shop, raw: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = shop.api.post("/plans/pro/entitlements", content=raw, headers=headers)
    assert answer.status_code in {400, 422}, answer.text


@pytest.mark.parametrize("envelope", [{}, {"entitlements": []}, {"entitlements": None}, []])
def test_an_envelope_is_needed(shop: Shop, envelope: Any) -> None:
    assert shop.api.post("/plans/pro/entitlements", json=envelope).status_code == 400


# -- the gate --------------------------------------------------------------------------------------


def test_usage_behind_a_feature_is_refused_to_who_lacks_it(shop: Shop) -> None:
    customer = shop.customer("free", granted_credits="10")
    answer = asked(shop, customer)
    assert refused(answer, 402) == "not_entitled"
    assert answer.json()["error_details"] == {
        "feature_code": "gpt",
        "billable_metric_code": "tokens",
    }
    assert answer.headers["x-should-retry"] == "false"
    assert asked(shop, customer, code="calls").status_code == 200
    assert shop.balance(customer) == ("9", "1", "0")


def test_what_is_given_and_taken_counts_from_the_next_request_on(shop: Shop) -> None:
    customer = shop.customer("free", granted_credits="10")
    assert asked(shop, customer).status_code == 402
    patched(shop, customer, gpt={})
    first = asked(shop, customer, transaction_id=f"{customer}-call")
    assert first.status_code == 200
    send(shop, "DELETE", f"/subscriptions/{customer}-0/entitlements/gpt")
    assert asked(shop, customer).status_code == 402
    again = asked(shop, customer, transaction_id=f"{customer}-call")
    assert (again.status_code, again.content) == (200, first.content)
    other = asked(shop, customer, transaction_id=f"{customer}-call", properties={"tokens": 11})
    assert refused(other) == {"transaction_id": ["value_already_exist"]}


def test_a_plans_change_reaches_its_subscriptions(shop: Shop) -> None:
    shop.plan("trial", standard_of(shop))
    customer = shop.customer("trial", granted_credits="10")
    for entitlements, status in (({}, 402), ({"gpt": None}, 200), ({"support": {}}, 402)):
        send(shop, "POST", "/plans/trial/entitlements", entitlements=entitlements)
        assert asked(shop, customer).status_code == status


def standard_of(shop: Shop) -> Json:
    metric = shop.api.get("/billable_metrics/tokens").json()["billable_metric"]
    return standard(metric["lago_id"], "0.001")


def test_a_limit_of_a_privilege_is_of_one_item(shop: Shop) -> None:
    customer = shop.customer("pro", granted_credits="10")
    items = [{"code": "tokens", "properties": {"tokens": 1000}}] * 3
    shop.held(customer, items=items)
    answer = asked(shop, customer, properties={"tokens": "1000.5"})
    assert refused(answer, 402) == "entitlement_limit_exceeded"
    assert answer.json()["error_details"] == {
        "feature_code": "gpt",
        "billable_metric_code": "tokens",
        "privilege_code": "max_per_call",
        "property": "tokens",
        "limit": "1000",
        "given": "1000.5",
    }
    patched(shop, customer, gpt={"max_per_call": 2000})
    assert asked(shop, customer, properties={"tokens": "1000.5"}).status_code == 200


def test_a_limited_property_that_is_no_number_is_named(shop: Shop) -> None:
    shop.ok(
        "/features",
        feature={
            "code": "calls",
            "privileges": [
                {"code": "depth", "value_type": "integer", "config": {"property": "depth"}}
            ],
            "billable_metric_codes": ["calls"],
        },
    )
    customer = shop.customer("pro", granted_credits="10")
    try:
        patched(shop, customer, calls={"depth": 3})
        for odd in ("deep", True, [1], 1e300, "1e999999"):
            answer = asked(shop, customer, code="calls", properties={"depth": odd})
            assert refused(answer) == {"items.0.properties.depth": ["value_is_invalid"]}
        assert asked(shop, customer, code="calls", properties={}).status_code == 200
        assert asked(shop, customer, code="calls", properties={"depth": "4"}).status_code == 402
    finally:
        send(shop, "DELETE", "/features/calls")


def test_estimates_and_checks_say_why_not(shop: Shop) -> None:
    customer = shop.customer("free", granted_credits="10")
    usage = {"external_customer_id": customer, "code": "tokens", "properties": {"tokens": 1}}
    for question in ("estimate", "check"):
        told = shop.ok(f"/authorizations/{question}", authorization=usage)["estimate"]
        assert (told["sufficient"], told["code"]) == (False, "not_entitled")
        assert told["error_details"]["feature_code"] == "gpt"
        assert told["amount"] == "0.001"
        named = usage | {"code": "calls", "features": ["support"]}
        told = shop.ok(f"/authorizations/{question}", authorization=named)["estimate"]
        assert (told["code"], told["error_details"]) == (
            "not_entitled",
            {"feature_code": "support"},
        )


def test_an_extension_is_refused_and_the_capture_is_not(shop: Shop) -> None:
    customer = shop.customer("pro", granted_credits="10")
    hold = shop.held(customer, code="tokens", properties={"tokens": 100})
    too_much = {"items": [{"code": "tokens", "properties": {"tokens": 1001}}]}
    extended = shop.on(hold, "extend", transaction_id=shop.unique("more"), **too_much)
    assert refused(extended, 402) == "entitlement_limit_exceeded"
    send(shop, "DELETE", f"/subscriptions/{customer}-0/entitlements/gpt")
    more = {"items": [{"code": "tokens", "properties": {"tokens": 1}}]}
    extended = shop.on(hold, "extend", transaction_id=shop.unique("more"), **more)
    assert refused(extended, 402) == "not_entitled"
    longer = shop.on(hold, "extend", transaction_id=shop.unique("more"), expires_in=60)
    assert longer.status_code == 200
    captured = shop.done(hold, "capture", **too_much)
    assert captured["captured_amount"] == "1.001"


def test_usage_that_happened_is_charged_whoever_was_entitled(shop: Shop) -> None:
    customer = shop.customer("free", granted_credits="10")
    event = shop.charged(
        external_customer_id=customer, code="tokens", properties={"tokens": 100_000}
    )
    assert event["rating_status"] == "rated"
    assert shop.balance(customer) == ("0", "0", "90")


def test_features_are_asked_for_by_name_also_for_an_amount(shop: Shop) -> None:
    usage = {"amount": "1", "asset_code": "USD"}
    customer = shop.customer("pro", granted_credits="10")
    assert shop.authorize(customer, features=["gpt"], **usage).status_code == 200
    answer = shop.authorize(customer, features=["gpt", "support"], **usage)
    assert refused(answer, 402) == "not_entitled"
    assert answer.json()["error_details"] == {"feature_code": "support"}
    unknown = shop.authorize(customer, features=["gpt", "cloud"], **usage)
    assert refused(unknown) == {"features.1": ["feature_not_found"]}
    assert shop.authorize(customer, features=[], **usage).status_code == 200


def test_an_amount_needs_to_know_which_subscription_is_asked(shop: Shop) -> None:
    usage = {"amount": "1", "asset_code": "USD", "features": ["gpt"]}
    two = shop.customer("pro", "free", granted_credits="10")
    answer = shop.authorize(two, **usage)
    assert refused(answer) == {"external_subscription_id": ["value_is_mandatory"]}
    for position, status in ((0, 200), (1, 402)):
        answer = shop.authorize(two, external_subscription_id=f"{two}-{position}", **usage)
        assert answer.status_code == status
    answer = shop.authorize(two, external_subscription_id="nobody's", **usage)
    assert refused(answer) == {"external_subscription_id": ["subscription_not_found"]}
    none = shop.customer(granted_credits="10")
    assert refused(shop.authorize(none, **usage), 402) == "not_entitled"


@pytest.mark.parametrize(
    ("features", "details"),
    [
        (None, {"features": ["value_is_mandatory"]}),
        ("gpt", {"features": ["value_is_invalid"]}),
        ([1], {"features.0": ["value_is_invalid"]}),
        ([None], {"features.0": ["value_is_mandatory"]}),
        (["\x00"], {"features.0": ["value_is_invalid"]}),
        (["gpt"] * 101, {"features": ["invalid_count"]}),
    ],
)
def test_features_that_are_wrong_are_refused_by_field(
    shop: Shop, features: Any, details: Json
) -> None:
    customer = shop.customer("pro", granted_credits="10")
    answer = shop.authorize(customer, features=features, amount="1", asset_code="USD")
    assert refused(answer) == details


async def test_an_organization_without_features_knows_none(new_shop: NewShop) -> None:
    bare = await new_shop("featureless")
    bare.plan("plan", standard(bare.metric("calls"), "1"))
    customer = bare.customer("plan", granted_credits="10")
    assert bare.authorize(customer, code="calls").status_code == 200
    answer = bare.authorize(customer, code="calls", features=["gpt"])
    assert refused(answer) == {"features.0": ["feature_not_found"]}


def test_a_renamed_metric_stays_behind_its_feature(shop: Shop) -> None:
    metric = shop.metric("images")
    shop.plan("pictures", standard(metric, "1"))
    shop.ok("/features", feature={"code": "art", "billable_metric_codes": ["images"]})
    customer = shop.customer("pictures", granted_credits="10")
    send(shop, "PUT", "/billable_metrics/images", billable_metric={"code": "pictures"})
    assert refused(asked(shop, customer, code="pictures"), 402) == "not_entitled"
    send(shop, "DELETE", "/features/art")
    assert asked(shop, customer, code="pictures").status_code == 200
