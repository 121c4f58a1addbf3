"""What every request passes first and last: its id, the hot routes, measurements, security headers.

Plain ASGI around the whole application, so that what no route answers is counted and safe too.
Costs a few us.
"""

import itertools
import re
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from wallet_service.api.auth import authenticate
from wallet_service.api.errors import Refusal, bad_request, refusal
from wallet_service.api.hot_routes import HotRequest, HotRoute, HotRoutes
from wallet_service.observability import REQUEST_ID, RequestMeasures

if TYPE_CHECKING:
    from wallet_service.services import Services

_log: Final = structlog.get_logger("wallet_service.api")

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_PROCESS: Final = secrets.token_hex(8).encode()
_NUMBERS: Final = itertools.count(1)
_UNKNOWN_ROUTE: Final = "(none)"

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
)
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_HEADERS: Final = SECURITY_HEADERS + _NO_STORE
_JSON: Final = (b"content-type", b"application/json")


class RequestBoundary:
    """The outermost application."""

    def __init__(self, app: ASGIApp, *, state: Any) -> None:
        self._app = app
        self._state = state
        self._measures = RequestMeasures()
        self.hot = HotRoutes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        token = REQUEST_ID.set(request_id.decode())
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                start = cast("dict[str, Any]", message)
                status = start["status"]
                start["headers"] = [
                    *start.get("headers", ()),
                    (b"x-request-id", request_id),
                    *_HEADERS,
                ]
            await send(message)

        try:
            await self._answer(scope, receive, send_with_headers)
        except Exception as error:
            if status:
                raise  # half an answer is out: the server closes the connection
            await _refuse(scope, error, send_with_headers)
        finally:
            route = cast("dict[str, Any]", scope).get("path_template") or _UNKNOWN_ROUTE
            self._measures.add(scope["method"], route, status, time.perf_counter() - began)
            REQUEST_ID.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = cast("HTTPScope", scope)
        if "\x00" in http["path"] or b"%00" in http["query_string"]:
            await _send(send, _UNREADABLE)
            return
        found = self.hot.find(http["method"], http["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        await self._answer_hot(scope, receive, send, found)

    async def _answer_hot(
        self, scope: Scope, receive: Receive, send: Send, found: tuple[HotRoute, Mapping[str, str]]
    ) -> None:
        route, parameters = found
        scope["path_template"] = route.template
        services: Services = self._state.services
        try:
            tenant = await authenticate(
                scope, services.keys, resource=route.resource, reads=route.reads
            )
            request = HotRequest(
                scope,
                receive,
                services=services,
                tenant=tenant,
                parameters=parameters,
                now=self._state.clock(),
            )
            body = await route.handler(request)
        except Exception as error:  # noqa: BLE001 (every error is an answer)
            await _refuse(scope, error, send)
        else:
            await _send_json(send, 200, body)


def _request_id(scope: Scope) -> bytes:
    """The caller's id of the request, if it is one that can be logged and sent back, else ours."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return b"%b-%x" % (_PROCESS, next(_NUMBERS))


async def _refuse(scope: Scope, error: Exception, send: Send) -> None:
    answer = refusal(error)
    report(scope, error, answer)
    await _send(send, answer)


def report(scope: Scope, error: Exception, answer: Refusal) -> None:
    """Log what an operator must know: our own faults with their stack, and stores that are down."""
    if answer.status < 500:  # noqa: PLR2004
        return
    known = cast("dict[str, Any]", scope)
    route = known.get("path_template")
    if answer.status == 500:  # noqa: PLR2004
        _log.error("request_failed", route=route, method=known.get("method"), exc_info=error)
    else:
        _log.warning("request_refused", route=route, code=answer.code, reason=type(error).__name__)


async def _send(send: Send, answer: Refusal) -> None:
    await _send_json(send, answer.status, answer.body(), answer.headers)


async def _send_json(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    start: Any = {
        "type": "http.response.start",
        "status": status,
        "headers": [_JSON, (b"content-length", str(len(body)).encode()), *headers],
    }
    end: Any = {"type": "http.response.body", "body": body, "more_body": False}
    await send(start)
    await send(end)


_UNREADABLE: Final = bad_request("the address holds the character NUL").refusal
