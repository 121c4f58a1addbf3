"""What belongs to one organization does not exist for another: every operation with an id."""

from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from invoicing import events
from ledger.ids import new_uuid
from tests.api.conftest import Service

METRIC = {"name": "Secret", "code": "secret", "aggregation_type": "count_agg"}
PLAN = {
    "name": "Secret",
    "code": "secret",
    "interval": "monthly",
    "amount_cents": 0,
    "amount_currency": "USD",
}
SUBSCRIPTION = {"external_id": "secret", "external_customer_id": "secret", "plan_code": "secret"}


@pytest.fixture(scope="module")
def catalogue(other_api: httpx.Client) -> str:
    """One of everything that a client can make, in the second organization; the key's id."""
    assert other_api.post("/customers", json={"customer": {"external_id": "secret"}}).is_success
    assert other_api.post("/billable_metrics", json={"billable_metric": METRIC}).is_success
    assert other_api.post("/plans", json={"plan": PLAN}).is_success
    assert other_api.post("/subscriptions", json={"subscription": SUBSCRIPTION}).is_success
    key = other_api.post("/api_keys", json={"api_key": {"name": "secret"}}).json()["api_key"]
    return key["id"]


@pytest.fixture(scope="module")
async def secrets(service: Service, catalogue: str) -> dict[str, str]:
    """The ids of what the second organization has, by resource."""
    now = datetime.now(UTC)
    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_committer"})
    event = events.Event(
        organization_id=service.other_organization_id,
        id=new_uuid(now),
        transaction_id="secret",
        code="secret",
        timestamp=now,
        rating_status="unrated",
        operation_id=new_uuid(now),
        created_at=now,
    )
    await events.insert_many(connection, [event])
    await connection.close()
    return {
        "/customers": "secret",
        "/billable_metrics": "secret",
        "/plans": "secret",
        "/subscriptions": "secret",
        "/events": "secret",
        "/api_keys": catalogue,
    }


OPERATIONS = [
    ("GET", "/customers", "", None),
    ("DELETE", "/customers", "", None),
    ("GET", "/customers", "/subscriptions", None),
    ("GET", "/billable_metrics", "", None),
    ("PUT", "/billable_metrics", "", {"billable_metric": {"name": "Taken over"}}),
    ("DELETE", "/billable_metrics", "", None),
    ("GET", "/plans", "", None),
    ("PUT", "/plans", "", {"plan": {"name": "Taken over"}}),
    ("DELETE", "/plans", "", None),
    ("GET", "/subscriptions", "", None),
    ("PUT", "/subscriptions", "", {"subscription": {"name": "Taken over"}}),
    ("DELETE", "/subscriptions", "", None),
    ("GET", "/events", "", None),
    ("DELETE", "/api_keys", "", None),
]


@pytest.mark.parametrize(("method", "resource", "rest", "body"), OPERATIONS)
def test_another_organizations_id_is_answered_like_one_that_nobody_has(
    api: httpx.Client,
    secrets: dict[str, str],
    method: str,
    resource: str,
    rest: str,
    body: object,
) -> None:
    foreign = api.request(method, f"{resource}/{secrets[resource]}{rest}", json=body)
    unknown = api.request(method, f"{resource}/{new_uuid(datetime.now(UTC))}{rest}", json=body)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


@pytest.mark.parametrize(
    "resource",
    ["/customers", "/billable_metrics", "/plans", "/subscriptions", "/events", "/api_keys"],
)
def test_a_list_shows_nothing_of_another_organization(
    api: httpx.Client, other_api: httpx.Client, secrets: dict[str, str], resource: str
) -> None:
    ours = api.get(resource, params={"per_page": 1000}).text
    theirs = other_api.get(resource, params={"per_page": 1000}).text
    assert secrets[resource] in theirs
    assert f'"{secrets[resource]}"' not in ours


def test_what_was_tried_from_outside_changed_nothing(
    other_api: httpx.Client, secrets: dict[str, str]
) -> None:
    for resource, name in secrets.items():
        if resource != "/api_keys":
            found = other_api.get(f"{resource}/{name}")
            assert found.status_code == 200
            assert "Taken over" not in found.text
    keys = other_api.get("/api_keys").json()["api_keys"]
    assert [key["revoked_at"] for key in keys if key["id"] == secrets["/api_keys"]] == [None]


def test_codes_and_external_ids_are_free_in_every_organization(
    api: httpx.Client, secrets: dict[str, str]
) -> None:
    assert api.post("/billable_metrics", json={"billable_metric": METRIC}).is_success
    assert api.post("/plans", json={"plan": PLAN}).is_success
    assert api.post("/subscriptions", json={"subscription": SUBSCRIPTION}).is_success
    for resource in ("/subscriptions", "/plans", "/billable_metrics", "/customers"):
        assert api.delete(f"{resource}/secret").is_success


async def test_row_level_security_hides_other_rows_even_from_a_query_without_a_filter(
    service: Service, secrets: dict[str, str]
) -> None:
    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_api"})
    tables = await connection.fetch(
        "select table_schema, table_name from information_schema.columns"
        " where column_name = 'organization_id' and table_schema in ('invoicing', 'wallet')"
        " and has_table_privilege(format('%I.%I', table_schema, table_name), 'select')"
    )
    seen = {}
    async with connection.transaction():
        await connection.execute(
            "select set_config('wallet.organization_id', $1, true)", str(service.organization_id)
        )
        for row in tables:
            name = f"{row['table_schema']}.{row['table_name']}"
            query = f"select count(*) from {name} where organization_id <> $1"
            seen[name] = await connection.fetchval(query, service.organization_id)
    nothing_is_set = await connection.fetchval("select count(*) from invoicing.customers")
    await connection.close()
    assert len(seen) > 5
    assert set(seen.values()) == {0}
    assert nothing_is_set == 0
