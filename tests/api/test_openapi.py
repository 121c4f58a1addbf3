"""The OpenAPI document: valid, complete, and true to what the routes take and give."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.api.conftest import Service
from wallet_service.api.app import create_app
from wallet_service.settings import Settings

OURS = {
    "/api/v1/api_keys",
    "/api/v1/assets",
    "/api/v1/authorizations",
    "/api/v1/authorizations/check",
    "/api/v1/authorizations/estimate",
    "/api/v1/authorizations/{authorization_id}/capture",
    "/api/v1/authorizations/{authorization_id}/extend",
    "/api/v1/authorizations/{authorization_id}/refund",
    "/api/v1/events/{transaction_id}/reverse",
    "/api/v1/budgets",
    "/api/v1/budgets/{code}",
    "/api/v1/grants",
    "/api/v1/invoice_custom_sections",
    "/api/v1/invoice_custom_sections/{code}",
}
"""Our own resources: they refuse what they do not know. All others are in Lago's shapes."""

KEYED = {
    "/api/v1/authorizations",
    "/api/v1/authorizations/{authorization_id}/capture",
    "/api/v1/authorizations/{authorization_id}/extend",
    "/api/v1/authorizations/{authorization_id}/refund",
    "/api/v1/events/{transaction_id}/reverse",
    "/api/v1/grants",
    "/api/v1/wallets",
    "/api/v1/wallet_transactions",
    "/api/v1/customers/{external_id}/wallets",
    "/api/v1/credit_notes",
    "/api/v1/payments",
}

EMPTY = {
    ("POST", "/api/v1/invoices/{invoice_id}/retry_payment"),
    ("DELETE", "/api/v1/subscriptions/{external_id}/alerts"),
}
"""What is answered without a body."""


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    answer = httpx.get(f"{service.url}/schema/openapi.json", timeout=60, trust_env=False)
    assert answer.status_code == 200
    return answer.json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its first reference followed."""
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def references(value: Any) -> Iterator[str]:
    """All that a part of the document refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def is_file(path: str) -> bool:
    """Whether an operation answers with a file, of which JSON can say nothing."""
    return "/document." in path


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"]
    names = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in names
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for schema in names.values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
        )
    for _, path, operation in operations(document):
        in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        parameters = operation.get("parameters", [])
        assert in_path == {one["name"] for one in parameters if one["in"] == "path"}
        assert all(one["required"] for one in parameters if one["in"] == "path")
        assert operation["responses"]
        assert all(response["description"] for response in operation["responses"].values())


def test_every_route_is_in_it(document: dict[str, Any]) -> None:
    app: Litestar = create_app(Settings())
    routes = {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for handler in route.route_handlers
        for method in handler.http_methods
    }
    described = {(method, path) for method, path, _ in operations(document)}
    assert {route for route in routes if route[0] not in {"OPTIONS", "HEAD"}} == described


def test_every_operation_says_what_it_is_about(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert operation.get("summary"), (method, path)
        assert operation.get("description"), (method, path)
        assert operation.get("tags"), (method, path)


def test_every_refusal_is_declared_in_its_shape(document: dict[str, Any]) -> None:
    error = {"$ref": "#/components/schemas/ErrorBody"}
    for method, path, operation in operations(document):
        if not path.startswith("/api/v1"):
            continue
        responses = operation["responses"]
        assert set(responses) == {
            *("200", "400", "401", "402", "403", "404", "405", "413", "415", "422", "503")
        }, (method, path)
        for status, response in responses.items():
            if status == "200" and is_file(path):
                assert list(response["content"]) == ["application/octet-stream"]
                continue
            schema = response["content"]["application/json"]["schema"]
            assert (schema == error) is (status != "200"), (method, path, status)
    ready = document["paths"]["/ready"]["get"]["responses"]
    assert set(ready) == {"200", "503"}


def test_every_answer_has_a_shape(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path.startswith("/api/v1") and not is_file(path):
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            shape = resolved(document, schema)
            assert bool(shape.get("properties")) is ((method, path) not in EMPTY), (method, path)
            for field in shape.get("properties", {}).values():
                assert field, (method, path)


def closed_parts(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A body and all structs in it, but not what is free in `properties`."""
    schema = resolved(document, schema)
    yield schema
    for field in schema.get("properties", {}).values():
        inner = field.get("items", field)
        if "$ref" in inner:
            yield from closed_parts(document, inner)


def test_our_own_resources_say_that_they_take_nothing_else(document: dict[str, Any]) -> None:
    found = {path for _, path, operation in operations(document) if "requestBody" in operation}
    assert found >= OURS
    for _, path, operation in operations(document):
        if path not in OURS or "requestBody" not in operation:
            continue
        body = operation["requestBody"]["content"]["application/json"]
        for part in closed_parts(document, body["schema"]):
            assert part["additionalProperties"] is False, (path, part["title"])
            for name, field in part["properties"].items():
                assert "null" not in str(field), (path, name)


def test_lagos_resources_take_more_than_they_say(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path not in OURS and "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for part in closed_parts(document, schema):
                assert part.get("additionalProperties") is not False, (method, path)


@pytest.mark.parametrize("path", sorted(KEYED))
def test_the_header_that_makes_a_repeat_harmless_is_named(
    document: dict[str, Any], path: str
) -> None:
    parameters = document["paths"][path]["post"].get("parameters", [])
    headers = [one["name"] for one in parameters if one["in"] == "header"]
    assert headers == ["Idempotency-Key"]


def test_the_hot_routes_are_described_as_they_are(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["AuthorizationRequest"]["properties"]) == {
        *("external_customer_id", "external_subscription_id", "transaction_id", "expires_in"),
        *("items", "code", "properties", "amount", "asset_code", "partial", "features"),
        *("usage", "provider", "model", "service_tier"),
    }
    assert set(schemas["CaptureRequest"]["properties"]) == {
        *("transaction_id", "final", "items", "code", "properties", "amount"),
        *("usage", "provider", "model", "service_tier"),
    }
    batch = schemas["EventBatchReply"]["properties"]["events"]["items"]["oneOf"]
    assert [one["$ref"].rsplit("/", 1)[-1] for one in batch] == ["EventBody", "RejectedEvent"]
    assert schemas["AuthorizationReply"]["required"] == ["authorization"]
    assert "debits" not in schemas["AuthorizationBody"]["required"]
    assert schemas["AssetBalance"]["required"] == [
        *("asset_code", "available", "grants", "held", "overage")
    ]


def test_it_is_there_as_yaml_too_and_tells_nothing_of_anybody(service: Service) -> None:
    answer = httpx.get(f"{service.url}/schema/openapi.yml", timeout=60, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert service.api_key not in answer.text
