"""Metrics with an expression, wherever usage comes in."""

from datetime import UTC, datetime

import pytest

from invoicing.events import Event as StoredEvent
from tests.api.conftest import NewShop, Service
from tests.api.market import Json, Shop, refused, standard
from tests.conftest import PATIENCE
from wallet_service.embedded.redis import Redis
from wallet_service.services import open_services
from wallet_service.settings import Settings

AREA = "round(event.properties.width * event.properties.height, 1)"


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Areas at two dollars a square, by material."""
    shop = await new_shop("expressions")
    shop.plan("plan", standard(computed_metric(shop, "area", AREA), "2"))
    return shop


def computed_metric(shop: Shop, code: str, expression: str, field: str = "area") -> str:
    metric = {
        "name": code,
        "code": code,
        "aggregation_type": "sum_agg",
        "field_name": field,
        "expression": expression,
    }
    return shop.ok("/billable_metrics", billable_metric=metric)["billable_metric"]["lago_id"]


@pytest.fixture
def acme(shop: Shop) -> str:
    """A customer with a hundred dollars."""
    return shop.customer("plan", granted_credits="100")


def area(width: object, height: object, **properties: object) -> Json:
    return {"code": "area", "properties": {"width": width, "height": height, **properties}}


def test_an_event_is_charged_for_what_is_computed(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, **area("1.5", 2.25))
    assert event["properties"] == {"width": "1.5", "height": 2.25, "area": "3.4"}
    assert [debit["amount"] for debit in event["debits"]] == ["6.8"]
    assert shop.balance(acme) == ("93.2", "0", "0")
    assert shop.api.get(f"/events/{event['transaction_id']}").json()["event"] == event


def test_what_is_sent_in_the_computed_field_does_not_count(shop: Shop, acme: str) -> None:
    event = shop.charged(external_customer_id=acme, **area(1, 2, area="0.001"))
    assert event["properties"]["area"] == "2"
    assert shop.balance(acme) == ("96", "0", "0")


def test_the_same_event_again_gets_the_first_answer(shop: Shop) -> None:
    code = shop.unique("clock")
    metric_id = computed_metric(shop, code, "event.timestamp - 1700000000", "age")
    acme = shop.customer(shop.plan(code, standard(metric_id, "0.0000001"))["code"])
    shop.wallet(acme, granted_credits="100")
    event = {"transaction_id": shop.unique("same"), "external_customer_id": acme, "code": code}
    answers = {shop.post("/events", event=event).content for _ in range(3)}
    assert len(answers) == 1
    dated = shop.charged(external_customer_id=acme, code=code, timestamp="1700000000.25")
    assert dated["properties"] == {"age": "0.25"}


@pytest.mark.parametrize(
    ("properties", "details"),
    [
        ({"width": 1}, {"properties.height": ["value_is_mandatory"]}),
        ({"width": 1, "height": None}, {"properties.height": ["value_is_mandatory"]}),
        ({"width": 1, "height": "tall"}, {"properties.height": ["value_is_invalid"]}),
        ({"width": 1, "height": [2]}, {"properties.height": ["value_is_invalid"]}),
        ({"width": 10**29, "height": 10}, {"properties.width": ["value_is_out_of_range"]}),
    ],
)
def test_an_event_without_a_value_is_refused_and_not_stored(
    shop: Shop, acme: str, properties: Json, details: Json
) -> None:
    key = shop.unique("event")
    event = {"external_customer_id": acme, "code": "area", "transaction_id": key}
    assert refused(shop.post("/events", event=event | {"properties": properties})) == details
    batch = [event | area(1, 1), event | {"transaction_id": f"{key}-2", "properties": properties}]
    assert refused(shop.post("/events/batch", events=batch)) == {"1": details}
    hold = shop.authorize(acme, items=[area(1, 1), {"code": "area", "properties": properties}])
    placed = {f"items.1.{field}": codes for field, codes in details.items()}
    assert refused(hold) == placed
    estimate = {"external_customer_id": acme, "items": [{"code": "area", "properties": properties}]}
    placed = {f"items.0.{field}": codes for field, codes in details.items()}
    assert refused(shop.post("/authorizations/estimate", authorization=estimate)) == placed
    assert refused(shop.post("/authorizations/check", authorization=estimate)) == placed
    assert shop.balance(acme) == ("100", "0", "0")
    assert shop.charged(**event, properties={"width": 1, "height": 1})["rating_status"] == "rated"


def test_a_batch_is_charged_for_what_is_computed(shop: Shop, acme: str) -> None:
    events = [
        {"transaction_id": shop.unique("batch"), "external_customer_id": acme, **area(n, n)}
        for n in (1, 2, 3)
    ]
    answers = shop.ok("/events/batch", events=events)["events"]
    assert [answer["properties"]["area"] for answer in answers] == ["1", "4", "9"]
    assert shop.balance(acme) == ("72", "0", "0")


def test_a_hold_and_its_capture_are_of_what_is_computed(shop: Shop, acme: str) -> None:
    estimate = {"external_customer_id": acme, "items": [area(2, 3), area(1, 1)]}
    answer = shop.ok("/authorizations/estimate", authorization=estimate)["estimate"]
    assert (answer["amount"], answer["sufficient"]) == ("14", True)
    hold = shop.held(acme, **area(2, 5))
    assert hold["amount"] == "20"
    more = area(1, 2) | {"transaction_id": shop.unique("more")}
    assert shop.done(hold, "extend", **more)["amount"] == "24"
    captured = shop.done(hold, "capture", items=[area(2, 4), area("0.5", 1)])
    assert captured["captured_amount"] == "17"
    assert shop.balance(acme) == ("83", "0", "0")
    stored = shop.api.get("/events", params={"external_customer_id": acme}).json()["events"]
    assert {one["properties"]["area"] for one in stored} == {"8", "0.5"}


def test_a_capture_without_a_value_is_refused_and_the_hold_stays(shop: Shop, acme: str) -> None:
    hold = shop.held(acme, **area(2, 5))
    answer = shop.on(hold, "capture", items=[{"code": "area", "properties": {"width": 2}}])
    assert refused(answer) == {"items.0.properties.height": ["value_is_mandatory"]}
    assert shop.balance(acme) == ("80", "20", "0")
    answer = shop.on(hold, "capture", items=[area(-2, 5)])
    assert refused(answer) == {"items.0.properties.area": ["value_is_out_of_range"]}
    assert shop.done(hold, "void")["status"] == "voided"


def test_a_capture_computes_as_the_hold_did_whatever_the_metric_says_since(shop: Shop) -> None:
    code = shop.unique("changing")
    metric_id = computed_metric(shop, code, "event.properties.n * 2", "doubled")
    acme = shop.customer(shop.plan(code, standard(metric_id, "1"))["code"], granted_credits="100")
    usage = {"code": code, "properties": {"n": 3}}
    hold = shop.held(acme, **usage)
    change = {"billable_metric": {"expression": "event.properties.n * 10"}}
    assert shop.api.put(f"/billable_metrics/{code}", json=change).status_code == 200
    assert shop.done(hold, "capture", items=[usage])["captured_amount"] == "6"
    assert shop.charged(external_customer_id=acme, **usage)["properties"]["doubled"] == "30"
    assert shop.balance(acme) == ("64", "0", "0")


def test_unique_values_may_be_put_together(shop: Shop) -> None:
    code = shop.unique("seats")
    metric = {
        "name": code,
        "code": code,
        "aggregation_type": "unique_count_agg",
        "field_name": "seat",
        "expression": "concat(event.properties.team, '-', event.properties.user)",
    }
    metric_id = shop.ok("/billable_metrics", billable_metric=metric)["billable_metric"]["lago_id"]
    acme = shop.customer(shop.plan(code, standard(metric_id, "5"))["code"], granted_credits="100")
    for team, user in (("a", 1), ("a", 2), ("b", 1), ("a", "1")):
        properties = {"team": team, "user": user}
        shop.charged(external_customer_id=acme, code=code, properties=properties)
    assert shop.balance(acme) == ("85", "0", "0")


async def test_an_event_that_is_rated_late_is_computed_then(
    shop: Shop, service: Service, redis_server: Redis
) -> None:
    acme = shop.customer("plan", granted_credits="10")
    code = shop.unique("late")
    event = shop.charged(external_customer_id=acme, code=code, properties={"n": 3, "a": [1.5]})
    poor = shop.charged(external_customer_id=acme, code=code, properties={"m": 3})
    assert event["unrated_reason"] == "billable_metric_not_found"
    metric_id = computed_metric(shop, code, "event.properties.n * 2", "n")
    shop.subscribe(acme, shop.plan(code, standard(metric_id, "1"))["code"], shop.unique("late"))
    settings = Settings(
        database_url=service.dsn,
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
    )
    async with open_services(settings) as services:
        for one in (event, poor):
            row = await services.database.worker.fetchrow(
                "select * from invoicing.events where id = $1", one["lago_id"]
            )
            stored = StoredEvent.of(row)
            if one is poor:
                with pytest.raises(Exception, match="the property 'n' is missing"):
                    await services.usage.redrive(stored, now=datetime.now(UTC))
            else:
                assert await services.usage.redrive(stored, now=datetime.now(UTC))
    found = shop.api.get("/events", params={"code": code}).json()["events"]
    assert [(one["rating_status"], one["properties"]) for one in found] == [
        ("unrated", {"m": 3}),
        ("rated", {"n": "6", "a": [1.5]}),
    ]
    assert shop.balance(acme) == ("4", "0", "0")
