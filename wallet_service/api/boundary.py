"""What every request passes first and last: its id, the hot routes, measurements, security headers.

Plain ASGI around the whole application, so that what no route answers is counted and safe too.
Costs a few us.
"""

import itertools
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from wallet_service.api.auth import authenticate
from wallet_service.api.error_table import refusal
from wallet_service.api.errors import Refusal, bad_request, unavailable
from wallet_service.api.hot_routes import HotRequest, HotRoutes
from wallet_service.api.whole_answers import WHOLE_ANSWER
from wallet_service.observability import REQUEST_ID, RequestMeasures

if TYPE_CHECKING:
    from wallet_service.services import Services

_log: Final = structlog.get_logger("wallet_service.api")

_ID: Final = b"x-request-id"
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
_LINES: Final = b"".join(b"%b: %b\r\n" % header for header in (_JSON, *_HEADERS))
"""The same, as they are written in an answer that leaves at once."""


class RequestBoundary:
    """The outermost application."""

    def __init__(self, app: ASGIApp, *, state: Any, measures: RequestMeasures) -> None:
        self._app = app
        self._state = state
        self._measures = measures
        self._clock: Callable[[], datetime] = state.clock
        self._services: Services | None = None
        self._requests_max: int = state.settings.requests_max
        self._under_way = 0
        self.hot = HotRoutes()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        # Of a header that is there twice, the first counts.
        headers = dict(reversed([*scope["headers"]]))
        request_id = _request_id(headers)
        token = REQUEST_ID.set(request_id)
        answer = _Answer(scope, send, request_id)
        self._under_way += 1
        try:
            await self._answer(scope, headers, receive, answer)
        except Exception as error:
            if answer.status:
                raise  # half an answer is out: the server closes the connection
            refused = refusal(error)
            report(scope, error, refused)
            await answer.refuse(refused)
            # The stack holds frames that hold the error: only a collector could free them.
            error.__traceback__ = None
        finally:
            self._under_way -= 1
            route = scope.get("path_template") or _UNKNOWN_ROUTE
            took_s = time.perf_counter() - began
            self._measures.add((scope["method"], route, answer.status), took_s)
            REQUEST_ID.reset(token)

    async def _answer(
        self, scope: Any, headers: Mapping[bytes, bytes], receive: Receive, answer: "_Answer"
    ) -> None:
        path = scope["path"]
        if "\x00" in path or b"%00" in scope["query_string"]:
            await answer.refuse(_UNREADABLE)
            return
        if self._under_way > self._requests_max and path not in _SIGNS_OF_LIFE:
            await answer.refuse(_TOO_MANY)
            return
        found = self.hot.find(scope["method"], path)
        if found is None:
            await self._app(scope, receive, answer.pass_on)
            return
        route, parameters = found
        scope["path_template"] = route.template
        services = self._services or self._remember_services()
        tenant = await authenticate(
            headers.get(b"authorization"),
            services.keys,
            resource=route.resource,
            reads=route.reads,
        )
        now = self._clock()
        request = HotRequest(scope, headers, receive, services, tenant, parameters, now)
        await answer.send(200, await route.handler(request))

    def _remember_services(self) -> "Services":
        """They are opened after this object is made; the state looks things up slowly."""
        services: Services = self._state.services
        self._services = services
        return services


class _Answer:
    """The answer to one request: adds the headers that all have, and knows what has gone out."""

    __slots__ = ("_id", "_is_whole", "_send", "status")

    def __init__(self, scope: Any, send: Send, request_id: bytes) -> None:
        extensions: Mapping[str, Any] | None = scope.get("extensions")
        self._is_whole = extensions is not None and WHOLE_ANSWER in extensions
        self._send: Any = send
        self._id = request_id
        self.status = 0
        """0: nothing was sent yet."""

    async def pass_on(self, message: Message) -> None:
        """Send what the framework says."""
        if message["type"] == "http.response.start":
            start = cast("dict[str, Any]", message)
            self.status = start["status"]
            start["headers"] = [*start.get("headers", ()), (_ID, self._id), *_HEADERS]
        await self._send(message)

    async def send(
        self, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """Send a whole answer in JSON."""
        self.status = status
        if self._is_whole and not headers:
            lines = b"content-length: %d\r\n%b: %b\r\n%b" % (len(body), _ID, self._id, _LINES)
            await self._send(
                {"type": WHOLE_ANSWER, "status": status, "headers": lines, "body": body}
            )
            return
        length = (b"content-length", b"%d" % len(body))
        start = {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, length, *headers, (_ID, self._id), *_HEADERS],
        }
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def refuse(self, refused: Refusal) -> None:
        """Say no."""
        await self.send(refused.status, refused.body(), refused.headers)


def _request_id(headers: Mapping[bytes, bytes]) -> bytes:
    """The caller's id of the request, if it is one that can be logged and sent back, else ours."""
    given = headers.get(_ID)
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return b"%b-%x" % (_PROCESS, next(_NUMBERS))


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


_UNREADABLE: Final = bad_request("the address holds the character NUL").refusal
# Whoever waits longer than all the others before it would wait in vain.
_TOO_MANY: Final = unavailable("busy")
_SIGNS_OF_LIFE: Final = frozenset({"/health", "/ready", "/metrics"})
