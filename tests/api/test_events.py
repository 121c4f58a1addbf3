"""Usage events over HTTP: stored and charged at once, one by one and in batches, and taken back."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from invoicing.events import Event as StoredEvent
from tests.api.conftest import NewShop, Service
from tests.api.market import Json, Shop, refused, standard
from tests.conftest import PATIENCE
from wallet_service.embedded.redis import Redis
from wallet_service.services import open_services
from wallet_service.settings import Settings


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Calls at half a dollar, seconds at a dollar, by region."""
    shop = await new_shop("events")
    calls = shop.metric("calls")
    regions = {"region": ["eu", "us"]}
    seconds = shop.metric("seconds", field="n", **regions)
    only_eu = {"values": {"region": ["eu"]}, "properties": {"amount": "1"}}
    shop.plan(
        "plan",
        standard(calls, "0.5"),
        standard(seconds, "1", filters=[only_eu], properties={}),
    )
    return shop


@pytest.fixture
def acme(shop: Shop) -> str:
    """A customer with ten dollars."""
    return shop.customer("plan", granted_credits="10")


def seconds(n: object, region: str = "eu") -> Json:
    return {"code": "seconds", "properties": {"n": n, "region": region}}


def listed(shop: Shop, **query: object) -> list[Json]:
    answer = shop.api.get("/events", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"]


# --- one event


def test_an_event_is_charged_with_the_answer(shop: Shop, acme: str) -> None:
    event = shop.charged(external_subscription_id=f"{acme}-0", **seconds(3))
    (grant,) = shop.balances(acme)[0]["grants"]
    assert (event["rating_status"], event["unrated_reason"]) == ("rated", None)
    assert event["code"] == "seconds"
    assert event["external_subscription_id"] == f"{acme}-0"
    assert event["properties"] == {"n": 3, "region": "eu"}
    assert event["debits"] == [
        {
            "asset_code": "USD",
            "amount": "3",
            "overage": "0",
            "grants": [{"id": grant["id"], "amount": "3"}],
        }
    ]
    assert shop.balance(acme) == ("7", "0", "0")
    assert shop.api.get(f"/events/{event['transaction_id']}").json()["event"] == event


def test_a_customer_is_enough_where_one_subscription_prices_it(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, code="calls")
    assert event["external_subscription_id"] == f"{acme}-0"
    assert shop.balance(acme) == ("9.5", "0", "0")
    assert shop.api.get(f"/events/{event['transaction_id']}").json()["event"] == event
    found = listed(shop, external_customer_id=acme)
    assert found == [event]


def test_where_two_subscriptions_price_it_one_must_be_named(shop: Shop) -> None:
    acme = shop.customer("plan", "plan", granted_credits="10")
    answer = shop.event(external_customer_id=acme, code="calls")
    assert refused(answer) == {"external_subscription_id": ["value_is_mandatory"]}
    assert shop.balance(acme) == ("10", "0", "0")
    assert listed(shop, external_customer_id=acme) == []


def test_the_same_event_again_gets_the_first_answer(shop: Shop, acme: str) -> None:
    event = {"transaction_id": shop.unique("same"), "external_customer_id": acme, **seconds(1)}
    answers = [shop.post("/events", event=event) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert shop.balance(acme) == ("9", "0", "0")


def test_another_event_under_the_same_key_is_refused(shop: Shop, acme: str) -> None:
    event = {"transaction_id": shop.unique("same"), "external_customer_id": acme}
    shop.charged(**event, **seconds(1))
    answer = shop.event(**event, **seconds(2))
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}
    assert shop.balance(acme) == ("9", "0", "0")


def test_a_key_belongs_to_a_subscription(shop: Shop) -> None:
    acme = shop.customer("plan", "plan", granted_credits="10")
    key = shop.unique("same")
    for position in (0, 1):
        shop.charged(
            transaction_id=key, external_subscription_id=f"{acme}-{position}", **seconds(1)
        )
    assert shop.balance(acme) == ("8", "0", "0")
    for position in (0, 1):
        query = {"external_subscription_id": f"{acme}-{position}"}
        found = shop.api.get(f"/events/{key}", params=query).json()["event"]
        assert found["external_subscription_id"] == f"{acme}-{position}"


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"code": "teleports"}, "billable_metric_not_found"),
        ({"code": "seconds", "properties": {"region": "eu"}}, "missing_property"),
        ({"code": "seconds", "properties": {"n": 1}}, "missing_property"),
        (seconds(1, region="mars"), "price_not_found"),
        ({"code": "calls", "external_subscription_id": "nowhere"}, "subscription_not_found"),
        ({"code": "seconds", "properties": {"n": None, "region": "eu"}}, "missing_property"),
    ],
)
def test_what_nothing_prices_is_stored_and_says_why(
    shop: Shop, acme: str, terms: Json, reason: str
) -> None:
    event = shop.charged(external_customer_id=acme, **terms)
    told = event["rating_status"], event["unrated_reason"], event["debits"]
    assert told == ("unrated", reason, [])
    assert shop.balance(acme) == ("10", "0", "0")
    found = shop.api.get(f"/events/{event['transaction_id']}").json()["event"]
    assert found == event
    unrated = listed(shop, rating_status="unrated", code=terms["code"])
    assert event["lago_id"] in [one["lago_id"] for one in unrated]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"external_customer_id": "stranger"}, "customer_not_found"),
        ({"external_subscription_id": "stranger"}, "subscription_not_found"),
        ({}, "subscription_not_found"),
    ],
)
def test_usage_of_nobody_is_stored_too(shop: Shop, terms: Json, reason: str) -> None:
    event = shop.charged(code="calls", **terms)
    assert (event["unrated_reason"], event["lago_customer_id"]) == (reason, None)
    assert shop.post("/events", event={**terms, "code": "calls"}).status_code == 422
    again = shop.event(transaction_id=event["transaction_id"], code="calls", **terms)
    assert again.json()["event"] == event
    assert shop.api.get(f"/events/{event['transaction_id']}").json()["event"] == event


@pytest.mark.parametrize(
    ("terms", "details"),
    [
        ({"code": None}, {"code": ["value_is_mandatory"]}),
        ({"code": ""}, {"code": ["value_is_mandatory"]}),
        ({"code": "x" * 256}, {"code": ["value_is_too_long"]}),
        ({"transaction_id": None}, {"transaction_id": ["value_is_mandatory"]}),
        ({"transaction_id": ""}, {"transaction_id": ["value_is_mandatory"]}),
        ({"transaction_id": "x" * 256}, {"transaction_id": ["value_is_too_long"]}),
        ({"transaction_id": "authorization:7:x:0"}, {"transaction_id": ["value_is_invalid"]}),
        ({"transaction_id": "line\nbreak"}, {"transaction_id": ["value_is_invalid"]}),
        ({"properties": []}, {"properties": ["value_is_invalid"]}),
        ({"properties": {"n": "many", "region": "eu"}}, {"properties.n": ["value_is_invalid"]}),
        (
            {"external_subscription_id": "x" * 256},
            {"external_subscription_id": ["value_is_too_long"]},
        ),
        ({"external_customer_id": 7}, {"external_customer_id": ["value_is_invalid"]}),
        (
            {"precise_total_amount_cents": "lots"},
            {"precise_total_amount_cents": ["value_is_invalid"]},
        ),
    ],
)
def test_a_malformed_event_is_refused_and_not_stored(
    shop: Shop, acme: str, terms: Json, details: Json
) -> None:
    event = {"external_subscription_id": f"{acme}-0", **seconds(1), **terms}
    assert refused(shop.event(**event)) == details
    assert shop.balance(acme) == ("10", "0", "0")
    assert listed(shop, external_customer_id=acme) == []


@pytest.mark.parametrize("quantity", [-3, "-3", "-0.000001"])
def test_a_negative_quantity_corrects_usage_and_moves_no_money(
    shop: Shop, acme: str, quantity: object
) -> None:
    shop.charged(external_customer_id=acme, **seconds(5))
    correction = shop.charged(external_customer_id=acme, **seconds(quantity))
    assert (correction["rating_status"], correction["debits"]) == ("rated", [])
    assert shop.balance(acme) == ("5", "0", "0")
    answer = reverse(shop, correction, transaction_id=shop.unique("x"))
    assert answer.json()["event"]["debits"] == []
    answer = reverse(shop, correction, transaction_id=shop.unique("x"))
    assert refused(answer, 405) == "nothing_to_reverse"


def test_what_a_correction_took_back_is_free_when_it_is_used_again(shop: Shop) -> None:
    code = shop.unique("packages")
    charge = {
        "billable_metric_id": shop.metric(code, field="n"),
        "charge_model": "package",
        "properties": {"amount": "5", "package_size": 10},
    }
    acme = shop.customer(shop.plan(code, charge)["code"], granted_credits="100")
    paid = [
        shop.charged(external_customer_id=acme, code=code, properties={"n": n})["debits"]
        for n in (12, -4, 12, 1)
    ]
    # 12 units open two packages, with room for 12 more after the correction; the 21st opens one.
    assert [[debit["amount"] for debit in debits] for debits in paid] == [["10"], [], [], ["5"]]
    assert shop.balance(acme) == ("85", "0", "0")


def test_nulls_say_nothing_and_what_is_unknown_is_ignored(shop: Shop, acme: str) -> None:
    event = shop.charged(
        external_subscription_id=None,
        external_customer_id=acme,
        code="calls",
        timestamp=None,
        properties=None,
        precise_total_amount_cents=None,
        invented={"by": ["newer", "clients", None]},
    )
    assert (event["rating_status"], event["properties"]) == ("rated", {})


# --- when


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("decimals", ["", ".5", ".123456789"])
def test_a_time_is_seconds_as_number_or_text(
    shop: Shop, acme: str, as_text: bool, decimals: str
) -> None:
    at = int(time.time()) - 30
    text = f"{at}{decimals}"
    given = f'"{text}"' if as_text else text
    body = (
        f'{{"event": {{"transaction_id": "{shop.unique("at")}", "timestamp": {given}, '
        f'"external_customer_id": "{acme}", "code": "calls"}}}}'
    )
    answer = shop.api.post("/events", content=body)
    shown = datetime.fromisoformat(answer.json()["event"]["timestamp"])
    milliseconds = int((decimals[1:] + "000")[:3])
    assert shown == datetime.fromtimestamp(at, UTC) + timedelta(milliseconds=milliseconds)


def test_without_a_time_it_is_now(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, code="calls")
    assert event["timestamp"] == event["created_at"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(event["timestamp"])) < timedelta(
        seconds=120
    )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ('"2026-03-10T12:00:00Z"', "invalid_format"),
        ('"soon"', "invalid_format"),
        ('""', "invalid_format"),
        ('"-5"', "invalid_format"),
        ("-5", "invalid_format"),
        ("1e9", "invalid_format"),
        ("1e400", "invalid_format"),
        ("1e-400", "invalid_format"),
        ("true", "invalid_format"),
        ("[]", "invalid_format"),
        ("{}", "invalid_format"),
        ('"١٢٣"', "invalid_format"),
        ("9" * 4000, "invalid_format"),
        (f'"{"9" * 4000}"', "invalid_format"),
        ("1.0000000001", "invalid_format"),
        ("99999999999999", "invalid_format"),
    ],
)
def test_any_other_time_is_refused(shop: Shop, acme: str, given: str, code: str) -> None:
    body = (
        f'{{"event": {{"transaction_id": "{shop.unique("at")}", "timestamp": {given}, '
        f'"external_customer_id": "{acme}", "code": "calls"}}}}'
    )
    answer = shop.api.post("/events", content=body)
    if given == "1e9":  # a number is what it is worth, however it is written
        assert answer.status_code == 200
        return
    assert refused(answer) == {"timestamp": [code]}


def test_a_whole_second_covers_a_subscription_that_started_in_it(shop: Shop) -> None:
    acme = shop.customer("plan", granted_credits="10")
    subscription = shop.api.get(f"/customers/{acme}/subscriptions").json()["subscriptions"][0]
    started = int(datetime.fromisoformat(subscription["started_at"]).timestamp())
    event = {"external_subscription_id": f"{acme}-0", "code": "calls"}
    assert shop.charged(**event, timestamp=started)["rating_status"] == "rated"
    early = shop.charged(**event, timestamp=started - 1)
    assert (early["rating_status"], early["unrated_reason"]) == (
        "unrated",
        "subscription_not_found",
    )


# --- batches


def test_a_batch_is_answered_event_by_event(shop: Shop, acme: str) -> None:
    keys = [shop.unique("batch") for _ in range(4)]
    about: list[Json] = [
        {"external_customer_id": acme, **seconds(2)},
        {"external_subscription_id": f"{acme}-0", "code": "calls"},
        {"external_customer_id": acme, "code": "teleports"},
        {"external_customer_id": "stranger", "code": "calls"},
    ]
    events = [{"transaction_id": key, **one} for key, one in zip(keys, about, strict=True)]
    answer = shop.ok("/events/batch", events=events)["events"]
    assert [event["transaction_id"] for event in answer] == keys
    assert [event["rating_status"] for event in answer] == ["rated", "rated", "unrated", "unrated"]
    assert [debit["amount"] for event in answer for debit in event["debits"]] == ["2", "0.5"]
    assert shop.balance(acme) == ("7.5", "0", "0")
    for event in answer:
        assert shop.api.get(f"/events/{event['transaction_id']}").json()["event"] == event
    assert shop.ok("/events/batch", events=events)["events"] == answer
    assert shop.ok("/events/batch", events=events[::-1])["events"] == answer[::-1]
    assert shop.balance(acme) == ("7.5", "0", "0")


def test_a_batch_holds_a_thousand_events_and_no_more(shop: Shop) -> None:
    acme = shop.customer("plan", granted_credits="1000")
    batch = shop.unique("thousand")
    events = [
        {"transaction_id": f"{batch}-{n}", "external_customer_id": acme, "code": "calls"}
        for n in range(1001)
    ]
    answer = shop.post("/events/batch", events=events)
    assert refused(answer) == {"events": ["too_many_events"]}
    assert shop.balance(acme) == ("1000", "0", "0")
    assert len(shop.ok("/events/batch", events=events[:1000])["events"]) == 1000
    assert shop.balance(acme) == ("500", "0", "0")


def test_a_batch_of_nothing_is_refused(shop: Shop) -> None:
    assert refused(shop.post("/events/batch", events=[])) == {"events": ["no_events"]}


def test_malformed_events_refuse_the_whole_batch_by_index(shop: Shop, acme: str) -> None:
    good = {"transaction_id": shop.unique("good"), "external_customer_id": acme, "code": "calls"}
    events = [
        good,
        {"external_customer_id": acme, "code": "calls"},
        good | {"transaction_id": shop.unique("bad"), "code": ""},
        good | {"transaction_id": shop.unique("bad"), "timestamp": "soon"},
        good | {"transaction_id": shop.unique("bad"), **seconds("many")},
    ]
    assert refused(shop.post("/events/batch", events=events)) == {
        "1": {"transaction_id": ["value_is_mandatory"]},
        "2": {"code": ["value_is_mandatory"]},
        "3": {"timestamp": ["invalid_format"]},
        "4": {"properties.n": ["value_is_invalid"]},
    }
    wrong = [good, good | {"properties": 7}]
    answer = shop.post("/events/batch", events=wrong)
    assert refused(answer) == {"1": {"properties": ["value_is_invalid"]}}
    assert shop.balance(acme) == ("10", "0", "0")
    assert listed(shop, external_customer_id=acme) == []


def test_an_event_that_is_twice_in_a_batch_is_charged_once(shop: Shop, acme: str) -> None:
    event = {"transaction_id": shop.unique("twice"), "external_customer_id": acme, **seconds(1)}
    answer = shop.ok("/events/batch", events=[event] * 3)["events"]
    assert answer[0] == answer[1] == answer[2]
    assert shop.balance(acme) == ("9", "0", "0")
    assert len(listed(shop, external_customer_id=acme)) == 1


def test_another_event_under_a_known_key_refuses_the_batch_by_index(shop: Shop, acme: str) -> None:
    event = {"transaction_id": shop.unique("known"), "external_customer_id": acme}
    shop.charged(**event, **seconds(1))
    fresh = {"transaction_id": shop.unique("fresh"), "external_customer_id": acme, **seconds(1)}
    events = [fresh, event | seconds(2)]
    answer = shop.post("/events/batch", events=events)
    assert refused(answer) == {"1": {"transaction_id": ["value_already_exist"]}}


# --- who cannot pay


def test_usage_that_cannot_be_paid_is_owed_and_repaid_by_the_next_top_up(shop: Shop) -> None:
    acme = shop.customer("plan", granted_credits="2", code="main")
    event = shop.charged(external_customer_id=acme, **seconds(5))
    (debit,) = event["debits"]
    assert (debit["amount"], debit["overage"]) == ("2", "3")
    assert shop.balance(acme) == ("0", "0", "3")
    key = {"Idempotency-Key": shop.unique("top-up")}
    grant = {"external_customer_id": acme, "wallet_code": "main", "amount": "10"}
    shop.ok("/grants", key, grant=grant)
    assert shop.balance(acme) == ("7", "0", "0")


def test_where_the_wallet_rejects_an_event_is_402_and_not_stored(shop: Shop) -> None:
    acme = shop.customer("plan", granted_credits="2", on_shortfall="reject")
    event = {"transaction_id": shop.unique("reject"), "external_customer_id": acme}
    answer = shop.event(**event, **seconds(5))
    assert refused(answer, 402) == "insufficient_funds"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error_details"] == {
        "needed": "5",
        "available": "2",
        "asset_code": "USD",
    }
    assert shop.api.get(f"/events/{event['transaction_id']}").status_code == 404
    assert shop.balance(acme) == ("2", "0", "0")


def test_in_a_batch_a_rejected_event_does_not_stop_the_others(shop: Shop) -> None:
    acme = shop.customer("plan", granted_credits="2", on_shortfall="reject")
    keys = [shop.unique("reject") for _ in range(3)]
    events = [
        {"transaction_id": key, "external_customer_id": acme, **seconds(n)}
        for key, n in zip(keys, (1, 5, 1), strict=True)
    ]
    first, rejected, last = shop.ok("/events/batch", events=events)["events"]
    assert (first["rating_status"], last["rating_status"]) == ("rated", "rated")
    assert rejected == {
        "transaction_id": keys[1],
        "code": "seconds",
        "status": "rejected",
        "error_code": "insufficient_funds",
        # Who is refused is judged again, under locks, when the others are through.
        "error_details": {"needed": "5", "available": "0", "asset_code": "USD"},
    }
    assert shop.api.get(f"/events/{keys[1]}").status_code == 404
    assert shop.balance(acme) == ("0", "0", "0")


def test_without_a_wallet_usage_is_stored_and_nothing_is_debited_or_owed(shop: Shop) -> None:
    postpaid = shop.customer("plan")
    event = shop.charged(external_customer_id=postpaid, **seconds(5))
    assert (event["rating_status"], event["debits"]) == ("postpaid", [])
    assert shop.balances(postpaid) == []
    (found,) = listed(shop, external_customer_id=postpaid, rating_status="postpaid")
    assert found == event
    shop.wallet(postpaid, granted_credits="10")
    assert shop.balance(postpaid) == ("10", "0", "0")


# --- reversal


def reverse(shop: Shop, event: Json, **terms: object):
    return shop.post(f"/events/{event['transaction_id']}/reverse", reverse=terms)


def test_an_event_is_taken_back(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, **seconds(3))
    key = shop.unique("reverse")
    answer = reverse(shop, event, transaction_id=key)
    line = answer.json()["event"]
    assert (line["transaction_id"], line["code"]) == (key, "seconds")
    assert [debit["amount"] for debit in line["debits"]] == ["-3"]
    assert reverse(shop, event, transaction_id=key).content == answer.content
    assert shop.balance(acme) == ("10", "0", "0")
    assert shop.api.get(f"/events/{key}").json()["event"] == line
    again = reverse(shop, event, transaction_id=shop.unique("reverse"))
    assert refused(again, 405) == "nothing_to_reverse"


def test_an_event_is_taken_back_in_parts_and_never_more_than_all(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, **seconds(3))
    key = shop.unique("part")
    assert reverse(shop, event, transaction_id=key, amount="1.25").status_code == 200
    answer = reverse(shop, event, transaction_id=key, amount="1")
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}
    answer = reverse(shop, event, transaction_id=shop.unique("part"), amount="1.76")
    assert refused(answer) == {"amount": ["amount_above_maximum"]}
    assert shop.balance(acme) == ("8.25", "0", "0")
    assert reverse(shop, event, transaction_id=shop.unique("part")).status_code == 200
    assert shop.balance(acme) == ("10", "0", "0")


def test_taking_back_what_is_owed_lowers_what_is_owed(shop: Shop) -> None:
    acme = shop.customer("plan", granted_credits="2")
    event = shop.charged(external_customer_id=acme, **seconds(5))
    assert reverse(shop, event, transaction_id=shop.unique("owed"), amount="1").status_code == 200
    assert shop.balance(acme) == ("0", "0", "2")
    assert reverse(shop, event, transaction_id=shop.unique("owed")).status_code == 200
    assert shop.balance(acme) == ("2", "0", "0")


def test_a_reversal_needs_a_key_of_its_own(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, **seconds(3))
    assert refused(reverse(shop, event)) == {"transaction_id": ["value_is_mandatory"]}
    answer = reverse(shop, event, transaction_id="authorization:x:y:0")
    assert refused(answer) == {"transaction_id": ["value_is_invalid"]}
    answer = reverse(shop, event, transaction_id=event["transaction_id"])
    assert refused(answer) == {"transaction_id": ["value_already_exist"]}
    key = {"Idempotency-Key": shop.unique("header")}
    path = f"/events/{event['transaction_id']}/reverse"
    for _ in range(2):
        shop.ok(path, key, reverse={"amount": "1"})
    assert shop.balance(acme) == ("8", "0", "0")


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "1e3", "", "١", "1" * 4000])
def test_a_reversal_is_of_an_amount(shop: Shop, acme: str, amount: str) -> None:
    event = shop.charged(external_customer_id=acme, **seconds(3))
    answer = reverse(shop, event, transaction_id=shop.unique("bad"), amount=amount)
    assert list(refused(answer)) == ["amount"]
    assert shop.balance(acme) == ("7", "0", "0")


def test_what_was_never_charged_cannot_be_taken_back(shop: Shop, acme: str) -> None:
    unrated = shop.charged(external_customer_id=acme, code="teleports")
    answer = reverse(shop, unrated, transaction_id=shop.unique("x"))
    assert refused(answer, 405) == "nothing_to_reverse"
    answer = reverse(shop, {"transaction_id": "nowhere"}, transaction_id=shop.unique("x"))
    assert refused(answer, 404) == "event_not_found"
    hold = shop.held(acme, amount="1", asset_code="USD")
    shop.done(hold, "capture", amount="1")
    usage = {"transaction_id": f"authorization:{hold['id']}:final:0"}
    assert shop.api.get(f"/events/{usage['transaction_id']}").status_code == 200
    answer = reverse(shop, usage, transaction_id=shop.unique("x"))
    assert refused(answer, 405) == "nothing_to_reverse"


def test_what_nobody_has_paid_can_be_taken_back_once_too(shop: Shop) -> None:
    customer = shop.customer("plan")
    postpaid = shop.charged(external_customer_id=customer, **seconds(1))
    key = shop.unique("reversal")
    line = reverse(shop, postpaid, transaction_id=key).json()["event"]
    assert (line["rating_status"], line["debits"]) == ("postpaid", [])
    again = reverse(shop, postpaid, transaction_id=shop.unique("x"))
    assert refused(again, 405) == "nothing_to_reverse"
    of_itself = reverse(shop, {"transaction_id": key}, transaction_id=shop.unique("x"))
    assert refused(of_itself, 405) == "nothing_to_reverse"
    assert shop.balances(customer) == []


# --- what becomes of unrated events


async def test_an_event_that_names_only_a_customer_is_charged_once_there_is_a_price(
    shop: Shop, service: Service, redis_server: Redis
) -> None:
    acme = shop.customer("plan", granted_credits="10")
    code = shop.unique("new metric")
    event = shop.charged(external_customer_id=acme, code=code)
    assert event["unrated_reason"] == "billable_metric_not_found"
    price = standard(shop.metric(code), "2")
    plan = shop.plan(shop.unique("new plan"), price)
    shop.subscribe(acme, plan["code"], shop.unique("later"))
    settings = Settings(
        database_url=service.dsn,
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
    )
    async with open_services(settings) as services:
        row = await services.database.worker.fetchrow(
            "select * from invoicing.events where id = $1", event["lago_id"]
        )
        stored = StoredEvent.of(row)
        assert await services.usage.redrive(stored, now=datetime.now(UTC))
    (found,) = listed(shop, external_customer_id=acme)
    assert (found["rating_status"], found["lago_id"]) == ("rated", event["lago_id"])
    assert [debit["amount"] for debit in found["debits"]] == ["2"]
    assert shop.balance(acme) == ("8", "0", "0")


def test_usage_of_a_customer_without_a_subscription_is_stored_and_unrated(shop: Shop) -> None:
    event = shop.charged(external_customer_id=shop.customer(), code="calls")
    assert event["rating_status"] == "unrated"
