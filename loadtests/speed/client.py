"""Our own client, for machines without wrk: as little Python per request as there can be.

Sockets that are kept open, one request at a time on each, and requests that were cut into bytes
before. It runs as processes of its own, told on standard input what to do:

    python -m loadtests.speed.client < asked.json
"""

import asyncio
import itertools
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import uvloop
from msgspec import Struct, json

from loadtests.speed.measured import Measured
from loadtests.speed.shapes import CUSTOMER_DIGITS, Shape, parts
from loadtests.speed.stack import ROOT, Place

_KEY_DIGITS = 9
_TIMEOUT_S = 10


class Asked(Struct, frozen=True):
    """What one process is to do."""

    place: Place
    shape: Shape
    connections: int
    seconds: float
    seed: int


class Seen(Struct):
    """What it saw."""

    latencies_us: list[int] = []
    errors: int = 0
    done: int = 0
    captured: int = 0
    seconds: float = 0


def run(place: Place, shape: Shape, *, connections: int, seconds: float) -> Measured:
    """Keep so many connections busy for so long; what is under way at the end is waited for."""
    processes = max(1, min(connections, (os.cpu_count() or 1) // 2))
    shares = [connections // processes + (n < connections % processes) for n in range(processes)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "loadtests.speed.client"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in shares
    ]
    for process, share in zip(running, shares, strict=True):
        assert process.stdin is not None
        asked = Asked(place, shape, share, seconds, random.randrange(10**9))
        process.stdin.write(json.encode(asked))
        process.stdin.close()
    seen: list[Seen] = []
    for process in running:
        assert process.stdout is not None
        seen.append(json.decode(process.stdout.read(), type=Seen))
        process.wait()
    return together(seen, is_paired=shape.then is not None)


def together(seen: list[Seen], *, is_paired: bool = False) -> Measured:
    """What several processes saw at the same time, as one."""
    latencies = sorted(itertools.chain.from_iterable(one.latencies_us for one in seen))
    hundredths = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return Measured(
        seconds=max(one.seconds for one in seen),
        requests=len(latencies),
        errors=sum(one.errors for one in seen),
        p50_ms=hundredths[49] / 1000,
        p99_ms=hundredths[98] / 1000,
        done=sum(one.done for one in seen),
        captured=sum(one.captured for one in seen),
        is_paired=is_paired,
    )


# -- bytes out, bytes in ---------------------------------------------------------------------------


class Writer:
    """Makes the messages of one shape. All are of one length, so their heads are made once."""

    def __init__(self, shape: Shape, *, seed: int, keys: Iterator[int]) -> None:
        self._customers = shape.customers
        self._seed = seed
        self._keys = keys
        length = len(b"".join(self._fill(parts(shape.body), "")))
        path = parts(f"{shape.method} {shape.path} HTTP/1.1\r\n")
        head = f"{shape.head}Content-Length: {length}\r\n\r\n"
        self._parts = [*path, head, *parts(shape.body)]

    def message(self, id_: str = "") -> bytes:
        """The next request; `id_` is what the one before was answered."""
        return b"".join(self._fill(self._parts, id_))

    def _fill(self, template: list[str], id_: str) -> Iterator[bytes]:
        for part in template:
            if part == "{key}":
                yield f"{self._seed:09}-{next(self._keys):0{_KEY_DIGITS}}".encode()
            elif part == "{customer}":
                number = int(random.random() * self._customers)
                yield b"c%0*d" % (CUSTOMER_DIGITS, number)
            elif part == "{id}":
                yield id_.encode()
            else:
                yield part.encode()


class Reply(Struct, frozen=True):
    """One answer, and how many bytes it took."""

    status: int
    body: bytes
    length: int


def read_reply(received: bytes | bytearray) -> Reply | None:
    """The first answer in what was received, if all of it is there."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise ValueError("an answer without a length")
    size = int(head[at + 15 :].split(b"\r\n", 1)[0])
    length = end + 4 + size
    if len(received) < length:
        return None
    return Reply(int(head[9:12]), bytes(received[end + 4 : length]), length)


def id_in(body: bytes) -> str:
    """The first `id` of a JSON answer."""
    begin = body.index(b'"id":"') + 6
    return body[begin : body.index(b'"', begin)].decode()


class _Connection(asyncio.Protocol):
    """Asks again as soon as it was answered, until the time is over."""

    def __init__(self, seen: Seen, first: Writer, second: Writer | None, until: float) -> None:
        self._seen = seen
        self._first = first
        self._second = second
        self._until = until
        self._received = bytearray()
        self._is_second = False
        self._asked = 0.0
        self._transport: asyncio.Transport | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue]
        self._ask(self._first.message())

    def data_received(self, data: bytes) -> None:
        self._received += data
        reply = read_reply(self._received)
        if reply is None:
            return
        now = time.perf_counter()
        del self._received[: reply.length]
        self._seen.latencies_us.append(int((now - self._asked) * 1e6))
        is_good = reply.status == 200
        if not is_good:
            self._seen.errors += 1
        elif self._is_second:
            self._seen.captured += 1
        else:
            self._seen.done += 1
        # A pair that has begun is ended.
        if is_good and self._second and not self._is_second:
            self._is_second = True
            self._ask(self._second.message(id_in(reply.body)))
        elif now < self._until:
            self._is_second = False
            self._ask(self._first.message())
        else:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.over.done():
            self._seen.errors += 1
            self.over.set_result(None)

    def _ask(self, message: bytes) -> None:
        assert self._transport is not None
        self._asked = time.perf_counter()
        self._transport.write(message)

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
        if self._transport:
            self._transport.close()


async def drive(asked: Asked) -> Seen:
    """Do what is asked, in this process."""
    seen = Seen()
    keys = itertools.count()
    first = Writer(asked.shape, seed=asked.seed, keys=keys)
    second = asked.shape.then and Writer(asked.shape.then, seed=asked.seed, keys=keys)
    began = time.perf_counter()
    make: Callable[[], _Connection] = lambda: _Connection(  # noqa: E731
        seen, first, second, began + asked.seconds
    )
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(make, asked.place.host, asked.place.port)
        for _ in range(asked.connections)
    ]
    waiting = [connection.over for _, connection in opened]
    _, late = await asyncio.wait(waiting, timeout=asked.seconds + _TIMEOUT_S)
    seen.errors += len(late)
    seen.seconds = time.perf_counter() - began
    return seen


if __name__ == "__main__":
    given = json.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stdout.buffer.write(json.encode(uvloop.run(drive(given))))
