"""How fast the service is, as ratios that can be repeated: see docs/how-to/measure-speed.md.

    python loadtests/bench.py                          everything: some eight minutes
    python loadtests/bench.py --quick                  one round of one second each
    python loadtests/bench.py --only authorize,check   rows whose names begin so

Starts a stack of its own on a scratch folder, with servers that keep what they have said, beside an
empty Litestar handler on the same server, and drives both with the same load. Any error, any money
that differs from the answers, and any breach that `wallet check` finds is exit status 1.
"""

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

import msgspec

from loadtests.speed import limits, machine, tables, tigerbeetle_limits
from loadtests.speed.report import Aim, Line, Report, aims_of, line_of, line_of_bare
from loadtests.speed.rows import MARKETS, ONE_WORKER, SERVICE, TIGERBEETLE, Row, chosen
from loadtests.speed.session import Session, find_driver
from loadtests.speed.stack import Stack, bare, stack

_INSERTS_SIZE = 100
_IDLE_S = 3


class Bench:
    """One run of everything that is asked for."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._driver_name, self._drive = find_driver(arguments.driver)
        self._began = time.perf_counter()
        self._machine = machine.describe()
        self._memory: dict[str, dict[str, int]] = {}
        self._aims: dict[str, list[Aim]] = {}
        self._checks: dict[str, bool] = {}
        self._lines: list[Line] = []
        self._inserts: list[limits.Limit] = []
        self._reads: list[limits.Limit] = []

    async def run(self) -> Report:
        """Measure, and say what came out."""
        arguments = self._arguments
        workers = arguments.workers
        await self._stack(arguments.ledger, workers, SERVICE, where="")
        if workers != 1 and self._wants("one-worker"):
            await self._stack("postgres", 1, ONE_WORKER, where=", 1 worker")
        if tigerbeetle_limits.is_there() and self._wants("tigerbeetle"):
            await self._tigerbeetle()
            if arguments.ledger == "postgres":
                await self._stack("tigerbeetle", workers, TIGERBEETLE, where=", TigerBeetle")
        return Report(
            machine=self._machine,
            driver=self._driver_name,
            seconds=arguments.seconds,
            rounds=arguments.rounds,
            lines=self._lines,
            aims=self._aims,
            memory=self._memory,
            checks=self._checks,
        )

    async def _stack(self, ledger: str, workers: int, rows: tuple[Row, ...], *, where: str) -> None:
        """Measure rows on a stack of their own."""
        name = f"{ledger}, {workers} workers" if workers > 1 else f"{ledger}, 1 worker"
        # A word that names no row of the first table may name one of these sections.
        rows = chosen(rows, self._arguments.only) if not where else rows
        if not rows and not self._wants("limits"):
            return
        self._say(f"-- {name}")
        with bare(workers=workers) as empty:
            async with stack(
                ledger=ledger, workers=workers, scratch=self._arguments.scratch
            ) as run:
                session = Session(
                    run, empty, self._drive, seconds=self._arguments.seconds, say=self._say
                )
                await self._measure(run, session, rows, name, is_first=not where)
                is_clean, table = await asyncio.to_thread(run.check)
                self._checks[name] = is_clean
                self._say(f"wallet check: {'clean' if is_clean else table}")
        self._lines += [
            line_of_bare(connections, seen, where=where)
            for connections, seen in sorted(session.bare.items())
        ]
        self._lines += [
            line_of(row, session.figures[row.name], where=where)
            for row in rows
            if row.name in session.figures
        ]
        if not where:
            self._lines += self._limit_lines()
        if workers == self._arguments.workers:  # as many as it is aimed at with
            self._judge(name, session, rows)

    def _judge(self, name: str, session: Session, rows: tuple[Row, ...]) -> None:
        """Compare a stack with what is aimed at."""
        self._aims[name] = aims_of(
            session.figures,
            inserts=_median(self._inserts),
            wallets=max((MARKETS[row.market].customers for row in rows), default=0),
            idle_bytes=sum(self._memory[f"idle, {name}"].values()),
        )

    async def _measure(
        self, run: Stack, session: Session, rows: tuple[Row, ...], name: str, *, is_first: bool
    ) -> None:
        await asyncio.sleep(_IDLE_S)
        self._memory[f"idle, {name}"] = run.memory()
        await session.prepare(rows)
        wants_limits = is_first and self._wants("limits")
        if wants_limits:
            await limits.prepare_postgres(run)
        for number in range(self._arguments.rounds):
            self._say(f"round {number + 1} of {self._arguments.rounds}")
            session.round(rows)
            if wants_limits:
                await self._limits(run)
        self._memory[f"after the load, {name}"] = run.memory()

    async def _limits(self, run: Stack) -> None:
        seconds = self._arguments.seconds
        self._reads.append(await limits.redis_reads(run, at_once=32, seconds=seconds))
        self._inserts.append(
            await limits.postgres_inserts(
                run, connections=run.workers, size=_INSERTS_SIZE, seconds=seconds
            )
        )

    def _limit_lines(self) -> list[Line]:
        named = (("limit: Valkey reads", self._reads), ("limit: Postgres inserts", self._inserts))
        return [
            Line(what=what, rate=_median(seen) or 0, note=seen[0].note)
            for what, seen in named
            if seen
        ]

    async def _tigerbeetle(self) -> None:
        """TigerBeetle without the service."""
        self._say("-- tigerbeetle alone")
        arguments = self._arguments
        own = await asyncio.to_thread(tigerbeetle_limits.own_benchmark, transfers=200_000)
        self._lines.append(
            Line(what="limit: TigerBeetle's benchmark", rate=own.rate, note=own.note)
        )
        by_size = await tigerbeetle_limits.python_client(
            [100, 1000], seconds=arguments.seconds, rounds=arguments.rounds
        )
        self._lines += [
            Line(
                what=f"limit: TigerBeetle's client, {size:,} a batch",
                rate=_median(seen) or 0,
                note=seen[0].note,
            )
            for size, seen in by_size.items()
        ]

    def _wants(self, section: str) -> bool:
        only = self._arguments.only
        return not only or section in {word.strip() for word in only.split(",")}

    def _say(self, text: str) -> None:
        print(f"{time.perf_counter() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def _median(seen: list[limits.Limit]) -> float | None:
    return statistics.median(one.rate for one in seen) if seen else None


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="rows and sections: limits, one-worker, …")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", choices=["postgres", "tigerbeetle"], default="postgres")
    parser.add_argument("--driver", choices=["wrk", "client"], help="wrk where there is one")
    parser.add_argument("--scratch", type=Path, help="where the scratch folder is made")
    parser.add_argument("--json", type=Path, help="where the figures go too, as JSON")
    parser.add_argument("--markdown", type=Path, help="where the table goes too, as Markdown")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.rounds = 1, 1
    return arguments


async def main() -> int:
    arguments = parsed()
    bench = Bench(arguments)
    report = await bench.run()
    print(tables.as_text(report))
    for path, write in ((arguments.json, _as_json), (arguments.markdown, tables.as_markdown)):
        if path:
            path.write_text(write(report) + "\n")
    return 0 if report.is_good else 1


def _as_json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report)).decode()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
