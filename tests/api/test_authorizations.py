"""The authorization contract over HTTP: hold, settle, extend, give back, and what is refused."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused, standard

NOBODY = "01900000-0000-7000-8000-000000000000"


def tokens(code: str, count: int, model: str = "gpt-4o") -> Json:
    return {"code": code, "properties": {"model": model, "tokens": count}}


CALL = [tokens("llm_input_tokens", 374), tokens("llm_output_tokens", 500)]


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Tokens at the prices of gpt-4o, calls at half a dollar, GPU hours in a unit of their own."""
    shop = await new_shop("auth")
    models = {"model": ["gpt-4o", "o3"]}
    tokens_in = shop.metric("llm_input_tokens", field="tokens", **models)
    tokens_out = shop.metric("llm_output_tokens", field="tokens", **models)
    calls = shop.metric("calls")
    hours = shop.metric("gpu_hours", field="hours")
    shop.ok("/assets", asset={"code": "GPU_HOUR", "name": "GPU hours", "kind": "unit", "scale": 3})

    def by_model(metric: str, price: str) -> Json:
        only = {"values": {"model": ["gpt-4o"]}, "properties": {"amount": price}}
        return standard(metric, price, filters=[only], properties={})

    shop.plan(
        "tokens",
        by_model(tokens_in, "0.0000025"),
        by_model(tokens_out, "0.00001"),
        standard(calls, "0.5"),
        standard(hours, "1", asset_code="GPU_HOUR"),
    )
    shop.plan("calls", standard(calls, "0.25"))
    package = {"amount": "3", "package_size": 10, "free_units": 0}
    packed = shop.metric("packed", field="n")
    shop.plan(
        "packages",
        {"billable_metric_id": packed, "charge_model": "package", "properties": package},
    )
    return shop


@pytest.fixture
def acme(shop: Shop) -> str:
    """A customer with ten dollars, who pays for tokens."""
    return shop.customer("tokens", granted_credits="10")


# --- authorize


def test_a_hold_is_what_its_items_may_cost(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, items=CALL, transaction_id="call-1", expires_in=60)
    (grant,) = shop.balances(acme)[0]["grants"]
    ends = datetime.fromisoformat(hold.pop("expires_at"))
    made = datetime.fromisoformat(hold.pop("created_at"))
    assert (ends - made, made.tzinfo) == (timedelta(seconds=60), UTC)
    assert hold.pop("id")
    assert hold == {
        "transaction_id": "call-1",
        "external_customer_id": acme,
        "status": "held",
        "amount": "0.005935",
        "captured_amount": "0",
        "refunded_amount": "0",
        "asset_code": "USD",
        "available": "9.994065",
        "items": [
            {"code": "llm_input_tokens", "amount": "0.000935"},
            {"code": "llm_output_tokens", "amount": "0.005"},
        ],
        "grants": [{"id": grant["id"], "amount": "0.005935"}],
    }
    assert shop.balance(acme) == ("9.994065", "0.005935", "0")


def test_one_item_has_a_short_form(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, **tokens("llm_input_tokens", 1_000_000))
    assert (hold["amount"], hold["items"]) == (
        "2.5",
        [{"code": "llm_input_tokens", "amount": "2.5"}],
    )


def test_an_amount_needs_no_prices(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="7.5", asset_code="USD")
    assert (hold["amount"], hold["items"]) == ("7.5", [{"code": "amount", "amount": "7.5"}])
    assert shop.balance(acme) == ("2.5", "7.5", "0")


def test_who_takes_what_there_is_gets_less(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="75", asset_code="USD", partial=True)
    assert (hold["amount"], hold["available"]) == ("10", "0")
    assert refused(shop.authorize(acme, amount="1", asset_code="USD", partial=True), 402) == (
        "insufficient_funds"
    )


def test_a_hold_lives_ten_minutes_unless_it_says_how_long(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="1", asset_code="USD")
    ends, began = (datetime.fromisoformat(hold[name]) for name in ("expires_at", "created_at"))
    assert abs(ends - began - timedelta(seconds=600)) < timedelta(seconds=1)


@pytest.mark.parametrize("expires_in", [1, 31 * 86_400])
def test_a_hold_lives_a_second_to_a_month(shop: Shop, acme: str, expires_in: int) -> None:
    assert shop.held(acme, amount="1", asset_code="USD", expires_in=expires_in)["status"] == "held"


@pytest.mark.parametrize("expires_in", [0, -1, 31 * 86_400 + 1, 2**63, 10**30])
def test_and_no_longer_or_shorter(shop: Shop, acme: str, expires_in: int) -> None:
    answer = shop.authorize(acme, amount="1", asset_code="USD", expires_in=expires_in)
    assert refused(answer) in (
        {"expires_in": ["value_is_out_of_range"]},
        {"expires_in": ["value_is_invalid"]},
    )


def test_too_little_is_402_and_says_what_is_missing(shop: Shop) -> None:
    acme = shop.customer(granted_credits="50")
    answer = shop.authorize(acme, amount="75", asset_code="USD")
    assert answer.status_code == 402
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json() == {
        "status": 402,
        "error": "Payment Required",
        "code": "insufficient_funds",
        "error_details": {"needed": "75", "available": "50", "asset_code": "USD"},
    }
    assert shop.balance(acme) == ("50", "0", "0")


def test_after_a_top_up_the_same_key_is_judged_anew(shop: Shop) -> None:
    acme = shop.customer(granted_credits="1", code="main")
    asked = {"amount": "5", "asset_code": "USD", "transaction_id": shop.unique("again")}
    assert shop.authorize(acme, **asked).status_code == 402
    key = {"Idempotency-Key": shop.unique("top-up")}
    grant = {"external_customer_id": acme, "wallet_code": "main", "amount": "9"}
    shop.ok("/grants", key, grant=grant)
    assert shop.held(acme, **asked)["available"] == "5"


def test_a_customer_without_a_wallet_cannot_hold(shop: Shop) -> None:
    postpaid = shop.customer("tokens")
    assert refused(shop.authorize(postpaid, items=CALL), 402) == "no_eligible_wallet"
    assert shop.balances(postpaid) == []


def test_a_frozen_wallet_is_named_as_the_reason(shop: Shop) -> None:
    acme = shop.customer()
    wallet = shop.wallet(acme, granted_credits="5")
    frozen = shop.api.put(f"/wallets/{wallet['lago_id']}", json={"wallet": {"frozen": True}})
    assert frozen.json()["wallet"]["frozen"] is True
    answer = shop.authorize(acme, amount="1", asset_code="USD")
    assert refused(answer, 402) == "wallet_frozen"
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("terms", "details"),
    [
        ({}, {"items": ["value_is_mandatory"]}),
        ({"items": []}, {"items": ["invalid_count"]}),
        ({"items": CALL * 11}, {"items": ["invalid_count"]}),
        ({"items": CALL, "amount": "1"}, {"amount": ["value_is_invalid"]}),
        ({"items": CALL, "code": "calls"}, {"code": ["value_is_invalid"]}),
        ({"properties": {"tokens": 1}}, {"code": ["value_is_mandatory"]}),
        ({"amount": "1"}, {"asset_code": ["value_is_mandatory"]}),
        ({"amount": "0", "asset_code": "USD"}, {"amount": ["value_is_out_of_range"]}),
        ({"amount": "1", "asset_code": "GOLD"}, {"asset_code": ["asset_not_found"]}),
        ({"items": CALL, "asset_code": "EUR"}, {"asset_code": ["value_is_invalid"]}),
        (
            {"items": [tokens("llm_input_tokens", 1), {"code": "teleports"}]},
            {"items.1.code": ["billable_metric_not_found"]},
        ),
        (
            {"items": [{"code": "llm_input_tokens", "properties": {"model": "gpt-4o"}}]},
            {"items.0.properties.tokens": ["value_is_mandatory"]},
        ),
        (
            {"items": [tokens("llm_input_tokens", 1, model="gpt-99")]},
            {"items.0.properties.model": ["price_not_found"]},
        ),
        (
            {"items": [tokens("llm_input_tokens", -1)]},
            {"items.0.properties.tokens": ["value_is_out_of_range"]},
        ),
        (
            {"items": [*CALL, {"code": "gpu_hours", "properties": {"hours": 1}}]},
            {"items": ["mixed_assets"]},
        ),
        (
            {"items": CALL, "external_subscription_id": "another"},
            {"external_subscription_id": ["subscription_not_found"]},
        ),
    ],
)
def test_what_cannot_be_priced_is_refused_by_field(
    shop: Shop, acme: str, terms: Json, details: Json
) -> None:
    assert refused(shop.authorize(acme, **terms)) == details
    assert shop.balance(acme) == ("10", "0", "0")


def test_nobody_is_nobody(shop: Shop) -> None:
    answer = shop.authorize("stranger", amount="1", asset_code="USD")
    assert refused(answer, 404) == "customer_not_found"


def test_where_two_subscriptions_price_a_code_one_must_be_named(shop: Shop) -> None:
    acme = shop.customer("tokens", "calls", granted_credits="10")
    answer = shop.authorize(acme, code="calls")
    assert refused(answer) == {"external_subscription_id": ["value_is_mandatory"]}
    amounts = [
        shop.held(acme, code="calls", external_subscription_id=f"{acme}-{position}")["amount"]
        for position in (0, 1)
    ]
    assert amounts == ["0.5", "0.25"]
    assert shop.held(acme, items=CALL)["amount"] == "0.005935"


# --- estimate and check


@pytest.mark.parametrize("question", ["estimate", "check"])
def test_a_question_is_answered_and_holds_nothing(shop: Shop, acme: str, question: str) -> None:
    asked = {"external_customer_id": acme, "items": CALL}
    answer = shop.ok(f"/authorizations/{question}", authorization=asked)
    assert answer == {
        "estimate": {
            "amount": "0.005935",
            "asset_code": "USD",
            "available": "10",
            "sufficient": True,
            "items": [
                {"code": "llm_input_tokens", "amount": "0.000935"},
                {"code": "llm_output_tokens", "amount": "0.005"},
            ],
            "code": None,
            "error_details": None,
        }
    }
    assert shop.balance(acme) == ("10", "0", "0")


@pytest.mark.parametrize("question", ["estimate", "check"])
def test_a_question_says_why_the_answer_would_be_no(shop: Shop, acme: str, question: str) -> None:
    asked = {"external_customer_id": acme, "amount": "10.000000001", "asset_code": "USD"}
    found = shop.ok(f"/authorizations/{question}", authorization=asked)["estimate"]
    assert (found["sufficient"], found["code"]) == (False, "insufficient_funds")
    postpaid = {"external_customer_id": shop.customer("calls"), "code": "calls"}
    found = shop.ok(f"/authorizations/{question}", authorization=postpaid)["estimate"]
    assert (found["amount"], found["available"]) == ("0.25", "0")
    assert (found["sufficient"], found["code"]) == (False, "no_eligible_wallet")


@pytest.mark.parametrize("question", ["estimate", "check"])
def test_a_question_knows_what_was_used_before(shop: Shop, question: str) -> None:
    acme = shop.customer("packages", granted_credits="10")
    asked = {"external_customer_id": acme, "code": "packed", "properties": {"n": 4}}
    path = f"/authorizations/{question}"
    assert shop.ok(path, authorization=asked)["estimate"]["amount"] == "3"
    shop.charged(external_customer_id=acme, code="packed", properties={"n": 5})
    assert shop.ok(path, authorization=asked)["estimate"]["amount"] == "0"
    asked |= {"properties": {"n": 6}}
    assert shop.ok(path, authorization=asked)["estimate"]["amount"] == "3"


# --- capture


def test_what_was_used_is_captured_and_the_rest_is_given_back(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, items=CALL)
    used = [tokens("llm_input_tokens", 374), tokens("llm_output_tokens", 44)]
    captured = shop.done(hold, "capture", items=used)
    (grant,) = shop.balances(acme)[0]["grants"]
    assert (captured["id"], captured["status"]) == (hold["id"], "captured")
    assert (captured["amount"], captured["captured_amount"]) == ("0.005935", "0.001375")
    assert captured["items"] == [
        {"code": "llm_input_tokens", "amount": "0.000935"},
        {"code": "llm_output_tokens", "amount": "0.00044"},
    ]
    assert captured["grants"] == []
    assert captured["debits"] == [
        {
            "asset_code": "USD",
            "amount": "0.001375",
            "overage": "0",
            "grants": [{"id": grant["id"], "amount": "0.001375"}],
        }
    ]
    assert shop.balance(acme) == ("9.998625", "0", "0")


def test_an_amount_is_captured_in_full_if_nothing_is_said(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="4", asset_code="USD")
    assert shop.done(hold, "capture")["captured_amount"] == "4"
    assert shop.balance(acme) == ("6", "0", "0")


def test_of_items_it_must_be_said_what_was_used(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, items=CALL)
    assert refused(shop.on(hold, "capture")) == {"items": ["value_is_mandatory"]}
    assert shop.done(hold, "capture", amount="0.001")["captured_amount"] == "0.001"


def test_a_capture_may_be_nothing_at_all(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="4", asset_code="USD")
    captured = shop.done(hold, "capture", amount="0")
    assert (captured["status"], captured["captured_amount"]) == ("captured", "0")
    assert shop.balance(acme) == ("10", "0", "0")


def test_a_hold_is_captured_in_parts_until_the_last(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    first = shop.done(hold, "capture", amount="1.5", final=False, transaction_id="part-1")
    assert (first["status"], first["captured_amount"]) == ("held", "1.5")
    assert [share["amount"] for share in first["grants"]] == ["4.5"]
    assert shop.balance(acme) == ("4", "4.5", "0")
    again = shop.done(hold, "capture", amount="1.5", final=False, transaction_id="part-1")
    assert again == first
    second = shop.done(hold, "capture", amount="2", final=False, transaction_id="part-2")
    assert second["captured_amount"] == "3.5"
    last = shop.done(hold, "capture", amount="0.5")
    assert (last["status"], last["captured_amount"]) == ("captured", "4")
    assert shop.balance(acme) == ("6", "0", "0")


def test_a_part_needs_a_key(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    answer = shop.on(hold, "capture", amount="1", final=False)
    assert refused(answer) == {"transaction_id": ["value_is_mandatory"]}


def test_more_than_was_held_is_taken_from_what_is_free_and_the_rest_is_owed(shop: Shop) -> None:
    acme = shop.customer(granted_credits="10")
    hold = shop.held(acme, amount="4", asset_code="USD")
    captured = shop.done(hold, "capture", amount="13")
    assert captured["captured_amount"] == "13"
    (debit,) = captured["debits"]
    assert (debit["amount"], debit["overage"]) == ("10", "3")
    assert shop.balance(acme) == ("0", "0", "3")


def test_what_is_still_owed_is_named_when_the_next_hold_is_refused(shop: Shop) -> None:
    acme = shop.customer(granted_credits="1", code="main")
    shop.done(shop.held(acme, amount="1", asset_code="USD"), "capture", amount="3")
    key = {"Idempotency-Key": shop.unique("top-up")}
    grant = {"external_customer_id": acme, "wallet_code": "main", "amount": "5"}
    shop.ok("/grants", key, grant=grant)
    assert shop.balance(acme) == ("3", "0", "0")
    answer = shop.authorize(acme, amount="4", asset_code="USD")
    assert answer.json()["error_details"] == {
        "needed": "4",
        "available": "3",
        "asset_code": "USD",
    }


def test_a_late_capture_is_charged_at_once(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="4", asset_code="USD", expires_in=1)
    time.sleep(1.1)
    captured = shop.done(hold, "capture", amount="2.5")
    assert (captured["status"], captured["captured_amount"]) == ("captured", "2.5")
    assert shop.balance(acme) == ("7.5", "0", "0")


def test_items_of_a_hold_of_an_amount_have_no_price(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="4", asset_code="USD")
    assert refused(shop.on(hold, "capture", items=CALL)) == {"items": ["value_is_invalid"]}


def test_items_and_an_amount_are_too_much(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, items=CALL)
    for action in ("capture", "extend"):
        answer = shop.on(hold, action, items=CALL, amount="1", transaction_id="both")
        assert refused(answer) == {"amount": ["value_is_invalid"]}


def test_a_price_is_pinned_by_the_hold(shop: Shop) -> None:
    code = shop.unique("images")
    plan = shop.plan(shop.unique("plan"), standard(shop.metric(code), "1"))
    acme = shop.customer(plan["code"], granted_credits="100")
    hold = shop.held(acme, code=code)
    (charge,) = plan["charges"]
    dearer = {"charges": [{"id": charge["lago_id"], "properties": {"amount": "7"}}]}
    assert shop.api.put(f"/plans/{plan['code']}", json={"plan": dearer}).status_code == 200
    deadline = time.monotonic() + 60
    while shop.held(acme, code=code)["amount"] != "7":  # seen at the latest after some seconds
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert shop.done(hold, "capture", items=[{"code": code}] * 2)["captured_amount"] == "2"


# --- extend


def test_a_hold_grows(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, items=CALL)
    more = [tokens("llm_output_tokens", 100_000)]
    grown = shop.done(hold, "extend", items=more, transaction_id="more")
    assert (grown["status"], grown["amount"]) == ("held", "1.005935")
    assert shop.done(hold, "extend", items=more, transaction_id="more") == grown
    grown = shop.done(hold, "extend", amount="2", transaction_id="much more")
    assert grown["amount"] == "3.005935"
    assert shop.balance(acme) == ("6.994065", "3.005935", "0")


def test_a_hold_lives_longer(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="1", asset_code="USD", expires_in=5)
    longer = shop.done(hold, "extend", expires_in=3600, transaction_id="longer")
    assert longer["amount"] == "1"
    ends, began = (datetime.fromisoformat(one["expires_at"]) for one in (longer, hold))
    assert ends - began > timedelta(seconds=3500)


@pytest.mark.parametrize(
    ("terms", "details"),
    [
        ({"amount": "1"}, {"transaction_id": ["value_is_mandatory"]}),
        ({"transaction_id": "x"}, {"expires_in": ["value_is_mandatory"]}),
        ({"transaction_id": "x", "amount": "0"}, {"amount": ["value_is_out_of_range"]}),
        ({"transaction_id": "x", "expires_in": 0}, {"expires_in": ["value_is_out_of_range"]}),
    ],
)
def test_an_extension_that_says_nothing_is_refused(
    shop: Shop, acme: str, terms: Json, details: Json
) -> None:
    hold = shop.held(acme, amount="1", asset_code="USD")
    assert refused(shop.on(hold, "extend", **terms)) == details


def test_an_extension_that_cannot_be_paid_leaves_the_hold_as_it_was(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    answer = shop.on(hold, "extend", amount="5", expires_in=9000, transaction_id="too much")
    assert refused(answer, 402) == "insufficient_funds"
    assert shop.api.get(f"/authorizations/{hold['id']}").json()["authorization"] == hold
    assert shop.balance(acme) == ("4", "6", "0")


# --- void


def test_a_void_gives_all_back(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    shop.done(hold, "capture", amount="1", final=False, transaction_id=shop.unique("part"))
    voided = shop.done(hold, "void")
    assert (voided["status"], voided["captured_amount"], voided["grants"]) == ("voided", "1", [])
    assert shop.done(hold, "void") == voided
    assert shop.balance(acme) == ("9", "0", "0")


def test_a_void_takes_no_words(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    path = f"/authorizations/{hold['id']}/void"
    assert refused(shop.post(path, amount="1")) == {"amount": ["unknown_field"]}
    assert refused(shop.post(path, void={"amount": "1"})) == {"amount": ["unknown_field"]}
    assert shop.balance(acme) == ("4", "6", "0")
    assert shop.api.post(path).status_code == 200
    assert shop.ok(path, void={})["authorization"]["status"] == "voided"


# --- what has ended


def test_what_was_captured_can_only_be_refunded(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    shop.done(hold, "capture", amount="5")
    for action, terms in (
        ("capture", {"amount": "1", "transaction_id": "once more"}),
        ("capture", {"amount": "1", "final": False, "transaction_id": "once more"}),
        ("extend", {"amount": "1", "transaction_id": "once more"}),
        ("void", {}),
    ):
        assert refused(shop.on(hold, action, **terms), 405) == "already_captured"
    assert refused(shop.on(hold, "capture", amount="1"), 405) == "already_captured"
    assert shop.balance(acme) == ("5", "0", "0")


def test_what_was_voided_stays_so(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    shop.done(hold, "void")
    assert refused(shop.on(hold, "capture", amount="1"), 405) == "already_voided"
    answer = shop.on(hold, "extend", amount="1", transaction_id="late")
    assert refused(answer, 405) == "already_voided"
    answer = shop.on(hold, "refund", transaction_id="nothing")
    assert refused(answer, 405) == "nothing_to_refund"
    assert shop.balance(acme) == ("10", "0", "0")


def test_what_has_expired_is_not_extended(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD", expires_in=1)
    time.sleep(1.1)
    answer = shop.on(hold, "extend", expires_in=60, transaction_id="late")
    assert refused(answer, 405) == "already_expired"


# --- refund


def test_captured_money_goes_back_to_who_paid(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    shop.done(hold, "capture", amount="5")
    part = shop.done(hold, "refund", amount="1.5", transaction_id="part")
    assert (part["status"], part["refunded_amount"]) == ("captured", "1.5")
    assert shop.done(hold, "refund", amount="1.5", transaction_id="part") == part
    assert shop.balance(acme) == ("6.5", "0", "0")
    answer = shop.on(hold, "refund", amount="3.6", transaction_id="too much")
    assert refused(answer) == {"amount": ["amount_above_maximum"]}
    assert shop.done(hold, "refund", transaction_id="rest")["refunded_amount"] == "5"
    answer = shop.on(hold, "refund", transaction_id="once more")
    assert refused(answer, 405) == "nothing_to_refund"
    assert shop.balance(acme) == ("10", "0", "0")


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "1e3", "", " 1", "١"])
def test_a_refund_is_of_an_amount(shop: Shop, acme: str, amount: str) -> None:
    hold = shop.held(acme, amount="6", asset_code="USD")
    shop.done(hold, "capture", amount="5")
    answer = shop.on(hold, "refund", amount=amount, transaction_id=shop.unique("refund"))
    assert list(refused(answer)) == ["amount"]
    assert refused(shop.on(hold, "refund")) == {"transaction_id": ["value_is_mandatory"]}
    assert shop.balance(acme) == ("5", "0", "0")


# --- idempotency


def test_the_same_key_and_body_hold_once(shop: Shop, acme: str) -> None:
    asked = {"items": CALL, "transaction_id": shop.unique("same")}
    answers = [shop.authorize(acme, **asked) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert shop.balance(acme)[1] == "0.005935"


def test_the_same_key_at_the_same_time_holds_once(shop: Shop, acme: str) -> None:
    asked = {"amount": "3", "asset_code": "USD", "transaction_id": shop.unique("same")}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: shop.authorize(acme, **asked), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert shop.balance(acme) == ("7", "3", "0")


def test_the_same_key_with_another_body_is_refused(shop: Shop, acme: str) -> None:
    key = shop.unique("same")
    shop.held(acme, amount="1", asset_code="USD", transaction_id=key)
    for other in ({"amount": "2"}, {"amount": "1", "expires_in": 60}):
        answer = shop.authorize(acme, asset_code="USD", transaction_id=key, **other)
        assert refused(answer) == {"transaction_id": ["value_already_exist"]}
    rich = shop.customer(granted_credits="1")
    answer = shop.authorize(rich, amount="1", asset_code="USD", transaction_id=key)
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}
    assert shop.balance(acme) == ("9", "1", "0")
    assert shop.balance(rich) == ("1", "0", "0")


def test_a_body_is_the_same_in_any_order_and_spacing(shop: Shop, acme: str) -> None:
    key = shop.unique("same")
    first = shop.held(acme, amount="1", asset_code="USD", transaction_id=key)
    text = (
        f' {{"authorization" : {{ "asset_code":"USD", "transaction_id": "{key}",'
        f'"amount":"1" , "external_customer_id" :"{acme}"}} }}'
    )
    assert shop.api.post("/authorizations", content=text).json()["authorization"] == first


def test_the_key_may_come_as_a_header(shop: Shop, acme: str) -> None:
    key = shop.unique("header")
    asked = {"external_customer_id": acme, "amount": "1", "asset_code": "USD"}
    headers = {"Idempotency-Key": key}
    first = shop.ok("/authorizations", headers, authorization=asked)
    assert first["authorization"]["transaction_id"] == key
    assert shop.ok("/authorizations", headers, authorization=asked) == first
    asked |= {"transaction_id": key}
    assert shop.ok("/authorizations", authorization=asked) == first
    path = f"/authorizations/{first['authorization']['id']}"
    part = {"amount": "0.25", "final": False}
    for _ in range(2):
        shop.ok(f"{path}/capture", {"Idempotency-Key": f"{key}-part"}, capture=part)
        shop.ok(f"{path}/extend", {"Idempotency-Key": f"{key}-more"}, extend={"amount": "2"})
    shop.ok(f"{path}/capture", capture={"amount": "1"})
    for _ in range(2):
        shop.ok(f"{path}/refund", {"Idempotency-Key": f"{key}-back"}, refund={"amount": "0.5"})
    assert shop.balance(acme) == ("9.25", "0", "0")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "value_is_mandatory"),
        ("x" * 256, "value_is_too_long"),
        ("tab\there", "value_is_invalid"),
        ("\x7f", "value_is_invalid"),
        ("\u202e", "value_is_invalid"),
    ],
)
def test_a_key_is_short_and_printable(shop: Shop, acme: str, key: str, code: str) -> None:
    answer = shop.authorize(acme, amount="1", asset_code="USD", transaction_id=key)
    assert refused(answer) == {"transaction_id": [code]}


def test_a_hold_needs_a_key(shop: Shop, acme: str) -> None:
    asked = {"external_customer_id": acme, "amount": "1", "asset_code": "USD"}
    answer = shop.post("/authorizations", authorization=asked)
    assert refused(answer) == {"transaction_id": ["value_is_mandatory"]}


@pytest.mark.parametrize("action", ["capture", "extend", "refund"])
def test_a_key_belongs_to_one_hold(shop: Shop, acme: str, action: str) -> None:
    mine, other = (shop.held(acme, amount="2", asset_code="USD") for _ in range(2))
    if action == "refund":
        for hold in (mine, other):
            shop.done(hold, "capture", amount="2")
    terms = {"amount": "1", "transaction_id": shop.unique("once")}
    if action == "capture":
        terms["final"] = False
    shop.done(mine, action, **terms)
    before = shop.balance(acme)
    assert refused(shop.on(other, action, **terms)) == {"transaction_id": ["value_already_exist"]}
    assert shop.balance(acme) == before


def test_the_same_key_serves_each_kind_of_operation(shop: Shop, acme: str) -> None:
    key = shop.unique("one key")
    hold = shop.held(acme, amount="2", asset_code="USD", transaction_id=key)
    shop.done(hold, "extend", amount="1", transaction_id=key)
    shop.done(hold, "capture", amount="1", transaction_id=key)
    shop.done(hold, "refund", transaction_id=key)
    assert shop.balance(acme) == ("10", "0", "0")


def test_a_final_capture_repeats_by_the_holds_id(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="2", asset_code="USD")
    captured = shop.done(hold, "capture", amount="1")
    assert shop.done(hold, "capture", amount="1") == captured
    assert shop.balance(acme) == ("9", "0", "0")


# --- native units


def test_hours_of_a_machine_are_counted_in_hours(shop: Shop) -> None:
    acme = shop.customer("tokens", asset_code="GPU_HOUR", granted_credits="12.5")
    item = {"code": "gpu_hours", "properties": {"hours": "2.25"}}
    hold = shop.held(acme, items=[item])
    assert (hold["asset_code"], hold["amount"], hold["available"]) == ("GPU_HOUR", "2.25", "10.25")
    item = {"code": "gpu_hours", "properties": {"hours": 1.001}}
    captured = shop.done(hold, "capture", items=[item])
    assert captured["captured_amount"] == "1.001"
    assert shop.balance(acme, "GPU_HOUR") == ("11.499", "0", "0")
    assert refused(shop.authorize(acme, items=CALL), 402) == "no_eligible_wallet"
    answer = shop.authorize(acme, amount="0.0001", asset_code="GPU_HOUR")
    assert list(refused(answer)) == ["amount"]


def test_a_capture_stays_in_the_asset_of_its_hold(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, items=CALL)
    other = [{"code": "gpu_hours", "properties": {"hours": 1}}]
    assert refused(shop.on(hold, "capture", items=other)) == {"items": ["mixed_assets"]}


# --- find and list


def test_a_hold_is_found_as_it_stands(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, amount="2", asset_code="USD")
    path = f"/authorizations/{hold['id']}"
    assert shop.api.get(path).json()["authorization"] == hold
    shop.done(hold, "capture", amount="1")
    found = shop.api.get(path).json()["authorization"]
    assert (found["status"], found["captured_amount"]) == ("captured", "1")


@pytest.mark.parametrize("wrong", [NOBODY, "nonsense", "1", "%20"])
def test_a_hold_that_is_not_there_is_not_found(shop: Shop, wrong: str) -> None:
    path = f"/authorizations/{wrong}"
    answers = [
        shop.api.get(path),
        shop.post(f"{path}/capture", capture={"amount": "1"}),
        shop.post(f"{path}/extend", extend={"amount": "1", "transaction_id": "x"}),
        shop.post(f"{path}/void"),
        shop.post(f"{path}/refund", refund={"transaction_id": "x"}),
    ]
    for answer in answers:
        assert refused(answer, 404) == "authorization_not_found"


def test_holds_are_listed_newest_first_by_customer_status_and_key(shop: Shop, acme: str) -> None:
    def listed(**query: object) -> list[str]:
        answer = shop.api.get("/authorizations", params={"external_customer_id": acme, **query})
        assert answer.status_code == 200, answer.text
        return [found["id"] for found in answer.json()["authorizations"]]

    old, middle, new = (shop.held(acme, amount="1", asset_code="USD") for _ in range(3))
    shop.done(old, "capture", amount="1")
    shop.done(middle, "void")
    assert listed() == [new["id"], middle["id"], old["id"]]
    assert listed(status="held") == [new["id"]]
    assert listed(status="captured") == [old["id"]]
    assert listed(status="voided") == [middle["id"]]
    assert listed(status="expired") == []
    assert listed(transaction_id=middle["transaction_id"]) == [middle["id"]]
    assert listed(per_page=2, page=2) == [old["id"]]
    assert shop.api.get("/authorizations?external_customer_id=nobody").json() == {
        "authorizations": [],
        "meta": {
            "current_page": 0,
            "next_page": None,
            "prev_page": None,
            "total_pages": 0,
            "total_count": 0,
        },
    }
    answer = shop.api.get("/authorizations", params={"status": "lost"})
    assert refused(answer) == {"status": ["value_is_invalid"]}
