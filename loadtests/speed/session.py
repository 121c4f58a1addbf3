"""Rows measured in rounds, next to the empty handler, with the ledger looked at in between."""

import asyncio
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from loadtests.speed import client, shapes, wrk
from loadtests.speed.book import Book, Moved, difference, mismatch
from loadtests.speed.measured import Measured
from loadtests.speed.rows import MARKETS, Row
from loadtests.speed.seed import Market, open_market
from loadtests.speed.shapes import Shape
from loadtests.speed.stack import Place, Stack, listens

_BARE_S_MAX = 20
"""A figure of the empty handler is compared with for so long: the machine's mood changes."""
_WARM_S = 1
_BATCH_S_MIN = 3
_QUIET_S_MIN = 0.1
_QUIET_S_MAX = 2.0


class Driver(Protocol):
    """Keeps connections busy."""

    def __call__(
        self, place: Place, shape: Shape, *, connections: int, seconds: float
    ) -> Measured: ...


def find_driver(wanted: str | None = None) -> tuple[str, Driver]:
    """wrk where it is, else our own client."""
    if wanted != "client" and wrk.find():
        return "wrk", wrk.run
    if wanted == "wrk":
        raise SystemExit("there is no wrk on PATH")
    return "client", client.run


class Figure(Struct, frozen=True):
    """One row, in one round."""

    seen: Measured
    bare: Measured | None
    mismatch: Decimal

    @property
    def of_bare(self) -> float:
        """How its rate compares with the empty handler's; 0 where it is not compared."""
        return self.seen.rate / self.bare.rate if self.bare else 0.0


class Session:
    """Measures the rows of one stack."""

    def __init__(
        self,
        stack: Stack,
        bare: Place,
        drive: Driver,
        *,
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._stack = stack
        self._bare_place = bare
        self._drive = drive
        self._seconds = seconds
        self._say = say
        self._markets: dict[str, Market] = {}
        self._books: dict[str, Book] = {}
        self._units: dict[str, Moved] = {}
        self._bare: dict[int, tuple[float, Measured]] = {}
        self.figures: dict[str, list[Figure]] = {}
        self.bare: dict[int, list[Measured]] = {}

    def use(self, market: Market) -> None:
        """Measure in a market that was made elsewhere."""
        self._markets[market.name] = market
        self._books[market.name] = Book(self._stack.place, market)

    async def prepare(self, rows: Iterable[Row]) -> None:
        """Seed the markets of these rows, learn what each request moves, and warm everything up."""
        rows = list(rows)
        missing = [row.market for row in rows if row.market not in self._markets]
        for name in dict.fromkeys(missing):
            began = time.perf_counter()
            market = await open_market(self._stack, name, MARKETS[name])
            self.use(market)
            took = time.perf_counter() - began
            self._say(f"{name}: {market.customers:,} customers in {took:.1f} s")
        while not await listens(self._bare_place):
            await asyncio.sleep(0.1)
        for row in rows:
            self._units[row.name] = self._books[row.market].unit(self._shape(row))
        for row in {(row.shape, row.market): row for row in rows}.values():
            self._drive(
                self._stack.place, self._shape(row), connections=row.connections, seconds=_WARM_S
            )
        for book in self._books.values():
            self._settled(book, quiet_s=_QUIET_S_MAX)

    def round(self, rows: Iterable[Row], *, bare_anew: bool = False) -> None:
        """Measure each row once.

        `bare_anew`: the empty handler too, however little time has passed since it was measured.
        """
        if bare_anew:
            self._bare.clear()
        for row in rows:
            bare = None if row.work > 1 else self._bare_at(row.connections)
            figure = self._measure(row, bare)
            self.figures.setdefault(row.name, []).append(figure)
            seen = figure.seen
            self._say(
                f"{row.title} @{row.connections}: {seen.rate * row.work:,.0f}/s, "
                f"p50 {seen.p50_ms:.2f} ms, p99 {seen.p99_ms:.2f} ms"
                + (f", {seen.rate / bare.rate:.2f} of bare" if bare else "")
                + (f", {seen.errors} ERRORS" if seen.errors else "")
                + (f", {figure.mismatch} USD MISMATCH" if figure.mismatch else "")
            )

    def _measure(self, row: Row, bare: Measured | None) -> Figure:
        book, unit = self._books[row.market], self._units[row.name]
        before = book.read()
        seen = self._drive(
            self._stack.place,
            self._shape(row),
            connections=row.connections,
            seconds=self._seconds if row.work == 1 else max(self._seconds, _BATCH_S_MIN),
        )
        quiet_s = 2 * seen.p99_ms / 1000 if seen.done else _QUIET_S_MAX
        moved = difference(before, self._settled(book, quiet_s=quiet_s))
        wrong = mismatch(moved, unit, seen, connections=row.connections)
        return Figure(seen, bare, wrong)

    def _settled(self, book: Book, *, quiet_s: float) -> Moved:
        """The book once nothing has moved for a while: requests that wrk dropped are under way."""
        last: Moved | None = None
        while (now := book.read()) != last:
            last = now
            time.sleep(min(max(quiet_s, _QUIET_S_MIN), _QUIET_S_MAX))
        return now

    def _bare_at(self, connections: int) -> Measured:
        at, seen = self._bare.get(connections, (-1e9, None))
        if seen is None or time.monotonic() - at > _BARE_S_MAX:
            seen = self._drive(
                self._bare_place, shapes.bare(), connections=connections, seconds=self._seconds
            )
            self._bare[connections] = time.monotonic(), seen
            self.bare.setdefault(connections, []).append(seen)
            self._say(f"bare @{connections}: {seen.rate:,.0f}/s, p50 {seen.p50_ms:.2f} ms")
        return seen

    def _shape(self, row: Row) -> Shape:
        market = self._markets[row.market]
        return row.shape(market.api_key, row.customers or market.customers)
