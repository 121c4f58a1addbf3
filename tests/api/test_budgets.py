"""Budgets as clients meet them: what each scope counts, what is refused, what is told."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Raw

from tests.api.conftest import NewShop, Service, open_account
from tests.api.market import Json, Shop, refused, standard

AMOUNT = {"asset_code": "USD"}


def raw(shop: Shop, path: str, **body: Any) -> httpx.Response:
    """Post an envelope in which numbers may stand that Python has none like, as `Raw`."""
    return shop.api.post(path, content=msgspec.json.encode(body))


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Calls at a dollar each, by model and user; tokens at a dollar each."""
    shop = await new_shop("budgets")
    calls = shop.metric("calls", field="n", model=["large", "small"])
    tokens = shop.metric("tokens", field="n")
    shop.plan("plan", standard(calls, "1"), standard(tokens, "1"))
    return shop


def customer(shop: Shop, dollars: int = 1_000) -> str:
    return shop.customer("plan", granted_credits=str(dollars))


def budget(shop: Shop, limit: int | str, **terms: Any) -> Json:
    given = {"code": shop.unique("budget"), "limit": str(limit), "asset_code": "USD"} | terms
    return shop.ok("/budgets", budget=given)["budget"]


def item(n: int, code: str = "calls", **properties: Any) -> Json:
    return {"code": code, "properties": {"n": n, **properties}}


def ask(shop: Shop, who: str, n: int, **properties: Any) -> httpx.Response:
    return shop.authorize(who, items=[item(n, **properties)])


def passes(shop: Shop, who: str, n: int, **properties: Any) -> Json:
    answer = ask(shop, who, n, **properties)
    assert answer.status_code == 200, answer.text
    return answer.json()["authorization"]


def denial(answer: httpx.Response) -> Json:
    assert refused(answer, 402) == "budget_exceeded"
    return answer.json()["error_details"]


def usage(shop: Shop, made: Json, **query: str) -> list[Json]:
    answer = shop.api.get(f"/budgets/{made['code']}/usage", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["usage"]


def standing(shop: Shop, made: Json, bucket: str = "") -> tuple[str, str, str]:
    """Spent, held, remaining."""
    (row,) = [row for row in usage(shop, made) if row["bucket"] == bucket]
    return row["spent"], row["held"], row["remaining"]


# -- the resource ----------------------------------------------------------------------------------


def test_a_budget_is_shown_as_it_was_made(shop: Shop):
    who = customer(shop)
    made = budget(
        shop,
        "12.5",
        name="Agents",
        mode="soft",
        external_customer_id=who,
        external_subscription_id=f"{who}-0",
        billable_metric_code="calls",
        filters={"model": ["small", "large", "small"]},
        per="user_id",
        window={"type": "calendar", "interval": "month", "timezone": "Europe/Berlin"},
        alert_thresholds=[{"percentage": 100}, {"percentage": 80, "rearm_below": 50}],
    )
    assert made | {"id": "", "code": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "code": "",
        "name": "Agents",
        "asset_code": "USD",
        "limit": "12.5",
        "mode": "soft",
        "external_customer_id": who,
        "external_subscription_id": f"{who}-0",
        "billable_metric_code": "calls",
        "api_key_id": None,
        "filters": {"model": ["large", "small"]},
        "per": "user_id",
        "window": {"type": "calendar", "interval": "month", "timezone": "Europe/Berlin"},
        "alert_thresholds": [
            {"percentage": 80, "rearm_below": 50},
            {"percentage": 100, "rearm_below": 90},
        ],
        "created_at": "",
        "updated_at": "",
    }
    found = shop.api.get(f"/budgets/{made['code']}").json()["budget"]
    assert found == made
    listed = shop.api.get("/budgets", params={"external_customer_id": who}).json()
    assert listed["budgets"] == [made]
    assert listed["meta"]["total_count"] == 1
    assert made in shop.api.get("/budgets").json()["budgets"]


def test_the_rest_is_filled_in(shop: Shop):
    made = budget(shop, 5_000, billable_metric_code="amount")
    assert (made["name"], made["mode"], made["window"]) == (made["code"], "hard", None)
    rolling = budget(shop, 5, window={"type": "rolling", "seconds": 60}, per="nobody")
    assert rolling["window"] == {"type": "rolling", "seconds": 60}


def test_its_name_limit_mode_and_alerts_may_change(shop: Shop):
    who = customer(shop)
    made = budget(shop, 10, external_customer_id=who)
    passes(shop, who, 10)
    path = f"/budgets/{made['code']}"
    answer = shop.api.put(path, json={"budget": {"limit": "15", "name": "More"}})
    changed = answer.json()["budget"]
    assert (changed["limit"], changed["name"], changed["mode"]) == ("15", "More", "hard")
    passes(shop, who, 5)
    assert denial(ask(shop, who, 1))["budget"]["limit"] == "15"
    shop.api.put(path, json={"budget": {"mode": "soft", "alert_thresholds": [{"percentage": 5}]}})
    told = passes(shop, who, 1)["budget_warnings"]
    assert [(one["code"], one["mode"]) for one in told] == [(made["code"], "soft")]
    assert shop.api.put(path, json={"budget": {}}).json()["budget"]["alert_thresholds"] == [
        {"percentage": 5, "rearm_below": 0}
    ]


def test_a_deleted_budget_limits_nothing_and_its_code_is_free(shop: Shop):
    who = customer(shop)
    made = budget(shop, 1, external_customer_id=who)
    held = passes(shop, who, 1)
    assert denial(ask(shop, who, 1))
    answer = shop.api.delete(f"/budgets/{made['code']}")
    assert answer.json()["budget"]["id"] == made["id"]
    passes(shop, who, 5)
    shop.done(held, "capture", items=[item(7)])
    for method, path in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/usage"),
        ("GET", "/alerts"),
    ):
        body = {"json": {"budget": {}}} if method == "PUT" else {}
        answer = shop.api.request(method, f"/budgets/{made['code']}{path}", **body)
        assert refused(answer, 404) == "budget_not_found"
    again = budget(shop, 2, code=made["code"], external_customer_id=who)
    assert again["id"] != made["id"]
    assert standing(shop, again) == ("0", "0", "2")


# -- what counts -----------------------------------------------------------------------------------


def test_the_denial_names_the_budget_and_where_it_stands(shop: Shop):
    who = customer(shop)
    made = budget(
        shop,
        10,
        name="Daily",
        external_customer_id=who,
        window={"type": "calendar", "interval": "day"},
    )
    shop.charged(external_customer_id=who, code="calls", properties={"n": 3})
    passes(shop, who, 4)
    answer = ask(shop, who, 4)
    details = denial(answer)
    assert answer.headers["x-should-retry"] == "false"
    assert details["budget"].pop("resets_at").endswith("T00:00:00Z")
    assert details == {
        "needed": "4",
        "available": "3",
        "asset_code": "USD",
        "budget": {
            "id": made["id"],
            "code": made["code"],
            "name": "Daily",
            "bucket": "",
            "mode": "hard",
            "asset_code": "USD",
            "limit": "10",
            "spent": "3",
            "held": "4",
            "needed": "4",
        },
    }
    passes(shop, who, 3)
    assert standing(shop, made) == ("3", "7", "0")


def test_the_life_of_a_hold_in_a_budget(shop: Shop):
    who = customer(shop)
    made = budget(shop, 100, external_customer_id=who)
    hold = passes(shop, who, 60)
    shop.done(hold, "extend", items=[item(20)], transaction_id=shop.unique("more"))
    assert denial(shop.on(hold, "extend", items=[item(21)], transaction_id=shop.unique("more")))
    assert standing(shop, made) == ("0", "80", "20")
    key = {"transaction_id": shop.unique("usage")}
    shop.done(hold, "capture", items=[item(50)], final=False, **key)
    shop.done(hold, "capture", items=[item(50)], final=False, **key)  # a repeat
    assert standing(shop, made) == ("50", "30", "20")
    shop.done(hold, "capture", items=[item(10)])
    assert standing(shop, made) == ("60", "0", "40")
    shop.done(hold, "refund", amount="25", transaction_id=shop.unique("refund"))
    assert standing(shop, made) == ("35", "0", "65")
    shop.done(passes(shop, who, 65), "void")
    event = shop.charged(external_customer_id=who, code="calls", properties={"n": 90})
    assert standing(shop, made) == ("125", "0", "0")
    reverse = {"transaction_id": shop.unique("undo"), "amount": "30"}
    shop.ok(f"/events/{event['transaction_id']}/reverse", reverse=reverse)
    assert standing(shop, made) == ("95", "0", "5")
    reverse = {"transaction_id": shop.unique("undo")}
    shop.ok(f"/events/{event['transaction_id']}/reverse", reverse=reverse)
    assert standing(shop, made) == ("35", "0", "65")


def test_a_hold_of_an_amount_counts_as_the_metric_amount(shop: Shop):
    who = customer(shop)
    made = budget(shop, 10, external_customer_id=who, billable_metric_code="amount")
    hold = shop.held(who, amount="10", **AMOUNT)
    assert denial(shop.authorize(who, amount="1", **AMOUNT))
    passes(shop, who, 5)
    shop.done(hold, "capture")  # all of it
    assert standing(shop, made) == ("10", "0", "0")


def test_what_one_customer_spends_is_not_the_others_matter(shop: Shop):
    who, other = customer(shop), customer(shop)
    budget(shop, 5, external_customer_id=who)
    passes(shop, other, 50)
    passes(shop, who, 5)
    assert denial(ask(shop, who, 1))


def test_each_customer_may_have_its_own(shop: Shop):
    who, other = customer(shop), customer(shop)
    made = budget(shop, 5, per="customer", filters={"test": ["each"]})
    held = passes(shop, who, 5, test="each")
    passes(shop, other, 3, test="each")
    details = denial(ask(shop, who, 1, test="each"))
    rows = {row["external_customer_id"]: row for row in usage(shop, made)}
    assert details["budget"]["bucket"] == rows[who]["bucket"]
    assert (rows[who]["held"], rows[other]["held"]) == ("5", "3")
    assert usage(shop, made, external_customer_id=other) == [rows[other]]
    shop.done(held, "capture", items=[item(2, test="each")])
    assert usage(shop, made, external_customer_id=who)[0]["spent"] == "2"


def test_a_subscription_is_a_scope_and_each_may_have_its_own(shop: Shop):
    who = customer(shop)
    shop.subscribe(who, "plan", f"{who}-second")
    made = budget(shop, 5, external_subscription_id=f"{who}-0")
    each = budget(shop, 8, per="subscription", external_customer_id=who)

    def on(subscription: str, n: int) -> httpx.Response:
        return shop.authorize(
            who, items=[item(n)], external_subscription_id=f"{who}-{subscription}"
        )

    assert on("0", 5).status_code == 200
    assert denial(on("0", 1))["budget"]["code"] == made["code"]
    assert on("second", 8).status_code == 200
    assert denial(on("second", 1))["budget"]["bucket"] == f"{who}-second"
    assert {row["bucket"]: row["held"] for row in usage(shop, each)} == {
        f"{who}-0": "5",
        f"{who}-second": "8",
    }
    shop.charged(external_subscription_id=f"{who}-0", code="calls", properties={"n": 2})
    assert standing(shop, made) == ("2", "5", "0")


def test_a_metric_and_a_model_are_scopes(shop: Shop):
    who = customer(shop)
    calls = budget(shop, 10, external_customer_id=who, billable_metric_code="calls")
    large = budget(shop, 4, external_customer_id=who, filters={"model": ["large", "huge"]})
    passes(shop, who, 4, model="large")
    assert denial(ask(shop, who, 1, model="large"))["budget"]["code"] == large["code"]
    assert denial(shop.authorize(who, items=[item(1, "tokens", model="huge")]))
    passes(shop, who, 6, model="small")
    assert denial(ask(shop, who, 1))["budget"]["code"] == calls["code"]
    shop.held(who, items=[item(50, "tokens")])
    assert (standing(shop, calls), standing(shop, large)) == (("0", "10", "0"), ("0", "4", "0"))


def test_each_end_user_may_have_its_own(shop: Shop):
    who, other = customer(shop), customer(shop)
    made = budget(shop, 5, per="user_id", filters={"test": ["users"]})
    passes(shop, who, 5, user_id="ann", test="users")
    assert denial(ask(shop, other, 1, user_id="ann", test="users"))["budget"]["bucket"] == "ann"
    passes(shop, who, 5, user_id="bob", test="users")
    passes(shop, who, 50, test="users")  # of nobody
    passes(shop, who, 5, user_id=7, test="users")
    assert denial(ask(shop, who, 1, user_id="7", test="users"))
    passes(shop, who, 5, user_id="x" * 5_000, test="users")
    assert denial(ask(shop, who, 1, user_id="x" * 5_000, test="users"))
    passes(shop, who, 5, user_id="x" * 5_000 + "y", test="users")
    rows = usage(shop, made)
    assert [row["bucket"][:3] for row in rows] == ["7", "ann", "bob", "xxx", "xxx"]
    assert usage(shop, made, bucket="ann") == [rows[1]]
    page = shop.api.get(f"/budgets/{made['code']}/usage", params={"per_page": 2, "page": 2}).json()
    assert page["usage"] == rows[2:4]
    assert page["meta"]["total_count"] == 5


NAMELESS = {
    "a list": ["ann"],
    "an empty list": [],
    "an object": {"id": "ann"},
    "forty digits": 1e40,
    "more than a float holds": Raw(b"1e400"),
    "less than a float holds": Raw(b"1e-400"),
    "thirty-one digits": Raw(b"1234567890123456789012345678901.5"),
}


@pytest.mark.parametrize("what", NAMELESS)
def test_what_names_no_end_user_is_refused_before_and_not_counted_after(shop: Shop, what: str):
    who = customer(shop)
    made = budget(shop, 5, external_customer_id=who, per="user_id")
    items = [item(1), item(1, user_id=NAMELESS[what])]
    told = {"items.1.properties.user_id": ["value_is_invalid"]}
    given: Json = {"external_customer_id": who, "items": items}
    key = shop.unique("call")
    asked = given | {"transaction_id": key}
    assert refused(raw(shop, "/authorizations", authorization=asked)) == told
    assert refused(raw(shop, "/authorizations/estimate", authorization=given)) == told
    hold = passes(shop, who, 5, user_id="ann")
    path = f"/authorizations/{hold['id']}"
    more = {"transaction_id": shop.unique("more"), "items": items}
    assert refused(raw(shop, f"{path}/extend", extend=more)) == told
    # What was used was used: it is paid for, and counted where it says for whom.
    answer = raw(shop, f"{path}/capture", capture={"items": [*items, item(2, user_id="ann")]})
    assert answer.json()["authorization"]["captured_amount"] == "4"
    event = {
        "transaction_id": shop.unique("event"),
        "external_customer_id": who,
        "code": "calls",
        "properties": {"n": 3, "user_id": NAMELESS[what]},
    }
    answer = raw(shop, "/events", event=event)
    assert answer.json()["event"]["debits"][0]["amount"] == "3"
    assert [(row["bucket"], row["spent"]) for row in usage(shop, made)] == [("ann", "2")]


@pytest.mark.parametrize("nobody", [{}, {"user_id": None}, {"user_id": ""}])
def test_usage_of_nobody_is_limited_by_no_budget_per_user(shop: Shop, nobody: Json):
    who = customer(shop)
    made = budget(shop, 5, external_customer_id=who, per="user_id")
    hold = passes(shop, who, 50, **nobody)
    shop.done(hold, "capture", items=[item(50, **nobody)])
    shop.charged(external_customer_id=who, code="calls", properties={"n": 50} | nobody)
    assert usage(shop, made) == []


@pytest.mark.parametrize(
    ("given", "bucket"),
    [
        (True, "true"),
        (7, "7"),
        (Raw(b"7.0"), "7.0"),
        (-1, "-1"),
        (Raw(b"1e3"), "1000"),
        (" ", " "),
        ("жук\u2028'\"\\", "жук\u2028'\"\\"),
        ("customer", "customer"),
        ("\U0001f600" * 255, "\U0001f600" * 255),
    ],
)
def test_odd_names_of_end_users_are_buckets(shop: Shop, given: object, bucket: str):
    who = customer(shop)
    made = budget(shop, 5, external_customer_id=who, per="user_id")
    for _ in range(2):
        event = {
            "transaction_id": shop.unique("event"),
            "external_customer_id": who,
            "code": "calls",
            "properties": {"n": 2, "user_id": given},
        }
        assert raw(shop, "/events", event=event).status_code == 200
    assert standing(shop, made, bucket) == ("4", "0", "1")
    assert usage(shop, made, bucket=bucket) == usage(shop, made)
    asked = {
        "transaction_id": shop.unique("call"),
        "external_customer_id": who,
        "items": [item(2, user_id=given)],
    }
    assert denial(raw(shop, "/authorizations", authorization=asked))["budget"]["bucket"] == bucket


async def test_an_api_key_is_a_scope_and_each_may_have_its_own(shop: Shop, service: Service):
    who = customer(shop)
    keys = [shop.ok("/api_keys", api_key={"name": name})["api_key"] for name in ("one", "two")]
    first, second = keys
    one = budget(shop, 5, api_key_id=first["id"])
    each = budget(shop, 7, per="api_key", external_customer_id=who)
    with ExitStack() as clients:
        mine, theirs = (
            Shop(
                clients.enter_context(
                    httpx.Client(
                        base_url=f"{service.url}/api/v1",
                        headers={"Authorization": f"Bearer {key['value']}"},
                        trust_env=False,
                        timeout=60,
                    )
                ),
                shop.unique("key"),
            )
            for key in keys
        )
        hold = passes(mine, who, 5)
        assert denial(ask(mine, who, 1))["budget"]["code"] == one["code"]
        passes(theirs, who, 7)
        assert denial(ask(theirs, who, 1))["budget"]["bucket"] == second["id"]
        theirs.charged(external_customer_id=who, code="calls", properties={"n": 1})
        # Whoever captures it: it is spending of the key that asked.
        theirs.done(hold, "capture", items=[item(4)])
    assert standing(shop, one) == ("4", "0", "1")
    assert {row["bucket"]: (row["spent"], row["held"]) for row in usage(shop, each)} == {
        first["id"]: ("4", "0"),
        second["id"]: ("1", "7"),
    }


def test_usage_in_another_asset_is_not_counted(shop: Shop):
    who = customer(shop)
    shop.ok("/assets", asset={"code": "HOUR", "name": "Hours", "scale": 2})
    shop.wallet(who, asset_code="HOUR", granted_credits="50")
    hours = budget(shop, 10, asset_code="HOUR", external_customer_id=who)
    dollars = budget(shop, 10, external_customer_id=who)
    shop.held(who, amount="10", asset_code="HOUR")
    assert denial(shop.authorize(who, amount="0.01", asset_code="HOUR"))["asset_code"] == "HOUR"
    passes(shop, who, 10)
    assert standing(shop, hours) == standing(shop, dollars) == ("0", "10", "0")


def test_a_partial_authorization_takes_what_the_budget_leaves(shop: Shop):
    who = customer(shop)
    budget(shop, 10, external_customer_id=who)
    answer = shop.authorize(who, items=[item(50)], partial=True)
    assert answer.json()["authorization"]["amount"] == "10"
    assert denial(shop.authorize(who, items=[item(1)], partial=True))


def test_an_event_is_never_refused_by_a_budget(shop: Shop):
    who = customer(shop, 10)
    made = budget(shop, 5, external_customer_id=who)
    charged = shop.charged(external_customer_id=who, code="calls", properties={"n": 30})
    assert charged["debits"][0]["overage"] == "20"
    assert standing(shop, made) == ("30", "0", "0")


def test_events_of_a_batch_count(shop: Shop):
    who = customer(shop)
    made = budget(shop, 100, external_customer_id=who)
    events = [
        {
            "transaction_id": shop.unique("event"),
            "external_customer_id": who,
            "code": "calls",
            "properties": {"n": 5},
        }
        for _ in range(10)
    ]
    shop.ok("/events/batch", events=events)
    shop.ok("/events/batch", events=events)  # a repeat
    assert standing(shop, made) == ("50", "0", "50")


# -- asking ----------------------------------------------------------------------------------------


def test_an_estimate_knows_of_budgets_and_a_check_does_not(shop: Shop):
    who = customer(shop)
    made = budget(shop, 10, external_customer_id=who)
    soft = budget(shop, 2, external_customer_id=who, mode="soft")

    def estimate(n: int, question: str = "estimate") -> Json:
        given = {"external_customer_id": who, "items": [item(n)]}
        return shop.ok(f"/authorizations/{question}", authorization=given)["estimate"]

    assert estimate(2)["budget_warnings"] == []
    told = estimate(3)
    assert (told["sufficient"], told["code"]) == (True, None)
    assert [one["code"] for one in told["budget_warnings"]] == [soft["code"]]
    passes(shop, who, 6)
    told = estimate(5)
    assert (told["sufficient"], told["code"]) == (False, "budget_exceeded")
    refusing = told["error_details"]["budget"]
    assert (refusing["code"], refusing["held"], refusing["needed"]) == (made["code"], "6", "5")
    assert estimate(5, "check")["sufficient"]
    assert standing(shop, made) == ("0", "6", "4")


async def test_who_has_no_budget_is_told_of_none(new_shop: NewShop):
    shop = await new_shop("unlimited")
    shop.plan("plan", standard(shop.metric("calls", field="n"), "1"))
    who = customer(shop)
    assert "budget_warnings" not in passes(shop, who, 3)
    given = {"external_customer_id": who, "items": [item(2)]}
    estimate = shop.ok("/authorizations/estimate", authorization=given)["estimate"]
    assert "budget_warnings" not in estimate


# -- windows, alerts -------------------------------------------------------------------------------


def test_usage_says_from_when_to_when(shop: Shop):
    who = customer(shop)
    rows = [
        usage(shop, budget(shop, 5, external_customer_id=who, **window))[0]
        for window in (
            {},
            {"window": {"type": "calendar", "interval": "year"}},
            {"window": {"type": "rolling", "seconds": 3600}},
        )
    ]
    assert (rows[0]["window_start"], rows[0]["window_end"]) == (None, None)
    assert rows[1]["window_start"].endswith("-01-01T00:00:00Z")
    assert rows[1]["window_end"].endswith("-01-01T00:00:00Z")
    assert rows[2]["window_start"] < rows[2]["window_end"]
    assert all(row["remaining"] == "5" for row in rows)


@pytest.mark.parametrize("seconds", [60, 3600])
def test_a_rolling_window_counts_what_was_just_spent(shop: Shop, seconds: int):
    who = customer(shop)
    made = budget(shop, 5, external_customer_id=who, window={"type": "rolling", "seconds": seconds})
    shop.charged(external_customer_id=who, code="calls", properties={"n": 3})
    details = denial(ask(shop, who, 3))
    assert details["budget"]["resets_at"] is not None
    assert standing(shop, made) == ("3", "0", "2")


def test_alerts_are_listed_newest_first(shop: Shop):
    who = customer(shop)
    made = budget(
        shop,
        10,
        external_customer_id=who,
        per="user_id",
        alert_thresholds=[{"percentage": 50}, {"percentage": 100}],
    )

    def alerts(**query: str) -> list[tuple[str, int, str]]:
        answer = shop.api.get(f"/budgets/{made['code']}/alerts", params=query).json()
        assert answer["meta"]["total_count"] == len(answer["alerts"])
        return [(one["bucket"], one["percentage"], one["spent"]) for one in answer["alerts"]]

    def use(n: int, user: str) -> Json:
        properties = {"n": n, "user_id": user}
        return shop.charged(external_customer_id=who, code="calls", properties=properties)

    assert alerts() == []
    event = use(5, "ann")
    assert alerts() == [("ann", 50, "5")]
    use(12, "bob")
    assert sorted(alerts()[:2]) == [("bob", 50, "12"), ("bob", 100, "12")]
    use(1, "ann")
    shop.ok(
        f"/events/{event['transaction_id']}/reverse", reverse={"transaction_id": shop.unique("u")}
    )
    use(6, "ann")
    assert alerts(bucket="ann") == [("ann", 50, "7"), ("ann", 50, "5")]


def test_a_capture_raises_alerts(shop: Shop):
    who = customer(shop)
    made = budget(shop, 10, external_customer_id=who, alert_thresholds=[{"percentage": 80}])
    shop.done(passes(shop, who, 9), "capture", items=[item(9)])
    (alert,) = shop.api.get(f"/budgets/{made['code']}/alerts").json()["alerts"]
    assert {name: alert[name] for name in ("budget_code", "spent", "limit", "asset_code")} == {
        "budget_code": made["code"],
        "spent": "9",
        "limit": "10",
        "asset_code": "USD",
    }


# -- at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["hard", "soft"])
async def test_fifty_at_once_hold_exactly_the_limit_of_an_organization(
    new_shop: NewShop, mode: str
):
    shop = await new_shop(f"crowd-{mode}")
    shop.plan("plan", standard(shop.metric("calls", field="n"), "1"))
    crowd = [customer(shop) for _ in range(10)]
    made = budget(shop, 100, mode=mode, alert_thresholds=[{"percentage": 50}])
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: ask(shop, crowd[n % 10], 7), range(50)))
    accepted = [answer for answer in answers if answer.status_code == 200]
    if mode == "hard":
        assert len(accepted) == 14
        for answer in answers:
            if answer.status_code != 200:
                assert denial(answer)["budget"]["code"] == made["code"]
        assert standing(shop, made) == ("0", "98", "2")
    else:
        assert len(accepted) == 50
        warned = ["budget_warnings" in answer.json()["authorization"] for answer in accepted]
        assert warned.count(True) == 36
        assert standing(shop, made) == ("0", "350", "0")
    holds = [answer.json()["authorization"] for answer in accepted]
    with ThreadPoolExecutor(16) as threads:
        captured = list(threads.map(lambda hold: shop.on(hold, "capture", items=[item(5)]), holds))
    assert all(answer.status_code == 200 for answer in captured)
    assert standing(shop, made)[:2] == (str(5 * len(holds)), "0")
    assert len(shop.api.get(f"/budgets/{made['code']}/alerts").json()["alerts"]) == 1


# -- bad input -------------------------------------------------------------------------------------

GOOD = {"code": "good", "limit": "1", "asset_code": "USD"}


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"code": ""}, "code", "invalid_format"),
        ({"code": "a/b"}, "code", "invalid_format"),
        ({"code": "ü"}, "code", "invalid_format"),
        ({"code": 7}, "code", "value_is_invalid"),
        ({"code": "x" * 256}, "code", "value_is_too_long"),
        ({"limit": "-1"}, "limit", "negative"),
        ({"limit": "1e999999"}, "limit", "not_a_decimal"),
        ({"limit": "NaN"}, "limit", "not_a_decimal"),
        ({"limit": 5}, "limit", "value_is_invalid"),
        ({"limit": "9" * 40}, "limit", "too_large"),
        ({"limit": "0.0000000001"}, "limit", "too_many_decimals"),
        ({"asset_code": "NOTHING"}, "asset_code", "asset_not_found"),
        ({"name": " "}, "name", "value_is_mandatory"),
        ({"mode": "firm"}, "mode", "value_is_invalid"),
        ({"external_customer_id": "nobody"}, "external_customer_id", "customer_not_found"),
        ({"external_customer_id": ""}, "external_customer_id", "value_is_mandatory"),
        ({"external_customer_id": None}, "external_customer_id", "value_is_mandatory"),
        (
            {"external_subscription_id": "none"},
            "external_subscription_id",
            "subscription_not_found",
        ),
        ({"billable_metric_code": "none"}, "billable_metric_code", "billable_metric_not_found"),
        ({"api_key_id": "none"}, "api_key_id", "api_key_not_found"),
        (
            {"api_key_id": "01a1fe42-5b58-750c-a7cf-d077574295a0"},
            "api_key_id",
            "api_key_not_found",
        ),
        ({"filters": {"model": []}}, "filters", "invalid_count"),
        ({"filters": {"model": "large"}}, "filters", "value_is_invalid"),
        ({"filters": {"": ["large"]}}, "filters", "value_is_too_long"),
        ({"per": ""}, "per", "value_is_mandatory"),
        ({"window": {"type": "calendar"}}, "window.interval", "value_is_mandatory"),
        (
            {"window": {"type": "calendar", "interval": "decade"}},
            "window.interval",
            "value_is_invalid",
        ),
        (
            {"window": {"type": "calendar", "interval": "day", "timezone": "Mars/Base"}},
            "window.timezone",
            "value_is_invalid",
        ),
        (
            {"window": {"type": "calendar", "interval": "day", "timezone": "../etc/passwd"}},
            "window.timezone",
            "value_is_invalid",
        ),
        ({"window": {"type": "rolling", "seconds": 59}}, "window.seconds", "value_is_out_of_range"),
        (
            {"window": {"type": "rolling", "seconds": 10**30}},
            "window.seconds",
            "value_is_out_of_range",
        ),
        ({"window": {"type": "rolling", "seconds": 60.5}}, "window.seconds", "value_is_invalid"),
        ({"window": {"type": "other"}}, "window.type", "value_is_invalid"),
        ({"window": {}}, "window.type", "value_is_mandatory"),
        ({"window": "month"}, "window", "value_is_invalid"),
        (
            {"alert_thresholds": [{"percentage": 0}]},
            "alert_thresholds.0.percentage",
            "value_is_out_of_range",
        ),
        (
            {"alert_thresholds": [{"percentage": 50, "rearm_below": 51}]},
            "alert_thresholds.0.rearm_below",
            "value_is_out_of_range",
        ),
        (
            {"alert_thresholds": [{"percentage": 50}, {"percentage": 50, "rearm_below": 1}]},
            "alert_thresholds",
            "value_is_duplicated",
        ),
        ({"alert_thresholds": [{"percentage": 1}] * 21}, "alert_thresholds", "invalid_count"),
        ({"amount": "1"}, "amount", "unknown_field"),
        ({"id": "1"}, "id", "unknown_field"),
    ],
)
def test_a_bad_budget_is_refused_by_its_field(shop: Shop, wrong: Json, field: str, code: str):
    answer = shop.post("/budgets", budget=GOOD | wrong)
    assert refused(answer) == {field: [code]}


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_what_a_budget_cannot_do_without(shop: Shop, missing: str):
    given = {name: value for name, value in GOOD.items() if name != missing}
    assert refused(shop.post("/budgets", budget=given)) == {missing: ["value_is_mandatory"]}


def test_a_code_is_used_once(shop: Shop):
    made = budget(shop, 1)
    answer = shop.post("/budgets", budget=GOOD | {"code": made["code"]})
    assert refused(answer) == {"code": ["value_already_exist"]}
    shop.api.delete(f"/budgets/{made['code']}")


async def test_there_are_only_so_many(new_shop: NewShop):
    shop = await new_shop("many-budgets")
    shop.plan("plan")
    who = customer(shop)
    for _ in range(50):
        budget(shop, 1, external_customer_id=who)
    answer = shop.post("/budgets", budget=GOOD | {"external_customer_id": who})
    assert refused(answer) == {"external_customer_id": ["budget_limit_reached"]}
    for _ in range(200):
        last = budget(shop, 1)
    assert refused(shop.post("/budgets", budget=GOOD)) == {"code": ["budget_limit_reached"]}
    assert len(shop.api.get("/budgets", params={"per_page": 1000}).json()["budgets"]) == 250
    shop.api.delete(f"/budgets/{last['code']}")
    shop.ok("/budgets", budget=GOOD)


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"code": "other"}, "code", "unknown_field"),
        ({"window": {"type": "rolling", "seconds": 60}}, "window", "unknown_field"),
        ({"limit": "x"}, "limit", "not_a_decimal"),
        ({"limit": None}, "limit", "value_is_mandatory"),
        ({"mode": "x"}, "mode", "value_is_invalid"),
    ],
)
def test_a_bad_change_is_refused_by_its_field(shop: Shop, wrong: Json, field: str, code: str):
    made = budget(shop, 1, filters={"test": ["changes"]})
    answer = shop.api.put(f"/budgets/{made['code']}", json={"budget": wrong})
    assert refused(answer) == {field: [code]}


def test_only_a_budget_per_customer_is_shown_by_customer(shop: Shop):
    made = budget(shop, 1, filters={"test": ["shown"]})
    answer = shop.api.get(f"/budgets/{made['code']}/usage", params={"external_customer_id": "x"})
    assert refused(answer) == {"external_customer_id": ["value_is_invalid"]}
    each = budget(shop, 1, filters={"test": ["shown"]}, per="customer")
    answer = shop.api.get(f"/budgets/{each['code']}/usage", params={"external_customer_id": "x"})
    assert refused(answer, 404) == "customer_not_found"


async def test_keys_need_the_scope(service: Service):
    _, key = await open_account(service.dsn, "Narrow", scopes=["budgets:read"])
    headers = {"Authorization": f"Bearer {key}"}
    base_url = f"{service.url}/api/v1"
    async with httpx.AsyncClient(
        base_url=base_url, headers=headers, trust_env=False, timeout=60
    ) as api:
        assert (await api.get("/budgets")).status_code == 200
        answer = await api.post("/budgets", json={"budget": GOOD})
        assert refused(answer, 403) == "write_action_not_allowed_for_budgets"
