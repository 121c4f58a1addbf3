"""Where an api worker spends its time under load, as a flame graph.

    python loadtests/flame.py                              authorize at 32, to flame.svg
    python loadtests/flame.py --row pairs --seconds 20
    python loadtests/flame.py --format raw --output flame.txt     and a table of functions

Starts a stack of its own, keeps it busy with a row of the benchmark, and lets py-spy look at one of
its api workers. It must be allowed to look into processes that it did not start itself: be root, or
set `kernel.yama.ptrace_scope` to 0.
"""

import argparse
import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

from loadtests.speed.rows import MARKETS, SERVICE
from loadtests.speed.seed import open_market
from loadtests.speed.session import find_driver
from loadtests.speed.stack import stack

_WARM_S = 3
_SHOWN = 40


def summary(raw: str) -> list[tuple[str, float, float]]:
    """Functions with their share of all samples: on top of the stack, and anywhere in it.

    A line of `raw` is a stack, outermost first, cut by semicolons, and how often it was seen.
    """
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in raw.splitlines():
        text, _, count = line.rpartition(" ")
        frames = [frame.rpartition(":")[0] or frame for frame in text.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    in_order = sorted(whole, key=lambda name: (-whole[name], name))
    return [(name, own[name] / total, whole[name] / total) for name in in_order]


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--row", choices=[row.name for row in SERVICE], default="authorize-32")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", choices=["postgres", "tigerbeetle"], default="postgres")
    parser.add_argument(
        "--format", choices=["flamegraph", "speedscope", "raw"], default="flamegraph"
    )
    parser.add_argument("--output", type=Path, default=Path("flame.svg"))
    parser.add_argument("--native", action="store_true", help="frames of C extensions too")
    parser.add_argument("--scratch", type=Path, help="where the scratch folder is made")
    arguments = parser.parse_args()
    row = next(row for row in SERVICE if row.name == arguments.row)
    _, drive = find_driver()
    async with stack(
        ledger=arguments.ledger, workers=arguments.workers, scratch=arguments.scratch
    ) as run:
        market = await open_market(run, row.market, MARKETS[row.market])
        shape = row.shape(market.api_key, row.customers or market.customers)
        load = asyncio.to_thread(
            drive,
            run.place,
            shape,
            connections=row.connections,
            seconds=_WARM_S + arguments.seconds + 1,
        )
        driving = asyncio.create_task(load)
        await asyncio.sleep(_WARM_S)
        done = await asyncio.to_thread(_record, run.api_workers()[0], arguments)
        seen = await driving
    print(f"{row.title} @{row.connections}: {seen.rate * row.work:,.0f}/s, {seen.errors} errors")
    if done == 0 and arguments.format == "raw":
        print(f"{'own':>6} {'whole':>6}")
        for name, own, whole in summary(arguments.output.read_text())[:_SHOWN]:
            print(f"{own:6.1%} {whole:6.1%}  {name}")
    return done


def _record(pid: int, arguments: argparse.Namespace) -> int:
    program = Path(sys.executable).with_name("py-spy")
    command = [
        *(str(program), "record", "--pid", str(pid), "--duration", str(arguments.seconds)),
        *("--format", arguments.format, "--output", str(arguments.output), "--rate", "200"),
        *(["--native"] if arguments.native else []),
    ]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
