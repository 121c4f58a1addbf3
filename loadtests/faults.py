"""Fault runs: kill api workers, empty and stop Redis, race for the last money; count the losses.

    python loadtests/faults.py races   --rounds 100
    python loadtests/faults.py repeats --rounds 20
    python loadtests/faults.py kills   --cycles 200
    python loadtests/faults.py redis   --seconds 10
    (each with --ledger postgres|tigerbeetle)

Each run starts a stack of its own on a scratch directory, loopback only, and stops it. It ends with
the balances compared with what the callers were told, and with `wallet check`; any breach is exit
status 1.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Self

from msgspec import Struct, field

from loadtests.speed.stack import does_background_work
from wallet_service.cli.replay.http_connection import Caller
from wallet_service.client import requests
from wallet_service.client.errors import PaymentRequired, WalletError

ROOT = Path(__file__).resolve().parent.parent


class Stack(Struct):
    """A running `wallet up`."""

    process: subprocess.Popen[bytes]
    data: Path
    url: str
    api_key: str

    def caller(self) -> Caller:
        return Caller(url=self.url, api_key=self.api_key)

    def children(self, of: int | None = None, *, direct: bool = False) -> dict[int, str]:
        """Processes below one, or only its own: pid to command line."""
        parents: dict[int, list[int]] = {}
        lines: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                lines[int(entry.name)] = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                )
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
        found: dict[int, str] = {}
        todo = [of or self.process.pid]
        while todo:
            for child in parents.get(todo.pop(), []):
                found[child] = lines[child]
                if not direct:
                    todo.append(child)
        return found

    def api_workers(self) -> list[int]:
        """The processes that answer requests: forked from the one that holds the port."""
        return [
            pid
            for parent, line in self.children(direct=True).items()
            if "uvicorn" in line
            for pid in self.children(parent)
            if not does_background_work(pid)
        ]

    def redis(self) -> int:
        return next(pid for pid, line in self.children().items() if "valkey-server" in line)

    def check(self) -> bool:
        """Run `wallet check`; prints its table."""
        done = subprocess.run(
            [sys.executable, "-m", "wallet_service.cli", "check", "--data", str(self.data)],
            cwd=ROOT,
            check=False,
        )
        return done.returncode == 0


@asynccontextmanager
async def stack(*, ledger: str, workers: int) -> AsyncIterator[Stack]:
    """Start a stack on a scratch directory and stop it again."""
    with tempfile.TemporaryDirectory(prefix="wallet-faults-") as folder:
        port = 18_000 + random.randrange(2_000)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "wallet_service.cli", "up"),
                *("--data", folder, "--port", str(port), "--workers", str(workers)),
                *("--ledger", ledger),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        credentials = Path(folder) / "credentials.json"
        try:
            until = time.monotonic() + 120
            while not credentials.exists() and time.monotonic() < until:
                await asyncio.sleep(0.05)
            known = json.loads(credentials.read_text())
            yield Stack(process, Path(folder), known["url"], known["api_key"])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)


async def fund(caller: Caller, name: str, granted: Decimal) -> str:
    """A customer with so much money."""
    await caller.send(requests.create_customer(name, currency="USD"))
    await caller.send(requests.create_wallet(customer=name, asset="USD", granted_credits=granted))
    return name


class Shown(NamedTuple):
    """A customer's balance in USD."""

    available: Decimal
    held: Decimal
    overage: Decimal


async def balance(caller: Caller, name: str, *, source: str | None = None) -> Shown:
    """What the hot balances show of a customer, or the ledger itself."""
    for one in await caller.send(requests.balances(name, source=source)):
        return Shown(one.available, one.held, one.overage)
    return Shown(Decimal(0), Decimal(0), Decimal(0))


# -- races -----------------------------------------------------------------------------------------


async def races(run: Stack, arguments: argparse.Namespace) -> bool:
    """20 callers ask for 75 of 500 at once: 6 are approved, 450 held, every time."""
    callers = [run.caller() for _ in range(20)]
    wrong = 0
    for number in range(arguments.rounds):
        name = await fund(callers[0], f"race-{number}", Decimal(500))
        outcomes = await asyncio.gather(
            *(
                caller.send(
                    requests.authorize(
                        customer=name, amount="75", asset="USD", transaction_id=f"{name}-{place}"
                    )
                )
                for place, caller in enumerate(callers)
            ),
            return_exceptions=True,
        )
        approved = sum(not isinstance(outcome, BaseException) for outcome in outcomes)
        odd = [
            outcome
            for outcome in outcomes
            if isinstance(outcome, BaseException) and not isinstance(outcome, PaymentRequired)
        ]
        held = (await balance(callers[0], name)).held
        if approved != 6 or held != 450 or odd:
            wrong += 1
            print(f"round {number}: approved {approved}, held {held}, other {odd}")
    print(f"races: {arguments.rounds} rounds, {wrong} wrong")
    return wrong == 0


# -- repeats ---------------------------------------------------------------------------------------


async def repeats(run: Stack, arguments: argparse.Namespace) -> bool:
    """50 identical requests at once, a worker killed in between: one effect, 50 equal answers."""
    callers = [run.caller() for _ in range(50)]
    wrong = 0
    for number in range(arguments.rounds):
        name = await fund(callers[0], f"repeat-{number}", Decimal(500))
        request = requests.authorize(
            customer=name, amount="75", asset="USD", transaction_id=f"key-{number}"
        )
        asked = [asyncio.create_task(caller.send(request)) for caller in callers]
        if number % 2:
            await asyncio.sleep(random.uniform(0, 0.05))
            os.kill(random.choice(run.api_workers()), signal.SIGKILL)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        different = Counter(repr(outcome) for outcome in outcomes)
        available, held, _ = await balance(callers[0], name)
        if len(different) != 1 or (available, held) != (425, 75):
            wrong += 1
            print(f"round {number}: {available} + {held}, {len(different)} different answers:")
            for outcome, times in different.most_common():
                print(f"  {times} times {outcome[:300]}")
    print(f"repeats: {arguments.rounds} rounds, {wrong} wrong")
    return wrong == 0


# -- load with a memory ----------------------------------------------------------------------------


class Told(Struct):
    """What callers were told of one customer."""

    name: str
    funded: Decimal
    captured: Decimal = Decimal(0)
    debited: Decimal = Decimal(0)
    open_holds: dict[str, Decimal] = field(default_factory=dict)
    overage: Decimal = Decimal(0)


class Load:
    """Callers that authorize, capture and void for ever, and remember every answer."""

    def __init__(self, run: Stack, *, customers: int, funded: Decimal, callers: int) -> None:
        self._run = run
        self._callers = callers
        self._is_over = False
        self._names = [f"load-{number}" for number in range(customers)]
        self._funded = funded
        self.told: dict[str, Told] = {}
        self.counts: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        caller = self._run.caller()
        for name in self._names:
            await fund(caller, name, self._funded)
            self.told[name] = Told(name, self._funded)
        self._tasks = [asyncio.create_task(self._call(place)) for place in range(self._callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _call(self, place: int) -> None:
        caller = self._run.caller()
        number = 0
        while not self._is_over:
            number += 1
            told = self.told[random.choice(self._names)]
            key = f"{place}-{number}"
            await self._one_call(caller, told, key)
        caller.close()

    async def _one_call(self, caller: Caller, told: Told, key: str) -> None:
        """Authorize for a bound, then capture what was used: less, more, or nothing at all."""
        cents = Decimal(random.randint(1, 40)) / 100
        hold = await self._until_known(
            caller,
            requests.authorize(
                customer=told.name, amount=cents, asset="USD", transaction_id=key, expires_in=3600
            ),
        )
        if hold is None:
            self.counts["denied"] += 1
            return
        self.counts["approved"] += 1
        choice = random.random()
        if choice < 0.1:
            await self._until_known(caller, requests.void(hold.id))
            self.counts["voided"] += 1
            return
        used = cents * random.choice([Decimal("0.5"), Decimal(1), Decimal("1.5")])
        captured = await self._until_known(
            caller, requests.capture(hold.id, amount=used, transaction_id=f"{key}-usage")
        )
        assert captured is not None
        self.counts["captured"] += 1
        debits = captured.debits or ()
        told.captured += sum((debit.amount for debit in debits), Decimal(0))
        told.overage += sum((debit.overage for debit in debits), Decimal(0))
        if sum((debit.amount + debit.overage for debit in debits), Decimal(0)) != used:
            self.counts["wrong amounts"] += 1

    async def _until_known(self, caller: Caller, request):  # noqa: ANN001, ANN202
        """Repeat with the same key until there is an answer, as a careful client does.

        None is a denial.
        """
        until = time.monotonic() + 60
        while True:
            try:
                return await caller.send(request)
            except PaymentRequired:
                return None
            except WalletError as error:
                self.counts[f"retried {type(error).__name__}"] += 1
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)

    async def wrong(self, *, within_s: float) -> list[str]:
        """Customers whose ledger or hot balances differ from what callers were told."""
        caller = self._run.caller()
        until = time.monotonic() + within_s
        while True:
            differences: list[str] = []
            for told in self.told.values():
                ledger = await balance(caller, told.name, source="ledger")
                hot = await balance(caller, told.name)
                # Overage is repaid first by whatever comes free before the next authorization.
                repaid = told.overage - ledger.overage
                expected = Shown(told.funded - told.captured - repaid, Decimal(0), ledger.overage)
                if ledger != expected:
                    differences.append(f"{told.name}: ledger {ledger}, told {expected}")
                if hot != ledger:
                    differences.append(f"{told.name}: hot {hot}, ledger {ledger}")
            if not differences or time.monotonic() > until:
                return differences
            await asyncio.sleep(0.1)


async def kills(run: Stack, arguments: argparse.Namespace) -> bool:
    """Kill a random api worker again and again: nothing acknowledged is lost or doubled."""
    async with Load(run, customers=20, funded=Decimal(100), callers=16) as load:
        killed = 0
        while killed < arguments.cycles:
            await asyncio.sleep(random.uniform(0.2, 0.8))
            workers = run.api_workers()
            if len(workers) == arguments.workers:
                os.kill(random.choice(workers), signal.SIGKILL)
                killed += 1
    print(f"kills: {killed} workers killed, {dict(load.counts)}")
    await asyncio.sleep(5)
    return report(await load.wrong(within_s=0)) and not load.counts["wrong amounts"]


async def redis(run: Stack, arguments: argparse.Namespace) -> bool:
    """Empty Redis, and stop it, under load.

    Every decision is right, none is refused for it, and shown right within 2 s.
    """
    async with Load(run, customers=50, funded=Decimal(10_000), callers=16) as load:
        await asyncio.sleep(1)
        socket = next((run.data / "run").glob("valkey*.sock"))
        from redis import Redis  # noqa: PLC0415

        for _ in range(5):
            Redis(unix_socket_path=str(socket)).flushall()
            await asyncio.sleep(0.5)
        before = Counter(load.counts)
        os.kill(run.redis(), signal.SIGSTOP)
        await asyncio.sleep(arguments.seconds)
        during = load.counts - before
        os.kill(run.redis(), signal.SIGCONT)
        await asyncio.sleep(1)
        os.kill(run.redis(), signal.SIGKILL)
        await asyncio.sleep(2)
    print(f"redis: while it stood still {dict(during)}; in all {dict(load.counts)}")
    refused = load.counts["denied"]
    return report(await load.wrong(within_s=2)) and refused == 0 and during["approved"] > 0


def report(differences: list[str]) -> bool:
    for difference in differences[:20]:
        print(difference)
    print(f"{len(differences)} differences between what was told, the ledger and the hot balances")
    return not differences


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", choices=["races", "repeats", "kills", "redis"])
    parser.add_argument("--ledger", choices=["postgres", "tigerbeetle"], default="postgres")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    async with stack(ledger=arguments.ledger, workers=arguments.workers) as run:
        good = await globals()[arguments.run](run, arguments)
        good = run.check() and good
    print("good" if good else "BAD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
