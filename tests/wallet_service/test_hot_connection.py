"""The multiplexed connection: every reply to its own call, or no reply at all."""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import uvloop

from tests.waiting import PATIENCE_S, until
from wallet_service import hot_connection
from wallet_service.hot_connection import (
    BACKOFF_S_MAX,
    Address,
    ConnectionLost,
    HotConnection,
    NotConnected,
    Refused,
    TooManyInFlight,
    backoff_s,
    parse_url,
)

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class FakeServer:
    """Speaks just enough of the protocol; `answer` decides what happens to each `ECHO`."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self.answer = answer
        self.received: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def address(self) -> Address:
        return Address(socket=str(self.path))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                if words[0] == b"CLIENT":
                    writer.write(b"+OK\r\n")
                    continue
                self.received.append(words[1])
                await self.answer(words[1], writer)

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()


@pytest.fixture
async def fake() -> AsyncIterator[Callable[[Answer], Awaitable[FakeServer]]]:
    """Start a server that answers as told."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wallet-fake-")))

        async def start(answer: Answer) -> FakeServer:
            server = FakeServer(folder / "s", answer)
            listener = await asyncio.start_unix_server(server.serve, str(server.path))
            stack.push_async_callback(server.hang_up)
            stack.callback(listener.close)
            return server

        yield start


@contextlib.asynccontextmanager
async def connected(address: Address, **limits) -> AsyncIterator[HotConnection]:
    """Patient unless told otherwise: few tests are about time."""
    patience = {"timeout_s": PATIENCE_S, "connect_timeout_s": PATIENCE_S}
    connection = HotConnection(address, **patience | limits)
    await connection.start()
    try:
        yield connection
    finally:
        await connection.close()


async def until_up(connection: HotConnection) -> None:
    await until(lambda: connection.is_up)


async def echo(word: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"$%d\r\n%s\r\n" % (len(word), word))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address(host="cache")),
        ("redis://", Address(host="127.0.0.1")),
        ("redis://cache:7000/3", Address(host="cache", port=7000, db=3)),
        ("redis://:p%40ss@cache", Address(host="cache", password="p@ss")),
        (
            "redis://me:secret@[::1]:1",
            Address(host="::1", port=1, username="me", password="secret"),
        ),
        ("unix:///run/valkey.sock", Address(socket="/run/valkey.sock")),
        ("unix:///run/v.sock?db=2&password=p", Address(socket="/run/v.sock", db=2, password="p")),
    ],
)
def test_a_url_says_where_and_how(url, address):
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:secret@cache",
        "http://:secret@cache",
        "redis://:secret@cache:99999",
        "redis://:secret@cache/first",
        "redis://:secret@cache?ssl=1",
        "unix://:secret@relative",
    ],
)
def test_a_url_that_cannot_work_is_refused_without_repeating_its_password(url):
    with pytest.raises(ValueError) as refusal:
        parse_url(url)
    assert "secret" not in str(refusal.value)


def test_an_address_does_not_show_its_password():
    address = parse_url("redis://:secret@cache")
    assert "secret" not in f"{address} {address!r}"


def test_waiting_between_tries_is_bounded_and_never_in_step():
    waits = [backoff_s(failures) for failures in range(1000)]
    assert max(waits) <= BACKOFF_S_MAX
    assert len(set(waits)) > 900


async def test_ten_thousand_calls_at_once_each_get_their_own_reply(redis_url):
    async with connected(parse_url(redis_url)) as connection:
        replies = await asyncio.gather(
            *(connection.call("ECHO", number) for number in range(10_000))
        )
        assert replies == [b"%d" % number for number in range(10_000)]


async def test_an_error_of_the_server_fails_its_own_call_only(redis_url):
    async with connected(parse_url(redis_url)) as connection:
        wrong, right = connection.call("GET"), connection.call("ECHO", "here")
        with pytest.raises(Refused, match="wrong number of arguments"):
            await wrong
        assert await right == b"here"


async def test_the_reply_to_a_cancelled_call_is_thrown_away(redis_url):
    async with connected(parse_url(redis_url)) as connection:
        connection.call("ECHO", "unwanted").cancel()
        assert await connection.call("ECHO", "wanted") == b"wanted"


async def test_password_and_database_are_used(redis_server, redis_url):
    plain = parse_url(redis_url)
    admitted = Address(socket=plain.socket, password="let me in", db=3)
    async with connected(plain) as open_door:
        await open_door.call("CONFIG", "SET", "requirepass", "let me in")
        try:
            async with connected(admitted) as inside:
                await inside.call("SET", "place", "three")
            assert await open_door.call("GET", "place") is None
            async with connected(plain) as outside:
                assert not outside.is_up
                with pytest.raises(NotConnected):
                    outside.call("ECHO", "anybody?")
        finally:
            await open_door.call("CONFIG", "SET", "requirepass", "")


async def test_tcp_works_like_a_socket(redis_url, unused_port):
    async with connected(parse_url(redis_url)) as by_socket:
        await by_socket.call("CONFIG", "SET", "port", unused_port)
        try:
            async with connected(parse_url(f"redis://127.0.0.1:{unused_port}/0")) as by_tcp:
                assert await by_tcp.call("ECHO", "tcp") == b"tcp"
        finally:
            await by_socket.call("CONFIG", "SET", "port", 0)


@pytest.fixture
async def unused_port() -> int:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


async def test_opening_succeeds_while_nobody_is_there_and_calls_fail_at_once(tmp_path):
    async with connected(Address(socket=str(tmp_path / "nobody"))) as connection:
        assert not connection.is_up
        with pytest.raises(NotConnected):
            connection.call("ECHO", "anybody?")


async def test_a_late_reply_is_never_given_to_another_call(fake):
    is_late = asyncio.Event()

    async def slow_once(word, writer):
        if word == b"slow":
            await is_late.wait()
        with contextlib.suppress(ConnectionError):
            await echo(word, writer)

    server = await fake(slow_once)
    async with connected(server.address, timeout_s=0.05) as connection:
        slow, behind = connection.call("ECHO", "slow"), connection.call("ECHO", "behind")
        connection.timeout_s = PATIENCE_S  # of the connections that follow
        with pytest.raises(ConnectionLost, match="no reply within"):
            await slow
        with pytest.raises(ConnectionLost):
            await behind
        await until_up(connection)
        for number in range(30):
            if number == 10:
                is_late.set()
            assert await connection.call("ECHO", number) == b"%d" % number


async def test_nothing_is_sent_twice(fake):
    async def silent(word, writer):
        if word != b"unanswered":
            await echo(word, writer)

    server = await fake(silent)
    async with connected(server.address, timeout_s=0.05) as connection:
        unanswered = connection.call("ECHO", "unanswered")
        connection.timeout_s = PATIENCE_S  # of the connections that follow
        with pytest.raises(ConnectionLost):
            await unanswered
        await until_up(connection)
        await connection.call("ECHO", "after")
        assert server.received == [b"unanswered", b"after"]


@pytest.mark.parametrize(
    "last_words",
    [b"$100\r\nonly a par", b"*2\r\n$1\r\na\r\n", b"", b"$5\r\n", b"+O"],
)
async def test_a_connection_that_ends_in_a_reply_fails_all_that_wait(fake, last_words):
    async def die(word, writer):
        if word == b"die":
            writer.write(last_words)
            writer.close()
        else:
            await echo(word, writer)

    server = await fake(die)
    async with connected(server.address) as connection:
        calls = [connection.call("ECHO", word) for word in ("fine", "die", "behind", "behind")]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[0] == b"fine"
        assert [type(result) for result in results[1:]] == [ConnectionLost] * 3
        await until_up(connection)
        assert await connection.call("ECHO", "again") == b"again"


@pytest.mark.parametrize("noise", [b"+surplus\r\n", b"not the protocol\r\n"])
async def test_bytes_that_nobody_asked_for_end_the_connection(fake, noise):
    async def noisy(word, writer):
        await echo(word, writer)
        if word == b"first":
            writer.write(noise)

    server = await fake(noisy)
    async with connected(server.address) as connection:
        assert await connection.call("ECHO", "first") == b"first"
        await until(lambda: server.connections == 2)
        await until_up(connection)
        assert await connection.call("ECHO", "second") == b"second"


async def test_more_calls_than_allowed_are_refused_at_once(fake):
    gate = asyncio.Event()

    async def wait_for_gate(word, writer):
        await gate.wait()
        await echo(word, writer)

    server = await fake(wait_for_gate)
    async with connected(server.address, in_flight_max=8) as connection:
        allowed = [connection.call("ECHO", number) for number in range(8)]
        with pytest.raises(TooManyInFlight):
            connection.call("ECHO", "one too many")
        allowed[0].cancel()
        with pytest.raises(TooManyInFlight):  # the server still owes that reply
            connection.call("ECHO", "one too many")
        gate.set()
        assert await asyncio.gather(*allowed[1:]) == [b"%d" % number for number in range(1, 8)]
        assert await connection.call("ECHO", "again") == b"again"


async def test_what_a_stuck_server_does_not_read_is_bounded(fake):
    is_over = asyncio.Event()

    async def stuck(word, writer):
        await is_over.wait()

    server = await fake(stuck)
    body = b"x" * 1_000_000
    async with connected(server.address) as connection:
        calls = []
        with pytest.raises(TooManyInFlight):  # noqa: PT012 (which one is refused depends on the kernel)
            for _ in range(40):
                calls.append(connection.call("ECHO", body))
                await asyncio.sleep(0)
        assert len(calls) < 20
        await server.hang_up()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {ConnectionLost}
    is_over.set()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_a_loop_that_was_held_up_reads_before_it_judges(redis_url, new_loop, monkeypatch):
    monkeypatch.setattr(hot_connection, "_GRACE_S", PATIENCE_S)  # as long as a busy server needs

    def hold_up(bell: socket.socket) -> None:
        bell.recv(1)
        time.sleep(0.1)

    async def story() -> None:
        bell, rope = socket.socketpair()
        asyncio.get_running_loop().add_reader(bell, hold_up, bell)
        with bell, rope:
            async with connected(parse_url(redis_url), timeout_s=0.05) as connection:
                for _ in range(3):
                    call = connection.call("ECHO", "in time")
                    rope.send(b"!")  # the answer comes while we are held up by this
                    assert await call == b"in time"
            asyncio.get_running_loop().remove_reader(bell)

    def run() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(story())

    await asyncio.to_thread(run)


async def test_who_was_held_up_for_long_waits_as_long_again_and_then_no_more():
    loop = Mock()
    loop.time.return_value = 100.0
    link = hot_connection._Link(timeout_s=0.25, in_flight_max=8)
    link._loop = loop
    link.connection_made(Mock())
    call = loop.create_future.return_value = asyncio.get_running_loop().create_future()
    assert link.send(b"PING") is call
    for held_up_s, grace_s in ((0.0, 0.005), (0.1, 0.1), (7.0, 0.25)):
        loop.time.return_value = 100.25 + held_up_s
        link._check_oldest()
        assert loop.call_later.call_args.args[0] == pytest.approx(grace_s)
    link._check_oldest(call)
    with pytest.raises(ConnectionLost, match="no reply within"):
        await call


async def test_a_connection_that_cannot_be_prepared_is_not_up(fake):
    tries = 0

    async def prepare(call):
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("not yet")

    server = await fake(echo)
    ups = []
    async with connected(
        server.address, prepare=prepare, on_up=lambda: ups.append(tries)
    ) as connection:
        assert not connection.is_up
        await until_up(connection)
        assert ups == [3]


async def test_closing_fails_what_is_under_way_and_leaves_no_task(fake):
    async def silent(word, writer): ...

    server = await fake(silent)
    before = asyncio.all_tasks()
    async with connected(server.address) as connection:
        call = connection.call("ECHO", "unanswered")
    with pytest.raises(ConnectionLost):
        await call
    assert not connection.is_up
    ours = {task for task in asyncio.all_tasks() - before if "redis" in task.get_name()}
    assert not ours
