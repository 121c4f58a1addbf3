"""Alerts of subscriptions: Lago's official client, unmodified, and what is told of usage."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from lago_python_client.client import Client
from lago_python_client.models.alert import Alert, AlertsList, AlertThreshold, AlertThresholdList

from invoicing import subscription_alerts
from invoicing.errors import NotAllowed
from invoicing.subscription_alerts import Threshold, crossed
from tests.api.conftest import NewShop, Service
from tests.api.drafts import organization_of
from tests.api.market import Json, Shop, refused, standard
from tests.conftest import PATIENCE
from wallet_service.embedded.redis import Redis
from wallet_service.jobs.leader import Term
from wallet_service.jobs.subscription_alerts import tell_alerts
from wallet_service.services import Services, open_services
from wallet_service.settings import Settings
from wallet_service.usage_reports import UsageReport

STEPS = [{"code": "warn", "value": "1500"}, {"value": 3000}, {"value": 1000, "recurring": True}]


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Somebody with a metric at a dollar, and a customer."""
    shop = await new_shop("alerts")
    shop.plan("pro", standard(shop.metric("calls", field="n"), "1"))
    shop.ok("/customers", customer={"external_id": "acme", "currency": "USD"})
    for name in ("client", "told", "wrong", "first", "second"):
        shop.subscribe("acme", "pro", name)
    return shop


@pytest.fixture
async def services(service: Service, redis_server: Redis) -> AsyncIterator[Services]:
    settings = Settings(
        database_url=service.dsn,
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
    )
    async with open_services(settings) as opened:
        yield opened


def alert(**terms: Any) -> Json:
    return {"alert_type": "current_usage_amount", "code": "a", "thresholds": STEPS} | terms


def test_the_client_makes_alerts_and_deletes_them(shop: Shop) -> None:
    key = shop.api.headers["authorization"].removeprefix("Bearer ")
    lago = Client(api_key=key, api_url=str(shop.api.base_url).removesuffix("/api/v1/"))
    units = "billable_metric_current_usage_units"
    step = AlertThresholdList(__root__=[AlertThreshold(code="w", value="15")])
    made = lago.subscriptions.create_alerts(
        "client",
        AlertsList(
            alerts=[
                Alert(alert_type="current_usage_amount", code="sum", thresholds=step),
                Alert(
                    alert_type=units, code="calls", billable_metric_code="calls", thresholds=step
                ),
            ]
        ),
    )["alerts"]
    assert [one.code for one in made] == ["sum", "calls"]
    assert made[1].billable_metric.code == "calls"
    assert made[0].thresholds.__root__[0].value == "15.0"
    listed = shop.api.get("/subscriptions/client/alerts").json()
    assert {one["code"] for one in listed["alerts"]} == {"calls", "sum"}  # made in one instant
    assert listed["meta"]["total_count"] == 2
    path = "/subscriptions/client/alerts/sum"
    changed = shop.api.put(path, json={"alert": {"name": "N", "thresholds": STEPS}}).json()["alert"]
    assert (changed["name"], len(changed["thresholds"])) == ("N", 3)
    assert shop.api.get(path).json()["alert"] == changed
    taken = shop.api.put(path, json={"alert": {"code": "calls"}})
    assert refused(taken) == {"code": ["value_already_exist"]}
    assert shop.api.delete(path).json()["alert"] == changed
    assert refused(shop.api.get(path), 404) == "alert_not_found"
    lago.subscriptions.delete_alerts("client")
    assert shop.api.get("/subscriptions/client/alerts").json()["alerts"] == []


async def test_what_usage_crosses_is_told_once(shop: Shop, services: Services) -> None:
    metric = {"billable_metric_code": "calls"}
    given = [
        alert(),
        alert(code="ever", alert_type="lifetime_usage_amount", thresholds=[{"value": "4000"}]),
        alert(
            code="units",
            alert_type="billable_metric_current_usage_units",
            thresholds=[{"value": "20.5"}],
            **metric,
        ),
        alert(code="of", alert_type="billable_metric_current_usage_amount", **metric),
        alert(code="all", alert_type="billable_metric_lifetime_usage_units", **metric),
    ]
    shop.ok("/subscriptions/told/alerts", alerts=given)

    async def told() -> list[tuple[str, str, list[str]]]:
        async with services.database.worker.acquire() as connection:
            await tell_alerts(services, Term(0), every_s=-60)
            rows = await connection.fetch(
                "select payload from invoicing.outbox where webhook_type = 'alert.triggered'"
                " and organization_id = $1 order by xact_id, id offset $2",
                organization_of(shop.api),
                seen[0],
            )
        seen[0] += len(rows)
        words = [json.loads(row["payload"]) for row in rows]
        return sorted(
            (
                word["alert_code"],
                word["current_value"],
                [one["value"] for one in word["crossed_thresholds"]],
            )
            for word in words
        )

    seen = [0]

    def use(units: int) -> None:
        shop.charged(external_subscription_id="told", code="calls", properties={"n": units})

    use(14)
    assert await told() == []
    use(7)
    assert await told() == [
        ("a", "2100.0", ["1500.0"]),
        ("of", "2100.0", ["1500.0"]),
        ("units", "21.0", ["20.5"]),
    ]
    assert await told() == []
    use(29)
    assert await told() == [
        ("a", "5000.0", ["3000.0", "4000.0", "5000.0"]),
        ("ever", "5000.0", ["4000.0"]),
        ("of", "5000.0", ["3000.0", "4000.0", "5000.0"]),
    ]
    shown = shop.api.get("/subscriptions/told/alerts/a").json()["alert"]
    assert shown["previous_value"] == "5000.0"
    assert shown["last_processed_at"]
    for terms, seen_before in (
        ({"name": "N"}, "5000.0"),
        ({"alert_type": "billable_metric_current_usage_units", **metric}, "0.0"),
    ):
        changed = shop.api.put("/subscriptions/told/alerts/a", json={"alert": terms}).json()
        assert changed["alert"]["previous_value"] == seen_before


async def test_an_alert_that_fails_keeps_no_other_waiting(
    shop: Shop, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = {"billable_metric_code": "calls", "thresholds": [{"value": "10"}]}
    ever = alert(code="ever", alert_type="billable_metric_lifetime_usage_units", **units)
    shop.ok("/subscriptions/first/alerts", alerts=[alert(thresholds=[{"value": 999}]), ever])
    now = alert(code="now", alert_type="billable_metric_current_usage_units", **units)
    shop.ok("/subscriptions/first/alerts", alert=now)
    shop.ok("/subscriptions/second/alerts", alert=alert())
    shop.charged(external_subscription_id="first", code="calls", properties={"n": 12})
    looked: list[tuple[str, bool]] = []
    read = services.usage_reports.current

    async def current(*place: Any, since_start: bool, now: datetime) -> UsageReport:
        looked.append((place[2], since_start))
        if since_start:
            raise NotAllowed("too_many_events")
        return await read(*place, since_start=since_start, now=now)

    def fail_of_one(alerts_of: list[Threshold], before: Decimal, now: Decimal) -> list[Threshold]:
        if alerts_of[0].value == 999:
            raise ArithmeticError
        return crossed(alerts_of, before, now)

    async def count() -> int:
        async with services.database.worker.acquire() as connection:
            return await connection.fetchval(
                "select count(*) from invoicing.outbox where webhook_type = 'alert.triggered'"
                " and organization_id = $1",
                organization_of(shop.api),
            )

    async def tell() -> int:
        """How many are told of this shop: others' alerts stand in the same database."""
        looked.clear()
        before = await count()
        await tell_alerts(services, Term(0), every_s=-60)
        looked[:] = sorted(one for one in looked if one[0] in {"first", "second"})
        return await count() - before

    monkeypatch.setattr(services.usage_reports, "current", current)
    monkeypatch.setattr(subscription_alerts, "crossed", fail_of_one)
    assert await tell() == 1  # the third of the first one
    assert looked == [("first", False), ("first", True), ("second", False)]
    for path in ("first/alerts/a", "first/alerts/ever", "first/alerts/now", "second/alerts/a"):
        assert shop.api.get(f"/subscriptions/{path}").json()["alert"]["last_processed_at"]
    assert shop.api.get("/subscriptions/first/alerts/a").json()["alert"]["previous_value"] == "0.0"
    monkeypatch.setattr(subscription_alerts, "crossed", crossed)
    assert await tell() == 1  # what had failed is looked at again, what was not used is not
    assert looked == [("first", False), ("first", True)]
    monkeypatch.setattr(services.usage_reports, "current", read)
    assert await tell() == 1


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"code": ""}, {"code": ["value_is_mandatory"]}),
        ({"alert_type": None}, {"alert_type": ["value_is_mandatory"]}),
        ({"alert_type": "balance"}, {"alert_type": ["value_is_invalid"]}),
        ({"thresholds": []}, {"thresholds": ["value_is_mandatory"]}),
        ({"thresholds": [{}]}, {"thresholds.0.value": ["value_is_mandatory"]}),
        ({"thresholds": [{"value": "NaN"}]}, {"thresholds.0.value": ["value_is_out_of_range"]}),
        ({"thresholds": [{"value": "1e999"}]}, {"thresholds.0.value": ["value_is_out_of_range"]}),
        ({"thresholds": [{"value": "-1"}]}, {"thresholds.0.value": ["value_is_out_of_range"]}),
        ({"thresholds": [{"value": 1}, {"value": "1.0"}]}, {"thresholds": ["value_is_duplicated"]}),
        ({"thresholds": [{"value": n} for n in range(1, 22)]}, {"thresholds": ["invalid_count"]}),
        ({"billable_metric_code": "calls"}, {"billable_metric_code": ["value_is_invalid"]}),
        (
            {"alert_type": "billable_metric_current_usage_units"},
            {"billable_metric_code": ["value_is_mandatory"]},
        ),
        (
            {"alert_type": "billable_metric_current_usage_units", "billable_metric_code": "x"},
            {"billable_metric_code": ["billable_metric_not_found"]},
        ),
    ],
)
def test_an_alert_that_is_wrong_is_refused(shop: Shop, terms: Json, problem: Json) -> None:
    answer = shop.post("/subscriptions/wrong/alerts", alert=alert(**terms))
    assert refused(answer) == problem
    both = shop.post("/subscriptions/wrong/alerts", alerts=[alert(code="b"), alert(**terms)])
    assert refused(both) == problem
    assert shop.api.get("/subscriptions/wrong/alerts").json()["alerts"] == []


def test_alerts_need_a_subscription_and_a_body(shop: Shop) -> None:
    assert refused(shop.post("/subscriptions/none/alerts", alert=alert()), 404)
    assert shop.post("/subscriptions/wrong/alerts").status_code == 400
    answer = shop.api.get("/subscriptions/wrong/alerts?subscription_status=terminated")
    assert refused(answer, 404) == "subscription_not_found"
