"""Load told as stories, with Locust.

    python loadtests/load.py                                  all stories, in a browser
    python loadtests/load.py authorize_capture --headless     one story, on the terminal
    python loadtests/load.py month_end --headless --users 50 --seconds 60

Starts a stack of its own on a scratch folder, and asks `wallet check` at the end; with WALLET_URL
and WALLET_API_KEY it goes to the service that they name. Failed requests and breaches are exit
status 1. Locust takes most of a core from what it measures: for figures there is bench.py.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from loadtests.speed.stack import ROOT, stack

_FOLDER = Path(__file__).resolve().parent / "locust"
STORIES = tuple(sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem != "service_user"))


def command(arguments: argparse.Namespace) -> list[str]:
    """How Locust is started."""
    stories = [arguments.story] if arguments.story else STORIES
    files = ",".join(str(_FOLDER / f"{story}.py") for story in stories)
    started = [sys.executable, "-m", "locust", "-f", files]
    if not arguments.headless:
        return [*started, "--web-host", "127.0.0.1", "--class-picker"]
    users = str(arguments.users)
    run_time = f"{arguments.seconds}s"
    return [
        *(*started, "--headless", "--only-summary", "--users", users, "--spawn-rate", users),
        *("--run-time", run_time, "--stop-timeout", "10"),
    ]


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("story", nargs="?", choices=STORIES)
    parser.add_argument("--headless", action="store_true", help="no browser: a table at the end")
    parser.add_argument("--users", type=int, default=20, help="at once, headless")
    parser.add_argument("--seconds", type=int, default=30, help="headless")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", choices=["postgres", "tigerbeetle"], default="postgres")
    parser.add_argument("--scratch", type=Path, help="where the scratch folder is made")
    arguments = parser.parse_args()
    started = command(arguments)
    if os.environ.get("WALLET_URL"):
        return await asyncio.to_thread(subprocess.call, started, cwd=ROOT)
    # Ctrl-C ends Locust; then the books are looked at.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    async with stack(
        ledger=arguments.ledger, workers=arguments.workers, scratch=arguments.scratch
    ) as run:
        where = {
            "WALLET_URL": f"http://{run.place.host}:{run.place.port}",
            "WALLET_API_KEY": run.api_key,
        }
        environment = {**os.environ, **where}
        code = await asyncio.to_thread(subprocess.call, started, cwd=ROOT, env=environment)
        is_clean, table = run.check()
        print("wallet check: clean" if is_clean else table)
    return code if is_clean else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
