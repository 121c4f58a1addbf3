"""Who comes in with which key, and how far."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from tests.api.conftest import KEY_CACHE_S, Service


def make_key(api: httpx.Client, **fields: object) -> tuple[str, str]:
    answer = api.post("/api_keys", json={"api_key": fields})
    assert answer.status_code == 200, answer.text
    key = answer.json()["api_key"]
    return key["id"], key["value"]


def knock(service: Service, authorization: str | None, path: str = "/customers") -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    url = f"{service.url}/api/v1{path}"
    return httpx.get(url, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wk_short",
        "Bearer " + "x" * 5000,
        "Bearer wk_" + "A" * 43 + "00000000",
        "Basic dXNlcjpwYXNz",
        "bearer\tnonsense",
    ],
)
def test_without_a_good_key_nothing_opens(service: Service, authorization: str | None) -> None:
    answer = knock(service, authorization)
    assert answer.status_code == 401
    assert answer.json() == {"status": 401, "error": "Unauthorized"}


def test_a_key_that_is_one_character_off_opens_nothing(service: Service) -> None:
    wrong = service.api_key[:-1] + ("0" if service.api_key[-1] != "0" else "1")
    assert knock(service, f"Bearer {wrong}").status_code == 401


def test_a_key_works_at_once_and_is_shown_only_once(service: Service, api: httpx.Client) -> None:
    key_id, value = make_key(api, name="shown once")
    assert knock(service, f"Bearer {value}").status_code == 200
    listed = api.get("/api_keys", params={"per_page": 1000})
    assert value not in listed.text
    entry = next(key for key in listed.json()["api_keys"] if key["id"] == key_id)
    assert entry["prefix"] == value[:10]
    assert entry["scopes"] == ["*"]
    assert "value" not in entry


def test_a_revoked_key_is_refused_soon_and_for_ever(service: Service, api: httpx.Client) -> None:
    key_id, value = make_key(api, name="to be revoked")
    assert knock(service, f"Bearer {value}").status_code == 200
    revoked = api.delete(f"/api_keys/{key_id}").json()["api_key"]
    assert revoked["revoked_at"] is not None
    time.sleep(KEY_CACHE_S)
    assert knock(service, f"Bearer {value}").status_code == 401
    again = api.delete(f"/api_keys/{key_id}").json()["api_key"]
    assert again["revoked_at"] == revoked["revoked_at"]


async def test_a_key_that_has_expired_is_refused(service: Service, api: httpx.Client) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    key_id, value = make_key(api, expires_at=ends)
    assert knock(service, f"Bearer {value}").status_code == 200
    await let_expire(service, key_id)
    await asyncio.sleep(KEY_CACHE_S)
    assert knock(service, f"Bearer {value}").status_code == 401


async def let_expire(service: Service, key_id: str) -> None:
    """As if its time had passed."""
    connection = await asyncpg.connect(service.dsn)
    await connection.execute(
        "update wallet.api_keys set expires_at = now() - interval '1 second' where id = $1", key_id
    )
    await connection.close()


def test_a_key_opens_only_what_its_scopes_name(service: Service, api: httpx.Client) -> None:
    _, value = make_key(api, scopes=["customers:read"])
    assert knock(service, f"Bearer {value}").status_code == 200
    refused = knock(service, f"Bearer {value}", "/plans")
    assert refused.status_code == 403
    assert refused.json()["code"] == "read_action_not_allowed_for_plans"
    headers = {"Authorization": f"Bearer {value}"}
    body = {"customer": {"external_id": "scoped"}}
    url = f"{service.url}/api/v1/customers"
    written = httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)
    assert written.status_code == 403
    assert written.json()["code"] == "write_action_not_allowed_for_customers"


def test_a_key_cannot_make_one_that_may_do_more(service: Service, api: httpx.Client) -> None:
    _, value = make_key(api, scopes=["api_keys:write", "plans:read"])
    headers = {"Authorization": f"Bearer {value}"}
    url = f"{service.url}/api/v1/api_keys"
    for scopes in (["*"], ["plans:read", "plans:write"]):
        answer = httpx.post(
            url,
            json={"api_key": {"scopes": scopes}},
            headers=headers,
            trust_env=False,
            timeout=60,
        )
        assert (answer.status_code, answer.json()["code"]) == (
            403,
            "scopes_exceed_those_of_the_key",
        )
    less = {"api_key": {"scopes": ["plans:read"]}}
    assert (
        httpx.post(url, json=less, headers=headers, trust_env=False, timeout=60).status_code == 200
    )


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"scopes": []}, {"scopes": ["value_is_invalid"]}),
        ({"scopes": ["everything:read"]}, {"scopes": ["value_is_invalid"]}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": ["value_is_invalid"]}),
        ({"name": None}, {"name": ["value_is_mandatory"]}),
        ({"hash": "00"}, {"hash": ["unknown_field"]}),
    ],
)
def test_a_key_that_is_asked_for_wrongly_is_refused_by_field(
    api: httpx.Client, fields: dict[str, object], details: dict[str, list[str]]
) -> None:
    answer = api.post("/api_keys", json={"api_key": fields})
    assert (answer.status_code, answer.json()["error_details"]) == (422, details)


async def test_no_key_is_stored_anywhere(service: Service, api: httpx.Client) -> None:
    _, value = make_key(api, name="canary")
    connection = await asyncpg.connect(service.dsn)
    rows = await connection.fetch("select to_jsonb(k)::text as row from wallet.api_keys k")
    await connection.close()
    text = "".join(row["row"] for row in rows)
    assert value not in text
    assert value[10:] not in text
