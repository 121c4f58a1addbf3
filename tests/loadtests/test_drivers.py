"""Both drivers against a server that counts: what they say they saw is what it was asked."""

import contextlib
import re
import socketserver
import threading
from collections import Counter

import pytest

from loadtests.speed import client, shapes, wrk
from loadtests.speed.stack import Place

CONNECTIONS = 3
SECONDS = 1

DRIVERS = {
    "client": client.run,
    "wrk": pytest.param(
        wrk.run, marks=pytest.mark.skipif(wrk.find() is None, reason="no wrk on PATH")
    ),
}


class Counting(socketserver.ThreadingTCPServer):
    """Answers holds, captures and denials, and remembers what it was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: Counter[str] = Counter()
        self.keys: list[bytes] = []
        self.captured: list[str] = []
        self.denies = False
        self.lock = threading.Lock()


class Answering(socketserver.StreamRequestHandler):
    server: Counting

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever drives may go away in the middle
            self._converse()

    def _converse(self) -> None:
        while first := self.rfile.readline():
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = self.rfile.read(length)
            self.wfile.write(self._answer(first.split()[1].decode(), body))

    def _answer(self, path: str, body: bytes) -> bytes:
        server = self.server
        with server.lock:
            server.keys += re.findall(rb'"transaction_id":"([^"]+)"', body)
            captured = re.fullmatch(r".*/authorizations/(.+)/capture", path)
            kind = "captured" if captured else "held"
            server.asked[kind] += 1
            if captured:
                server.captured.append(captured[1])
            id_ = f"id-{server.asked['held']}"
        status = "402 Payment Required" if server.denies else "200 OK"
        answer = f'{{"authorization":{{"id":"{id_}","status":"{kind}"}}}}'.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n"
        return head.encode() + answer


@pytest.fixture
def server():
    with Counting() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def place(server: Counting) -> Place:
    return Place("127.0.0.1", server.server_address[1])


@pytest.mark.parametrize("drive", DRIVERS.values(), ids=DRIVERS)
def test_requests_are_counted_and_each_has_a_key_of_its_own(drive, server, place):
    seen = drive(place, shapes.authorize("key", 10), connections=CONNECTIONS, seconds=SECONDS)
    assert seen.errors == 0
    assert 0 < seen.done <= server.asked["held"] <= seen.done + CONNECTIONS
    if seen.is_drained:
        assert seen.done == server.asked["held"]
    assert len(set(server.keys)) == len(server.keys) == server.asked["held"]
    assert 0 < seen.p50_ms <= seen.p99_ms
    assert seen.seconds == pytest.approx(SECONDS, rel=0.5)


@pytest.mark.parametrize("drive", DRIVERS.values(), ids=DRIVERS)
def test_each_hold_of_a_pair_is_captured_once(drive, server, place):
    seen = drive(place, shapes.pair("key", 10), connections=CONNECTIONS, seconds=SECONDS)
    assert seen.errors == 0
    assert 0 < seen.captured <= seen.done
    assert len(set(server.captured)) == len(server.captured)
    assert seen.captured <= len(server.captured) <= seen.captured + CONNECTIONS
    assert seen.rate == pytest.approx(seen.captured / seen.seconds)


@pytest.mark.parametrize("drive", DRIVERS.values(), ids=DRIVERS)
def test_a_denial_is_an_error(drive, server, place):
    server.denies = True
    seen = drive(place, shapes.authorize("key", 10), connections=1, seconds=SECONDS)
    assert (seen.done, seen.rate) == (0, 0)
    assert seen.errors == seen.requests > 0
