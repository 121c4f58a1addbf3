"""The lean connection against a server that misbehaves on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from wallet_service.cli.replay import http_connection
from wallet_service.cli.replay.http_connection import Caller
from wallet_service.client import PaymentRequired, Retries, Unavailable
from wallet_service.client.requests import authorize, balances

REPLY = b'{"balances": [{"asset_code": "USD", "available": "1.5", "held": "0"}]}'


def reply(body: bytes = REPLY, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class Server:
    """Gives prepared answers; b"" closes the connection without one, None says nothing at all."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = [reply()]
        self.heads: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                self.heads.append(head)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer == b"":
                    return
                for start in range(0, len(answer or b""), 7):  # in crumbs, as networks may
                    writer.write((answer or b"")[start : start + 7])
                    await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    server.url = f"http://{host}:{port}/behind/a/proxy"
    yield server
    listener.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with listening() as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_RETRIES", Retries(wait_s_min=0, wait_s_max=0))
    monkeypatch.setattr(http_connection, "_TIMEOUT_S", 0.2)


@pytest.fixture
async def caller(server: Server) -> AsyncIterator[Caller]:
    async with Caller(url=server.url, api_key="key") as caller:
        yield caller


async def test_calls_share_a_connection(server: Server, caller: Caller) -> None:
    for _ in range(3):
        (balance,) = await caller.send(balances("acme"))
        assert str(balance.available) == "1.5"
    assert server.connections == 1
    assert b"GET /behind/a/proxy/api/v1/customers/acme/balances HTTP/1.1\r\n" in server.heads[0]
    assert b"Authorization: Bearer key\r\n" in server.heads[0]


async def test_a_refusal_is_not_repeated(server: Server, caller: Caller) -> None:
    server.answers = [reply(b"{}", status="402 Payment Required")]
    with pytest.raises(PaymentRequired):
        await caller.send(authorize(customer="acme", amount=1, asset="USD"))
    assert len(server.heads) == 1


async def test_a_reply_in_chunks_is_put_together(server: Server, caller: Caller) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (REPLY[:9], REPLY[9:]))
    server.answers = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    ]
    (balance,) = await caller.send(balances("acme"))
    assert balance.asset_code == "USD"


@pytest.mark.parametrize(
    "trouble",
    [
        b"",
        None,
        b"SMTP 220\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        reply(b"{}", status="503 Service Unavailable", headers="Retry-After: 0\r\n"),
    ],
    ids=["closed", "silent", "no http", "cut short", "busy"],
)
async def test_trouble_is_overcome(server: Server, caller: Caller, trouble: bytes | None) -> None:
    server.answers = [reply(), trouble, trouble, reply()]
    await caller.send(balances("acme"))
    (balance,) = await caller.send(balances("acme"))
    assert balance.asset_code == "USD"
    assert len(server.heads) == 4


async def test_a_connection_that_the_server_ends_is_opened_again(
    server: Server, caller: Caller
) -> None:
    server.answers = [reply(headers="Connection: close\r\n")]
    await caller.send(balances("acme"))
    await caller.send(balances("acme"))
    assert server.connections == 2


async def test_lasting_trouble_is_told(server: Server, caller: Caller) -> None:
    server.answers = [b""]
    with pytest.raises(Unavailable, match="no answer to GET /customers/acme/balances"):
        await caller.send(balances("acme"))
    assert len(server.heads) == 4


async def test_nobody_listening_is_told() -> None:
    async with Caller(url="http://127.0.0.1:1", api_key="key") as caller:
        with pytest.raises(Unavailable, match="no answer"):
            await caller.send(balances("acme"))


def test_the_loop_of_the_command_will_do() -> None:
    async def ask() -> str:
        async with listening() as server, Caller(url=server.url, api_key="key") as caller:
            (balance,) = await caller.send(balances("acme"))
        return balance.asset_code

    assert uvloop.run(ask()) == "USD"
