"""A lean way to the service, for playing many calls: a call costs a small part of httpx's CPU time.

It knows as much of HTTP/1.1 as one needs to speak to our own service: keep-alive, one request at a
time, replies read by httptools.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit

import httptools

from wallet_service.client.errors import Unavailable
from wallet_service.client.requests import BASE_PATH, Request, read
from wallet_service.client.retries import Retries

__all__ = ["Caller"]

T = TypeVar("T")
Reply = tuple[int, dict[str, str], bytes]

_TIMEOUT_S: Final = 10.0
_RETRIES: Final = Retries()


class Caller:
    """Sends one request at a time over a connection that it opens, and opens again when it must.

    The same requests, replies, errors and patience as `wallet_service.client`.
    """

    def __init__(self, *, url: str, api_key: str) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._prefix = parts.path.rstrip("/") + BASE_PATH
        self._headers = (
            f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
            f"Authorization: Bearer {api_key}\r\n"
            "Content-Type: application/json\r\n"
        )
        self._connection: _Connection | None = None

    async def send(self, request: Request[T]) -> T:
        """Send a request, again where that may help, and return what it asks for."""
        message = self._message(request)
        for attempt in count(1):
            try:
                return read(request, *await self._exchange(request, message))
            except Unavailable as error:
                chance = secrets.SystemRandom().random()
                wait_s = _RETRIES.wait_s(error, attempt=attempt, chance=chance)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)
        raise AssertionError

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _exchange(self, request: Request[Any], message: bytes) -> Reply:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if self._connection is None or not self._connection.is_open:
                    self._connection = await self._connect()
                return await self._connection.exchange(message)
        except (OSError, httptools.HttpParserError) as error:  # TimeoutError is an OSError
            self.close()  # a late reply must not be taken for the next one
            reason = str(error) or type(error).__name__
            message_text = f"no answer to {request.method} {request.path}: {reason}"
            raise Unavailable(message_text) from error

    async def _connect(self) -> "_Connection":
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            self._host,
            self._port,
            ssl=ssl.create_default_context() if self._is_secure else None,
        )
        return connection

    def _message(self, request: Request[Any]) -> bytes:
        body = request.body or b""
        head = (
            f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\n"
            f"{self._headers}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


class _Connection(asyncio.Protocol):
    """Bytes out, one reply in. The methods on_… are called by the parser."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        new_parser: Callable[[object], Any] = httptools.HttpResponseParser
        self._parser = new_parser(self)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, message: bytes) -> Reply:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind of it

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the connection was closed"))

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            status: int = self._parser.get_status_code()
            self._waiter.set_result((status, self._headers, b"".join(self._body)))
        if not self._parser.should_keep_alive():
            self.close()

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
