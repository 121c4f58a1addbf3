"""Signs of life, measurements, documentation and the headers of every answer."""

import asyncio
from typing import cast

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.api.conftest import Service
from tests.waiting import until
from wallet_service.api.app import create_app
from wallet_service.services import Services
from wallet_service.settings import Settings


def test_the_process_is_up_and_its_stores_answer(service: Service) -> None:
    assert httpx.get(f"{service.url}/health", trust_env=False, timeout=60).json() == {
        "status": "ok"
    }
    ready = httpx.get(f"{service.url}/ready", trust_env=False, timeout=60)
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "down": []})


class Stores:
    """Services of which some stores do not answer."""

    def __init__(self, *down: str) -> None:
        self._down = list(down)

    async def down(self) -> list[str]:
        return self._down


async def ask_whether_ready(*down: str) -> httpx.Response:
    app = create_app(Settings(), cast("Services", Stores(*down)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as client:
        return await client.get("/ready")


async def test_without_redis_requests_are_served_all_the_same() -> None:
    ready = await ask_whether_ready("redis")
    assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "down": ["redis"]})


@pytest.mark.parametrize(
    "down", [("postgres", "ledger"), ("ledger",), ("postgres", "redis"), ("redis", "ledger")]
)
async def test_without_the_book_or_the_database_none_are(down: tuple[str, ...]) -> None:
    ready = await ask_whether_ready(*down)
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
    assert ready.json() == {"status": "unavailable", "down": list(down)}


def test_requests_are_counted_by_the_template_of_their_route(
    service: Service, api: httpx.Client
) -> None:
    api.get("/customers/measured-customer")
    api.get("/nowhere-to-be-measured")
    measured = httpx.get(f"{service.url}/metrics", trust_env=False, timeout=60).text
    labels = 'method="GET",route="/api/v1/customers/{external_id}",status="404"'
    assert f"wallet_http_requests_total{{{labels}}}" in measured
    assert "wallet_http_request_seconds_bucket" in measured
    assert "measured-customer" not in measured
    assert "nowhere" not in measured


def counted(measured: str, labels: str) -> tuple[float, float, float]:
    """Requests counted, timed, and the timed ones that took less than 10 s."""
    lines = dict(line.rsplit(" ", 1) for line in measured.splitlines() if line[:1] != "#")
    timed = labels.split(",status", maxsplit=1)[0]
    return (
        float(lines.get(f"wallet_http_requests_total{{{labels}}}", 0)),
        float(lines.get(f"wallet_http_request_seconds_count{{{timed}}}", 0)),
        float(lines.get(f'wallet_http_request_seconds_bucket{{le="10.0",{timed}}}', 0)),
    )


def test_who_asks_for_measurements_hears_of_every_request_so_far(
    service: Service, api: httpx.Client
) -> None:
    labels = 'method="GET",route="/api/v1/customers/{external_id}/balances",status="404"'
    before = counted(httpx.get(f"{service.url}/metrics", trust_env=False, timeout=60).text, labels)
    for _ in range(7):
        assert api.get("/customers/nobody/balances").status_code == 404
    after = counted(httpx.get(f"{service.url}/metrics", trust_env=False, timeout=60).text, labels)
    assert [now - then for now, then in zip(after, before, strict=True)] == [7, 7, 7]


async def test_what_was_counted_last_is_not_lost_when_the_process_ends() -> None:
    labels = {"method": "GET", "route": "/health", "status": "200"}
    before = REGISTRY.get_sample_value("wallet_http_requests_total", labels) or 0
    app = create_app(Settings(), cast("Services", Stores()))
    async with app.lifespan():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as client:
            await client.get("/health")
    assert REGISTRY.get_sample_value("wallet_http_requests_total", labels) == before + 1


async def test_a_process_that_has_too_much_to_do_says_so_at_once_and_goes_on_living() -> None:
    stores = Stores()
    answers = asyncio.Event()
    asked: list[None] = []

    async def wait_for_answers() -> list[str]:
        asked.append(None)
        await answers.wait()
        return []

    stores.down = wait_for_answers  # type: ignore[method-assign]
    app = create_app(Settings(requests_max=2), cast("Services", stores))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as client:
        waiting = [asyncio.create_task(client.get("/ready")) for _ in range(2)]
        await until(lambda: len(asked) == 2)
        refused = await client.post("/api/v1/authorizations", json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["code"] == "busy"
        assert (await client.get("/health")).status_code == 200
        answers.set()
        assert [(await one).status_code for one in waiting] == [200, 200]
        assert (await client.post("/api/v1/authorizations", json={})).status_code != 503


@pytest.mark.parametrize(
    "path", ["/health", "/api/v1/customers", "/nowhere", "/schema/openapi.json"]
)
def test_every_answer_carries_its_request_id_and_security_headers(
    service: Service, path: str
) -> None:
    answer = httpx.get(
        service.url + path, headers={"X-Request-Id": "trace-7"}, trust_env=False, timeout=60
    )
    assert answer.headers["x-request-id"] == "trace-7"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "max-age" in answer.headers["strict-transport-security"]


def test_a_request_id_that_cannot_be_logged_is_replaced(service: Service) -> None:
    headers = {"X-Request-Id": "two words; and more"}
    answer = httpx.get(f"{service.url}/health", headers=headers, trust_env=False, timeout=60)
    assert "two" not in answer.headers["x-request-id"]


def test_the_documentation_tells_of_every_route_and_what_it_may_refuse(service: Service) -> None:
    document = httpx.get(f"{service.url}/schema/openapi.json", trust_env=False, timeout=60).json()
    upsert = document["paths"]["/api/v1/customers"]["post"]
    assert upsert["requestBody"]["content"]["application/json"]["schema"]
    assert {"200", "401", "422"} <= set(upsert["responses"])
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
