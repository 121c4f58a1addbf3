"""How fast the service is, as ratios that can be repeated: see docs/how-to/measure-speed.md.

python loadtests/bench.py
python loadtests/bench.py --quick --only authorize
"""

import argparse
import asyncio
import sys
from pathlib import Path

from loadtests.speed import wrk
from loadtests.speed.seed import open_market
from loadtests.speed.shapes import authorize
from loadtests.speed.shapes import bare as bare_shape
from loadtests.speed.stack import bare, listens, stack


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", choices=["postgres", "tigerbeetle"], default="postgres")
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.rounds = 1, 1
    with bare(workers=arguments.workers) as empty:
        async with stack(
            ledger=arguments.ledger, workers=arguments.workers, scratch=arguments.scratch
        ) as run:
            market = await open_market(run, "bench", customers=10_000)
            while not await listens(empty):
                await asyncio.sleep(0.1)
            for _ in range(arguments.rounds):
                for connections in (1, 32, 128):
                    unit = wrk.run(
                        empty, bare_shape(), connections=connections, seconds=arguments.seconds
                    )
                    shape = authorize(market.api_key, market.customers)
                    seen = wrk.run(
                        run.place, shape, connections=connections, seconds=arguments.seconds
                    )
                    print(
                        f"{connections:4} bare {unit.rate:8,.0f}/s p50 {unit.p50_ms:6.2f} "
                        f"p99 {unit.p99_ms:6.2f} authorize {seen.rate:8,.0f}/s "
                        f"p50 {seen.p50_ms:6.2f} p99 {seen.p99_ms:6.2f} "
                        f"errors {unit.errors} {seen.errors} ratio {seen.rate / unit.rate:.2f}"
                    )
            clean, table = run.check()
            print(table)
            print("clean" if clean else "NOT CLEAN")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
