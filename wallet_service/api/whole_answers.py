r"""Answers that leave at once: an extension of ASGI, and uvicorn's HTTP that offers it.

ASGI hands over the head of an answer and its body apart. Uvicorn looks at each header, and writes
the two apart: a second system call, and a client that wakes for half an answer. A server that names
`WHOLE_ANSWER` in `scope["extensions"]` takes both in one message. Its headers are lines already,
for most are the same in all answers; whoever writes them knows that they are well formed.

    {"type": WHOLE_ANSWER, "status": 200, "headers": b"content-length: 2\r\n", "body": b"{}"}
"""

from collections.abc import Awaitable
from typing import Any, Final

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

__all__ = ["WHOLE_ANSWER", "WholeAnswers"]

WHOLE_ANSWER: Final = "wallet.http.answer"

_OFFER: Final[dict[str, dict[object, object]]] = {WHOLE_ANSWER: {}}


class WholeAnswers(HttpToolsProtocol):
    """Uvicorn's protocol, whose applications may answer as they always do, or at once."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.scope["extensions"] = _OFFER
        super()._start_asgi_task(cycle, _Application(app, cycle))


class _Application:
    """An application, for one request."""

    __slots__ = ("_app", "_cycle")

    def __init__(self, app: ASGI3Application, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle

    def __call__(self, scope: Scope, receive: ASGIReceiveCallable, _: object) -> Awaitable[None]:
        return self._app(scope, receive, self._send)

    def _send(self, message: Any) -> Awaitable[None]:
        if message["type"] == WHOLE_ANSWER:
            return _answer(self._cycle, message)
        return self._cycle.send(message)


async def _answer(cycle: RequestResponseCycle, message: dict[str, Any]) -> None:
    """Do what the cycle's own `send` does with a head, a body and their end, in one write."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    assert not cycle.response_started, "one request has one answer"
    lines = [STATUS_LINE[message["status"]]]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(message["headers"])
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"\r\n")
    if cycle.scope["method"] != "HEAD":
        lines.append(message["body"])
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
