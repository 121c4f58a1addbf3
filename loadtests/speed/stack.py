"""What is measured: a `wallet up` on a scratch folder, and the empty handler beside it."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from msgspec import Struct

from wallet_service.embedded.postgres import url_of
from wallet_service.embedded.sockets import socket_folder

ROOT = Path(__file__).resolve().parents[2]
READY_S_MAX = 60
STOP_S_MAX = 30


class Place(Struct, frozen=True):
    """Where requests go."""

    host: str
    port: int


class Stack(Struct, frozen=True, kw_only=True):
    """A running `wallet up`."""

    process: subprocess.Popen[bytes]
    data: Path
    place: Place
    api_key: str
    organization_id: str
    ledger: str
    workers: int

    @property
    def sockets(self) -> Path:
        return socket_folder(self.data / "run")

    @property
    def dsn(self) -> str:
        return url_of(self.sockets)

    def check(self) -> tuple[bool, str]:
        """Run `wallet check`, again if it could not run: is it clean, and its table."""
        done = self._check()
        if done.returncode != 0 and "Error: " in done.stdout:
            done = self._check()
        return done.returncode == 0, done.stdout

    def _check(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wallet_service.cli", "check", "--data", str(self.data)],
            cwd=ROOT,
            env=plain_environment(),
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def api_workers(self) -> list[int]:
        """The processes that answer requests: forked from the one that holds the port."""
        return [
            pid
            for parent in children(self.process.pid)
            if "uvicorn" in command_line(parent)
            for pid in children(parent)
            if not does_background_work(pid)
        ]

    def memory(self) -> dict[str, int]:
        """Bytes that each kind of process has to itself, shared pages divided (PSS)."""
        sums: dict[str, int] = {"supervisor": pss(self.process.pid)}
        for child in children(self.process.pid):
            for pid in [child, *descendants(child)]:
                name = "worker" if does_background_work(pid) else kind(command_line(child))
                sums[name] = sums.get(name, 0) + pss(pid)
        return sums


@asynccontextmanager
async def stack(*, ledger: str, workers: int, scratch: Path | None) -> AsyncGenerator[Stack]:
    """Start a stack on a scratch folder; it is stopped and forgotten again."""
    with tempfile.TemporaryDirectory(
        prefix="wallet-bench-", dir=scratch, ignore_cleanup_errors=True
    ) as folder:
        port = free_port()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "loadtests.speed.up", "up"),
                *("--data", folder, "--port", str(port), "--workers", str(workers)),
                *("--ledger", ledger),
            ],
            cwd=ROOT,
            env=plain_environment(),
            stdout=subprocess.DEVNULL,
            # Ctrl-C is for whoever started us, who then stops it in good order.
            start_new_session=True,
        )
        try:
            credentials = Path(folder) / "credentials.json"
            await until(credentials.exists, process)
            known = json.loads(credentials.read_text())
            yield Stack(
                process=process,
                data=Path(folder),
                place=Place("127.0.0.1", port),
                api_key=known["api_key"],
                organization_id=known["organization_id"],
                ledger=ledger,
                workers=workers,
            )
        finally:
            stop(process)


@contextmanager
def bare(*, workers: int) -> Generator[Place]:
    """The empty handler, on the very server that the service runs on."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.speed.bare"],
        cwd=ROOT,
        env={
            **plain_environment(),
            "PYTHONPATH": str(ROOT),
            "WALLET_PORT": str(port),
            "WALLET_WORKERS": str(workers),
        },
        start_new_session=True,
    )
    try:
        yield Place("127.0.0.1", port)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; by force if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def until(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something that a process brings about."""
    for _ in range(READY_S_MAX * 20):
        if is_so():
            return
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        await asyncio.sleep(0.05)
    raise SystemExit(f"{process.args} is not ready after {READY_S_MAX} s")


async def listens(place: Place) -> bool:
    """Does anybody accept connections there?"""
    try:
        _, writer = await asyncio.open_connection(place.host, place.port)
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    """A port that nobody uses, below those that the kernel gives away."""
    while True:
        port = 18_000 + random.randrange(4_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def plain_environment() -> dict[str, str]:
    """The environment without any settings of another service."""
    return {name: text for name, text in os.environ.items() if not name.startswith("WALLET_")} | {
        name: os.environ[name]
        for name in ("WALLET_TIGERBEETLE_BIN", "WALLET_POSTGRES_BIN", "WALLET_REDIS_BIN")
        if name in os.environ
    }


# -- processes, as Linux shows them ----------------------------------------------------------------


def children(pid: int) -> list[int]:
    """The processes that one has started itself."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def does_background_work(pid: int) -> bool:
    """Is this the worker, among those that are forked from the same process?"""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "worker"
    except OSError:
        return False


def pss(pid: int) -> int:
    """Proportional set size in bytes; 0 where it cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def kind(line: str) -> str:
    """What a direct child of `wallet up` is."""
    for word, name in (
        ("postgres", "postgres"),
        ("valkey", "valkey"),
        ("redis-server", "valkey"),
        ("tigerbeetle start", "tigerbeetle"),
        ("uvicorn", "api"),
    ):
        if word in line:
            return name
    return "other"
