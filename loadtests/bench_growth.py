"""Does it stay as fast while it grows? Authorizations with more and more customers, and events.

    python loadtests/bench_growth.py                                     an hour, some 15 GB
    python loadtests/bench_growth.py --customers 1000,100000 --events 0,1000000

Each series has a stack of its own, and grows from size to size. The empty handler is measured
along, and sizes are compared by their ratio to it: a noisy neighbour hurts all alike.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from msgspec import structs
from redis.asyncio import Redis

from loadtests.speed import machine, tables
from loadtests.speed.report import Aim, Report, line_of
from loadtests.speed.rows import AUTHORIZE, AUTHORIZE_ALONE, Row
from loadtests.speed.seed import Market, Terms, add_customers, open_market
from loadtests.speed.session import Session, find_driver
from loadtests.speed.stack import Stack, bare, stack
from loadtests.speed.stored_events import store

_REACH, _DREAM = 0.9, 1.0
_IDLE_S_MAX = 20


class Growth:
    """One series of sizes."""

    def __init__(self, arguments: argparse.Namespace, what: str, sizes: list[int]) -> None:
        self._arguments = arguments
        self.what = what
        self._sizes = sizes
        self._began = time.perf_counter()
        self.rows: list[Row] = []
        self.session: Session | None = None
        self.is_clean: bool | None = None

    @property
    def has_grown(self) -> bool:
        """Whether there is a smaller size to compare with."""
        return len(self._sizes) > 1

    async def run(self) -> None:
        arguments = self._arguments
        _, drive = find_driver(arguments.driver)
        with bare(workers=arguments.workers) as empty:
            async with stack(
                ledger="postgres", workers=arguments.workers, scratch=arguments.scratch
            ) as running:
                session = Session(running, empty, drive, seconds=arguments.seconds, say=self._say)
                self.session = session
                market: Market | None = None
                for place, size in enumerate(self._sizes):
                    before = self._sizes[place - 1] if place else 0
                    market = await self._grow(running, market, size, before)
                    await self._measure(session, market, size)
                if arguments.check:
                    self.is_clean, table = await asyncio.to_thread(running.check)
                    self._say("wallet check: clean" if self.is_clean else table)

    async def _grow(self, running: Stack, market: Market | None, size: int, before: int) -> Market:
        began = time.perf_counter()
        if market is None:
            first = size if self.what == "customers" else 10_000
            market = await open_market(running, "growth", Terms(customers=first))
        elif self.what == "customers":
            connection = await asyncpg.connect(running.dsn)
            market = await add_customers(connection, market, size, stack=running)
            await connection.close()
        await shown(running, size=market.customers)
        if self.what == "events" and size > before:
            await store(running, market, first=before, last=size)
        self._say(f"{size:,} {self.what} after {time.perf_counter() - began:.0f} s")
        return market

    async def _measure(self, session: Session, market: Market, size: int) -> None:
        session.use(market)
        rows = [
            structs.replace(
                row,
                name=f"{size}-{row.connections}",
                title=f"authorize, {size:,} {self.what}",
                market=market.name,
            )
            for row in (AUTHORIZE_ALONE, AUTHORIZE)
        ]
        self.rows += rows
        await session.prepare(rows)
        for _ in range(self._arguments.rounds):
            session.round(rows, bare_anew=True)  # all that sizes have in common

    def aim(self) -> Aim:
        """The largest size compared with the smallest."""
        assert self.session
        smallest, largest = (
            line_of(AUTHORIZE, self.session.figures[f"{size}-{AUTHORIZE.connections}"]).of_bare or 0
            for size in (self._sizes[0], self._sizes[-1])
        )
        return Aim(
            what=f"{self._sizes[-1]:,} {self.what} ÷ {self._sizes[0]:,}",
            value=largest / smallest,
            reach=_REACH,
            dream=_DREAM,
        )

    def _say(self, text: str) -> None:
        print(f"{time.perf_counter() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


async def shown(running: Stack, *, size: int) -> None:
    """Wait until the worker has shown so many customers.

    Who is made in SQL was not, and the worker makes up for that without a pause: nothing that
    would happen to customers who come one by one. One that was deposed meanwhile takes its time,
    and is not waited for.
    """
    valkey: Any = Redis(unix_socket_path=str(running.sockets / "valkey.sock"))
    async with valkey:
        known, idle_s = 0, 0
        while known < size and idle_s < _IDLE_S_MAX:
            await asyncio.sleep(1)
            before, known = known, await valkey.dbsize()
            idle_s = 0 if known > before else idle_s + 1


def _sizes(text: str) -> list[int]:
    return sorted(int(one) for one in text.split(",") if one)


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--customers", type=_sizes, default="1000,100000,1000000")
    parser.add_argument("--events", type=_sizes, default="0,1000000,10000000")
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--driver", choices=["wrk", "client"], help="wrk where there is one")
    parser.add_argument("--check", action="store_true", help="run `wallet check` after each series")
    parser.add_argument("--scratch", type=Path, help="where the scratch folder is made")
    parser.add_argument("--json", type=Path, help="where the figures go too, as JSON")
    arguments = parser.parse_args()
    where = machine.describe()
    series: list[Growth] = []
    for what in ("customers", "events"):
        if sizes := getattr(arguments, what):
            series.append(Growth(arguments, what, sizes))
            await series[-1].run()
    report = Report(
        machine=where,
        driver=find_driver(arguments.driver)[0],
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        lines=[
            line_of(row, one.session.figures[row.name])
            for one in series
            for row in one.rows
            if one.session
        ],
        aims={one.what: [one.aim()] for one in series if one.has_grown},
        memory={},
        checks={one.what: one.is_clean for one in series if one.is_clean is not None},
    )
    print(tables.as_text(report))
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
