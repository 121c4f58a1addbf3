"""Price changes at a later time, as clients make and see them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused, standard


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    shop = await new_shop("versions")
    shop.metric("tokens", field="tokens", model=["gpt-4o", "o3"])
    shop.ok("/add_ons", add_on={"code": "seat", "name": "Seat"} | _price(1000))
    return shop


def _price(cents: int) -> Json:
    return {"amount_cents": cents, "amount_currency": "USD"}


def per_token(amount: str, **terms: Any) -> Json:
    charge = {"billable_metric_code": "tokens", "charge_model": "standard"}
    return charge | {"properties": {"amount": amount}} | terms


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def plan(shop: Shop) -> str:
    return shop.plan(shop.unique("plan"), per_token("1"))["code"]


def versions(shop: Shop, plan: str, **query: Any) -> list[Json]:
    return shop.api.get(f"/plans/{plan}/versions", params=query).json()["versions"]


def amounts(shop: Shop, plan: str) -> list[str]:
    return [
        charge["properties"]["amount"]
        for charge in shop.api.get(f"/plans/{plan}").json()["plan"]["charges"]
    ]


def test_a_price_waits_for_its_time_and_is_listed(shop: Shop, plan: str) -> None:
    at = in_days(30)
    body = {"plan": {"charges": [per_token("2", code="tokens")], "effective_at": at}}
    answer = shop.api.put(f"/plans/{plan}", json=body)
    assert answer.json()["plan"]["version"] == 1
    assert amounts(shop, plan) == ["1"]
    waiting, first = versions(shop, plan)
    assert (waiting["version"], waiting["status"], waiting["effective_at"]) == (2, "scheduled", at)
    assert waiting["changes"] == [
        {
            "code": "tokens",
            "kind": "charge",
            "change": "changed",
            "fields": {"properties": {"before": {"amount": "1"}, "after": {"amount": "2"}}},
        }
    ]
    assert (waiting["changes_count"], first["status"]) == (1, "in_force")
    assert first["changes"] == [{"code": "tokens", "kind": "charge", "change": "added"}]


def test_usage_is_priced_by_what_is_in_force_at_its_time(shop: Shop, plan: str) -> None:
    customer = shop.customer(plan, granted_credits="100")
    shop.api.put(
        f"/plans/{plan}/charges/tokens",
        json={"charge": {"properties": {"amount": "2"}, "effective_at": in_days(1)}},
    )
    charged = []
    for days in (0, 2):
        at = datetime.now(UTC) + timedelta(days=days)
        event = shop.charged(
            external_customer_id=customer,
            code="tokens",
            properties={"tokens": 10},
            timestamp=int(at.timestamp()),
        )
        charged.append(event["debits"][0]["amount"])
    assert charged == ["10", "20"]


def test_every_kind_of_change_can_wait(shop: Shop, plan: str) -> None:
    at = in_days(7)
    charges = f"/plans/{plan}/charges"
    fixed = f"/plans/{plan}/fixed_charges"
    o3 = {"values": {"model": ["o3"]}, "properties": {"amount": "9"}, "effective_at": at}
    seat = {"add_on_code": "seat", "charge_model": "standard", "units": 1, "effective_at": at}
    shop.ok(f"{charges}/tokens/filters", filter=o3)
    shop.ok(fixed, fixed_charge=seat)
    shop.ok(charges, charge=per_token("3", code="more", effective_at=at))
    assert shop.api.delete(f"{charges}/tokens?effective_at={at}").status_code == 200
    shown = shop.api.get(f"/plans/{plan}").json()["plan"]
    assert (shown["version"], shown["fixed_charges"]) == (1, [])
    assert [charge["filters"] for charge in shown["charges"]] == [[]]
    found = versions(shop, plan)
    assert [one["status"] for one in found] == ["scheduled", *["replaced"] * 3, "in_force"]
    assert [(one["code"], one["change"]) for one in found[0]["changes"]] == [
        ("tokens", "removed"),
        ("more", "added"),
        ("seat", "added"),
    ]
    assert found[3]["changes"][0]["filters"] == [
        {"values": {"model": ["o3"]}, "after": {"amount": "9"}}
    ]
    later = in_days(9)
    for path in (f"{charges}/more", f"{fixed}/seat"):  # only there from then on
        assert shop.api.get(path).status_code == 404
        assert shop.api.delete(path).status_code == 404
        assert shop.api.delete(f"{path}?effective_at={later}").status_code == 200


def test_versions_come_in_pages(shop: Shop, plan: str) -> None:
    for amount in ("2", "3", "4"):
        shop.api.put(
            f"/plans/{plan}/charges/tokens", json={"charge": {"properties": {"amount": amount}}}
        )
    answer = shop.api.get(f"/plans/{plan}/versions?per_page=3&page=2").json()
    assert [one["version"] for one in answer["versions"]] == [1]
    assert answer["meta"]["total_count"] == 4
    assert answer["versions"][0]["status"] == "past"


@pytest.mark.parametrize(
    ("effective_at", "code"),
    [
        ("2001-01-01", "value_is_out_of_range"),
        ("2001-01-01T00:00:00Z", "value_is_out_of_range"),
        ("soon", "value_is_invalid"),
        ("9999-12-31T23:59:59Z", "value_is_invalid"),
        ("", "value_is_invalid"),
        (1700000000, "value_is_invalid"),
        ("x" * 65, "value_is_too_long"),
        ("２０３０-01-01", "value_is_invalid"),
    ],
)
def test_a_time_that_cannot_be_is_refused_wherever_it_stands(
    shop: Shop, plan: str, effective_at: object, code: str
) -> None:
    told = {"effective_at": [code]}
    terms = {"effective_at": effective_at}
    path = f"/plans/{plan}"
    values = {"values": {"model": ["o3"]}, "properties": {"amount": "9"}}
    seat = {"add_on_code": "seat", "charge_model": "standard", "units": 1}
    answers = [
        shop.api.put(path, json={"plan": {"charges": []} | terms}),
        shop.post(f"{path}/charges", charge=per_token("1", code="new") | terms),
        shop.api.put(f"{path}/charges/tokens", json={"charge": terms}),
        shop.post(f"{path}/charges/tokens/filters", filter=values | terms),
        shop.post(f"{path}/fixed_charges", fixed_charge=seat | terms),
    ]
    if isinstance(effective_at, str):
        answers.append(shop.api.delete(f"{path}/charges/tokens", params=terms))
    assert [refused(answer) for answer in answers] == [told] * len(answers)
    assert len(versions(shop, plan)) == 1


def test_null_is_at_once_and_a_charge_in_a_list_has_no_time_of_its_own(
    shop: Shop, plan: str
) -> None:
    body = {"charge": {"properties": {"amount": "5"}, "effective_at": None}}
    assert shop.api.put(f"/plans/{plan}/charges/tokens", json=body).status_code == 200
    assert amounts(shop, plan) == ["5"]
    timed = per_token("6", code="tokens", effective_at=in_days(1))
    answer = shop.api.put(f"/plans/{plan}", json={"plan": {"charges": [timed]}})
    assert refused(answer) == {"charges.0.effective_at": ["value_is_invalid"]}


def test_a_new_plan_has_its_prices_at_once(shop: Shop) -> None:
    plan = {"code": "new", "name": "New", "interval": "monthly"} | _price(0)
    answer = shop.post("/plans", plan=plan | {"effective_at": in_days(1)})
    assert refused(answer) == {"effective_at": ["value_is_invalid"]}


def test_a_hold_is_settled_by_the_version_that_it_was_made_with(shop: Shop) -> None:
    code = shop.unique("plan")
    metric = shop.metric(shop.unique("calls"))
    shown = shop.plan(code, standard(metric, "1"))
    name = shown["charges"][0]["billable_metric_code"]
    customer = shop.customer(code, granted_credits="100")
    hold = shop.held(customer, items=[{"code": name}])
    body = {"charge": {"properties": {"amount": "50"}}}
    assert shop.api.put(f"/plans/{code}/charges/{name}", json=body).status_code == 200
    captured = shop.done(hold, "capture", items=[{"code": name}])
    assert captured["captured_amount"] == "1"
    assert shop.held(customer, items=[{"code": name}])["amount"] == "50"


def test_the_interval_of_a_plan_that_anybody_is_on_is_refused(shop: Shop) -> None:
    code = shop.plan(shop.unique("plan"))["code"]
    path = f"/plans/{code}"
    weekly = {"plan": {"interval": "weekly"}}
    answer = shop.api.put(path, json=weekly)
    assert answer.json()["plan"]["interval"] == "weekly"
    shop.customer(code)
    assert shop.api.put(path, json=weekly).status_code == 200
    answer = shop.api.put(path, json={"plan": {"interval": "yearly"}})
    assert refused(answer) == {"interval": ["used_by_subscriptions"]}
    assert shop.api.get(path).json()["plan"]["interval"] == "weekly"
