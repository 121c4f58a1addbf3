"""A service that answers what the test says, and remembers what it was asked."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

AUTHORIZATION: dict[str, Any] = {
    "id": "0198c2a0-0000-7000-8000-000000000001",
    "transaction_id": "call-1",
    "external_customer_id": "acme",
    "status": "held",
    "amount": "0.005935",
    "captured_amount": "0",
    "refunded_amount": "0",
    "asset_code": "USD",
    "available": "9.994065",
    "expires_at": "2026-03-10T12:01:00Z",
    "created_at": "2026-03-10T12:00:00Z",
    "items": [{"code": "llm_input_tokens", "amount": "0.005935"}],
    "grants": [{"id": "0198c2a0-0000-7000-8000-00000000000a", "amount": "0.005935"}],
    "a_field_of_the_future": {"x": 1},
}
HOLD_PATH = f"/api/v1/authorizations/{AUTHORIZATION['id']}"

NO_ANSWER = httpx.ConnectError("connection refused")


def authorization(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json={"authorization": {**AUTHORIZATION, **changes}})


def error(status: int, code: str | None = None, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", {})
    body = {"status": status, "error": "Refused", "code": code, **fields}
    return httpx.Response(status, json=body, headers=headers)


@dataclass
class Conversation:
    """Answers in the given order; after the last one, that one again."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A response can be sent once.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]

    def body(self, position: int = -1) -> Any:
        return json.loads(self.requests[position].content)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)
