"""One connection to Redis or Valkey for everybody: commands go out together, replies come in order.

A call costs a few microseconds because nothing is borrowed and nothing is waited for: the command
joins those that leave in this turn of the loop, and its future joins the queue of those that wait.
A reply belongs to the oldest future. So the one unforgivable thing is to give up on a reply and go
on reading: a call that waits too long ends the *connection*, and with it all that is under way.

HotConnectionError
├── NotConnected      nothing was sent; the server is away, and we are trying
├── TooManyInFlight   nothing was sent; too much is under way already
├── ConnectionLost    sent, and whether it was done is not known
└── Refused           the server answered with an error

No command is ever sent twice from here. Whoever knows that a repeat is harmless may call again.
"""

import asyncio
import contextlib
import os
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis
import structlog
from msgspec import Struct

__all__ = [
    "Address",
    "Call",
    "ConnectionLost",
    "HotConnection",
    "HotConnectionError",
    "NotConnected",
    "Refused",
    "TooManyInFlight",
    "backoff_s",
    "parse_url",
]

_log: Final = structlog.get_logger("wallet_service.hot_connection")

BACKOFF_S_MIN: Final = 0.02
BACKOFF_S_MAX: Final = 1.0
# What the kernel does not take at once waits in memory, up to this; then new calls are refused.
UNSENT_BYTES_MAX: Final = 8 * 1024 * 1024
# A loop that was held up finds the deadline passed and the reply unread, or the call not even sent:
# read first, then judge. At least this long, and as long as we were held up.
_GRACE_S: Final = 0.005


class HotConnectionError(Exception):
    """A call that brought no reply to use."""


class NotConnected(HotConnectionError):
    """Nothing was sent: there is no connection now."""


class TooManyInFlight(HotConnectionError):
    """Nothing was sent: as many calls as allowed are under way."""


class ConnectionLost(HotConnectionError):
    """The connection ended before the reply; the command may have been done or not."""


class Refused(HotConnectionError):
    """The server's own error, word for word."""


class Address(Struct, frozen=True, kw_only=True):
    """Where a server is and how to be let in."""

    host: str = ""
    port: int = 6379
    socket: str = ""
    username: str = ""
    password: str = ""
    db: int = 0

    def __str__(self) -> str:
        """Name the place, never the password."""
        return self.socket or f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self})"


def parse_url(url: str) -> Address:
    """Read `redis://user:password@host:port/db` or `unix://user:password@/path?db=0`.

    Raises ValueError for what is not understood, without repeating the URL: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        raise ValueError("the Redis URL cannot be read") from None
    if parts.scheme == "rediss":
        message = "TLS (rediss://) is not spoken here: use a private network or a local TLS proxy"
        raise ValueError(message)
    if parts.scheme not in {"redis", "unix"}:
        raise ValueError("a Redis URL begins with redis:// or unix://")
    unknown = options.keys() - {"db", "password", "username"}
    if unknown:
        raise ValueError(f"a Redis URL has no option {min(unknown)!r}")
    path = unquote(parts.path)
    is_unix = parts.scheme == "unix"
    db = options.get("db", ["0" if is_unix else path.strip("/") or "0"])[0]
    if not (db.isascii() and db.isdigit() and len(db) <= 4):  # noqa: PLR2004 (up to 9999)
        raise ValueError("the database of a Redis URL is a number")
    if is_unix and not path.startswith("/"):
        raise ValueError("a unix:// URL names the whole path of a socket")
    return Address(
        host="" if is_unix else parts.hostname or "127.0.0.1",
        port=6379 if port is None else port,
        socket=path if is_unix else "",
        username=unquote(parts.username or options.get("username", [""])[0]),
        password=unquote(parts.password or "") or options.get("password", [""])[0],
        db=int(db),
    )


def backoff_s(failures: int) -> float:
    """How long to wait after this many failures in a row; never in step with other processes."""
    longest = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2 ** min(failures, 16))
    return longest * random.uniform(0.5, 1)  # noqa: S311 (no secret)


class Call(Protocol):
    """Send one command over a connection; await what it gives for the reply."""

    def __call__(self, *words: bytes | str | int) -> "asyncio.Future[Any]": ...


class HotConnection:
    """Keeps one connection open, for as long as it is itself open.

    ::

        away ── connect, AUTH, SELECT, prepare ──► up ── lost, or a call too slow ──► away
          ▲                  │ any failure                                            (backoff)
          └──────────────────┘
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float = 0.25,
        connect_timeout_s: float = 1.0,
        in_flight_max: int = 16_384,
        prepare: Callable[[Call], Awaitable[object]] | None = None,
        on_up: Callable[[], object] | None = None,
    ) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.connect_timeout_s = connect_timeout_s
        self.in_flight_max = in_flight_max
        # Run on every new connection before anybody else may use it.
        self._prepare = prepare
        # Told each time that the server can be used; must not wait.
        self._on_up = on_up
        self._link: _Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._first_try: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        """Begin, and return after the first try, whether it went well or not."""
        assert self._keeper is None, "started before"
        self._keeper = asyncio.create_task(self._keep(), name=f"redis {self.address}")
        await self._first_try.wait()

    async def close(self) -> None:
        """End the connection and all calls under way."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        self.drop("closed")

    @property
    def is_up(self) -> bool:
        """Whether a call would be sent."""
        return self._link is not None and not self._link.lost.done()

    def call(self, *words: bytes | str | int) -> asyncio.Future[Any]:
        """Send a command; the future brings its reply or a HotConnectionError.

        Raises NotConnected or TooManyInFlight at once if it cannot be sent. Who stops waiting may
        cancel the future: the reply is then read and thrown away.
        """
        if self._link is None:
            raise NotConnected(f"no connection to {self.address}")
        return self._link.send(_pack(words))

    def drop(self, why: str) -> None:
        """End the connection; a new one is made."""
        if self._link is not None:
            self._link.drop(why)
            self._link = None

    async def _keep(self) -> None:
        """Connect, wait until the connection ends, connect again."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                link = await self._connect()
            except Exception as error:  # noqa: BLE001 (whatever it was, we go on trying)
                if failures == 0:
                    _log.warning("redis is away", server=str(self.address), why=str(error))
            else:
                up_since = loop.time()
                self._link = link
                _log.info("redis is here", server=str(self.address))
                self._say_up()
                # Waits without awaiting it: our own end would cancel the future.
                await asyncio.wait((link.lost,))
                why = link.lost.result()
                self._link = None
                _log.warning("redis connection lost", server=str(self.address), why=why)
                # A server that takes us in and throws us out again is no better than none.
                if loop.time() - up_since > BACKOFF_S_MAX:
                    failures = 0
            self._first_try.set()
            await asyncio.sleep(backoff_s(failures))
            failures += 1

    def _say_up(self) -> None:
        self._first_try.set()
        if self._on_up is not None:
            try:
                self._on_up()
            except Exception:  # noqa: BLE001 (see below)
                # The listener's bug must not end the connection for all.
                _log.exception("redis listener failed")

    async def _connect(self) -> "_Link":
        """Make a connection that is ready for anybody's commands."""
        loop = asyncio.get_running_loop()
        link = _Link(timeout_s=self.connect_timeout_s, in_flight_max=self.in_flight_max)
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                if self.address.socket:
                    await loop.create_unix_connection(lambda: link, self.address.socket)
                else:
                    await loop.create_connection(lambda: link, self.address.host, self.address.port)
                await self._greet(link)
        except BaseException:
            link.drop("not ready in time")
            raise
        link.open_to_all(self.timeout_s)
        return link

    async def _greet(self, link: "_Link") -> None:
        def call(*words: bytes | str | int) -> asyncio.Future[Any]:
            return link.send(_pack(words))

        if self.address.password:
            names = (self.address.username,) if self.address.username else ()
            await call("AUTH", *names, self.address.password)
        if self.address.db:
            await call("SELECT", self.address.db)
        await call("CLIENT", "SETNAME", f"wallet-{os.getpid()}")
        if self._prepare is not None:
            await self._prepare(call)


class _Link(asyncio.Protocol):
    """A single connection, from its first byte to its last."""

    def __init__(self, *, timeout_s: float, in_flight_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.timeout_s = timeout_s
        self.in_flight_max = in_flight_max
        # Of each command sent: until when its reply must be here, and who waits for it.
        self.waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._reader = hiredis.Reader(replyError=Refused, notEnoughData=_NOTHING)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._is_full = False
        self._timer: asyncio.TimerHandle | None = None

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Queue a command for this turn of the loop."""
        if self._transport is None or self.lost.done():
            raise NotConnected("the connection has ended")
        if self._is_full or len(self.waiting) >= self.in_flight_max:
            raise TooManyInFlight(f"{len(self.waiting)} calls are under way")
        future: asyncio.Future[Any] = self._loop.create_future()
        deadline = self._loop.time() + self.timeout_s
        self.waiting.append((deadline, future))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._check_oldest)
        # What is sent in one turn of the loop leaves in one write.
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        return future

    def open_to_all(self, timeout_s: float) -> None:
        """From now on calls wait this long; the greeting had its own time, and its own timer."""
        assert not self.waiting, "the greeting is over"
        self.timeout_s = timeout_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def drop(self, why: str) -> None:
        """End at once; whoever waits gets ConnectionLost."""
        if self.lost.done():
            return
        self.lost.set_result(why)
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        while self.waiting:
            _, future = self.waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionLost(why))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, but do the same.
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue]
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)
        endpoint = self._transport.get_extra_info("socket")
        if endpoint is not None and endpoint.family != socket.AF_UNIX:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.lost.done():
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.lost.done():
            return
        reader = self._reader
        waiting = self.waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                if not waiting:
                    self.drop("a reply that nobody asked for")
                    return
                _, future = waiting.popleft()
                if future.done():
                    continue
                if isinstance(reply, Refused):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except hiredis.HiredisError as error:
            self.drop(f"not a Redis reply: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(str(exc) if exc else "the server closed the connection")

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False

    def _flush(self) -> None:
        if self._unsent and self._transport is not None:
            packed = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
            self._unsent.clear()
            self._transport.write(packed)

    def _check_oldest(self, overdue: "asyncio.Future[Any] | None" = None) -> None:
        """One timer for all: replies come in order, so the oldest call is the first to be late."""
        self._timer = None
        if not self.waiting:
            return
        deadline, oldest = self.waiting[0]
        late_s = self._loop.time() - deadline
        if late_s < 0:
            self._timer = self._loop.call_at(deadline, self._check_oldest)
        elif oldest is overdue:
            self.drop(f"no reply within {self.timeout_s:g} s")
        else:
            grace_s = max(_GRACE_S, min(late_s, self.timeout_s))
            self._timer = self._loop.call_later(grace_s, self._check_oldest, oldest)


_NOTHING: Final = object()
# The published types know only commands of one word.
_pack: Final = cast("Callable[[tuple[bytes | str | int, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]
