"""What the world is told of resources that change: each as its answer shows it."""

import json
from typing import Any

import asyncpg
from redis.asyncio import Redis

from tests.api.conftest import NewShop, Service
from tests.api.drafts import organization_of
from tests.api.market import Json, standard
from wallet_service.embedded.redis import Redis as RedisServer


async def test_changes_of_the_catalogue_and_of_customers_are_told_as_they_were_answered(
    new_shop: NewShop, service: Service
) -> None:
    shop = await new_shop("news")
    answered: list[tuple[str, Any]] = []

    def note(webhook_type: str, answer: Json) -> Json:
        (body,) = answer.values()
        answered.append((webhook_type, body))
        return body

    def sent(webhook_type: str, method: str, path: str, **body: Json) -> Json:
        answer = shop.api.request(method, path, json=body or None)
        assert answer.status_code == 200, answer.text
        return note(webhook_type, answer.json())

    metric: Json = {"name": "Calls", "code": "calls", "aggregation_type": "count_agg"}
    counted = sent("billable_metric.created", "POST", "/billable_metrics", billable_metric=metric)
    sent("billable_metric.updated", "PUT", "/billable_metrics/calls", billable_metric={"name": "C"})
    sent("feature.created", "POST", "/features", feature={"code": "sso", "name": "SSO"})
    sent("feature.updated", "PUT", "/features/sso", feature={"name": "Sign on"})
    sent("feature.deleted", "DELETE", "/features/sso")
    plan = {"name": "P", "code": "p", "interval": "monthly", "amount_cents": 0}
    plan |= {"amount_currency": "USD", "charges": [standard(counted["lago_id"], "1")]}
    sent("plan.created", "POST", "/plans", plan=plan)
    sent("plan.updated", "PUT", "/plans/p", plan={"name": "Q"})
    charge = standard(counted["lago_id"], "2") | {"code": "more"}
    for method, path, body in (  # what is a part of a plan is told of as the plan
        ("POST", "charges", {"charge": charge}),
        ("PUT", "charges/more", {"charge": {"invoice_display_name": "More"}}),
        ("DELETE", "charges/more", None),
        ("POST", "metadata", {"metadata": {"team": "a"}}),
    ):
        answer = shop.api.request(method, f"/plans/p/{path}", json=body)
        assert answer.status_code == 200, answer.text
        note("plan.updated", shop.api.get("/plans/p").json())
    refused = shop.api.request("DELETE", "/plans/p/charges/more")
    assert refused.status_code == 404
    known = {"external_id": "known", "name": "Known"}
    sent("customer.created", "POST", "/customers", customer=known)
    sent("customer.updated", "POST", "/customers", customer=known | {"name": "Better known"})
    for name in ("known", "unknown"):  # whoever is not there is made
        terms = {"external_id": f"{name}-0", "external_customer_id": name, "plan_code": "p"}
        sent("subscription.started", "POST", "/subscriptions", subscription=terms)
        if name == "unknown":
            note("customer.created", shop.api.get("/customers/unknown").json())
    sent("customer.deleted", "DELETE", "/customers/unknown")
    note("subscription.terminated", _ended(shop.api.get, "unknown-0"))
    sent("plan.deleted", "DELETE", "/plans/p")
    note("subscription.terminated", _ended(shop.api.get, "known-0"))
    sent("billable_metric.deleted", "DELETE", "/billable_metrics/calls")

    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_worker"})
    rows = await connection.fetch(
        "select webhook_type, payload from invoicing.outbox where organization_id = $1",
        organization_of(shop.api),
    )
    await connection.close()
    told = [(row["webhook_type"], json.loads(row["payload"])) for row in rows]
    # Lago has no word for customers that are deleted.
    expected = [one for one in answered if one[0] != "customer.deleted"]

    def order(one: tuple[str, Any]) -> str:
        return f"{one[0]} {one[1].get('lago_id')} {json.dumps(one[1], sort_keys=True)}"

    assert sorted(told, key=order) == sorted(expected, key=order)


def _ended(get: Any, external_id: str) -> Json:
    return get(f"/subscriptions/{external_id}", params={"status": "terminated"}).json()


async def test_every_process_hears_of_another_clock_than_periods_were_cut_by(
    new_shop: NewShop, redis_server: RedisServer
) -> None:
    shop = await new_shop("clocks")
    organization = str(organization_of(shop.api))
    customer = shop.customer()

    async def hears(path: str, **body: Json) -> bool:
        answer = shop.api.request("PUT" if path == "/organizations" else "POST", path, json=body)
        assert answer.status_code == 200, answer.text
        while message := await channel.get_message(timeout=10):  # others may be telling too
            if message["data"].decode() == organization:
                return True
        return False

    redis: Any = Redis.from_url(redis_server.url())
    async with redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe("wallet:catalogue")
        await channel.get_message(timeout=10)
        moved = {"external_id": customer, "timezone": "Asia/Tokyo"}
        assert await hears("/customers", customer=moved)
        assert await hears("/organizations", organization={"timezone": "Asia/Tokyo"})
