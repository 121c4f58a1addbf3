"""An answer that leaves at once is the one that uvicorn writes in parts."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.server import ServerState

from wallet_service.api.whole_answers import WHOLE_ANSWER, WholeAnswers

BODY = b'{"estimate":{}}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
    (b"x-request-id", b"trace-7"),
]


async def in_parts(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 402, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY, "more_body": False})


async def at_once(scope: Any, _receive: Any, send: Any) -> None:
    assert WHOLE_ANSWER in scope["extensions"]
    lines = b"".join(b"%b: %b\r\n" % header for header in HEADERS)
    await send({"type": WHOLE_ANSWER, "status": 402, "headers": lines, "body": BODY})


async def answers(app: Any, requests: bytes) -> tuple[list[bytes], bool]:
    """What is written, in its parts, and whether the connection is closed then."""
    config = uvicorn.Config(app, log_config=None)
    state = ServerState()
    state.default_headers = [(b"date", b"Sun, 22 Nov 2026 10:40:15 GMT")]
    protocol = WholeAnswers(config, state, {}, asyncio.get_running_loop())
    transport = Mock()
    transport.is_closing.return_value = False
    transport.get_extra_info.return_value = None
    protocol.connection_made(transport)
    protocol.data_received(requests)
    while state.tasks:
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return [call.args[0] for call in transport.write.call_args_list], transport.close.called


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nhost: wallet\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nhost: wallet\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: wallet\r\ncontent-length: 2\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nhost: wallet\r\nconnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: wallet\r\n\r\n" * 3,
    ],
)
async def test_an_answer_at_once_reads_as_one_in_parts(request_: bytes) -> None:
    parts, is_closed = await answers(in_parts, request_)
    whole, is_closed_too = await answers(at_once, request_)
    assert b"".join(whole) == b"".join(parts)
    assert is_closed_too == is_closed
    assert len(whole) == request_.count(b" HTTP/1.")


async def test_whoever_has_gone_is_not_answered() -> None:
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await gone.wait()
        await at_once(scope, receive, send)

    state = ServerState()
    config = uvicorn.Config(late, log_config=None)
    protocol = WholeAnswers(config, state, {}, asyncio.get_running_loop())
    transport = Mock()
    transport.get_extra_info.return_value = None
    protocol.connection_made(transport)
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: wallet\r\n\r\n")
    await asked.wait()
    protocol.connection_lost(None)
    gone.set()
    while state.tasks:
        await asyncio.sleep(0)
    transport.write.assert_not_called()
