"""The words that all tests share: clock, databases, Redis, TigerBeetle.

Servers are started once a session, on unix sockets in a short temporary folder, and leave nothing
behind. A database is a clone of a migrated template, so a fresh one costs some 30 ms.
"""

import itertools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import hypothesis
import pytest

from wallet_service.database import Database
from wallet_service.embedded.errors import ProgramNotFound
from wallet_service.embedded.postgres import UNSAFE_FOR_TESTS, Postgres
from wallet_service.embedded.programs import find_tigerbeetle
from wallet_service.embedded.redis import Redis
from wallet_service.embedded.tigerbeetle import TigerBeetle
from wallet_service.migrate import migrate
from wallet_service.settings import Settings

# A machine that is busy is no failure: nothing here is timed. What passed once passes again where
# that decides about a change; whoever runs the tests by hand draws new examples each time.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")

ONE_TEST_S: Final = 60

# The same for the service: what it says when a store is slow is tested where that is the question.
PATIENCE: Final[dict[str, Any]] = {
    "connect_timeout_s": 60.0,
    "statement_timeout_s": 120.0,
    "deadline_s": 60.0,
    "lock_timeout_ms": 20_000,
    "hot_balances_wait_ms": 20_000,  # so who reads elsewhere sees it too
    "hot_balances_timeout_ms": 20_000,
}


def pytest_runtest_setup() -> None:
    """No test meets a midnight: what it has just done is of today, and of this month."""
    left_s = 86_400 - time.time() % 86_400
    if left_s < ONE_TEST_S:
        time.sleep(left_s)


class Clock:
    """A time that passes only when told to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float = 0, *, days: float = 0) -> datetime:
        """Let time pass and return the new time."""
        self.now += timedelta(days=days, seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Noon of an ordinary Tuesday."""
    return Clock(datetime(2026, 3, 10, 12, 0, tzinfo=UTC))


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, gone soon afterwards.

    A thousand databases are in it in the end: to delete them takes a minute that nobody waits for.
    """
    folder = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    yield folder
    subprocess.Popen(["rm", "-rf", str(folder)], start_new_session=True)


@pytest.fixture(scope="session")
async def postgres(server_folder: Path) -> AsyncIterator[Postgres]:
    """A running Postgres that forgets after a crash, which makes it fast."""
    server = Postgres(
        server_folder / "postgres",
        socket_folder=server_folder,
        log_path=server_folder / "postgres.log",
        settings=UNSAFE_FOR_TESTS,
    )
    server.stop_signal = signal.SIGQUIT  # at once: nobody reads again what it would write
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def postgres_dsn(postgres: Postgres) -> str:
    """URL of the migrated template; tests clone it and never write to it."""
    await postgres.ensure_database("template_wallet")
    dsn = postgres.url("template_wallet")
    await migrate(dsn)
    return dsn


NewDatabase = Callable[[], Awaitable[str]]


@pytest.fixture(scope="session")
async def new_database(postgres: Postgres, postgres_dsn: str) -> AsyncIterator[NewDatabase]:
    """Make further databases, each migrated and empty; returns their URLs."""
    numbers = itertools.count(1)
    connection = await asyncpg.connect(postgres.url("postgres"))

    async def create() -> str:
        name = f"test_{next(numbers)}"
        await connection.execute(f"create database {name} template template_wallet")
        return postgres.url(name)

    yield create
    await connection.close()


@pytest.fixture(scope="session")
def settings_for() -> Callable[[str], Settings]:
    """Settings that accept the forgetful Postgres of the tests, and a busy machine."""

    def make(dsn: str) -> Settings:
        return Settings(database_url=dsn, allow_unsafe_database=True, database_wait_s=0, **PATIENCE)

    return make


@pytest.fixture
async def database_dsn(new_database: NewDatabase) -> str:
    """URL of a migrated, empty database that is this test's own."""
    return await new_database()


@pytest.fixture
async def database(
    database_dsn: str, settings_for: Callable[[str], Settings]
) -> AsyncIterator[Database]:
    """A migrated, empty database that is this test's own, open in all three roles."""
    database = await Database.open(settings_for(database_dsn))
    yield database
    database.terminate()


@pytest.fixture(scope="module")
async def module_database(
    new_database: NewDatabase, settings_for: Callable[[str], Settings]
) -> AsyncIterator[Database]:
    """Like `database`, shared by the tests of a file, which keep out of each other's way."""
    dsn = await new_database()
    database = await Database.open(settings_for(dsn))
    yield database
    database.terminate()


@pytest.fixture(scope="session")
async def redis_server(server_folder: Path) -> AsyncIterator[Redis]:
    """A running Valkey."""
    server = Redis(
        server_folder / "valkey",
        socket_folder=server_folder,
        log_path=server_folder / "valkey.log",
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def redis_url(redis_server: Redis) -> str:
    """URL of an empty Redis."""
    await redis_server.flush()
    return redis_server.url()


_ledgers = itertools.count(1)


def new_ledger() -> int:
    """The number of a ledger that no other test has, nor the 999 after it: engines are shared."""
    return 1_000 * next(_ledgers)


@pytest.fixture(scope="session")
async def tigerbeetle(server_folder: Path) -> AsyncIterator[str]:
    """Addresses of a running TigerBeetle; tests are skipped where there is no binary."""
    try:
        find_tigerbeetle()
    except ProgramNotFound:
        pytest.skip("no tigerbeetle on PATH or in WALLET_TIGERBEETLE_BIN")
    server = TigerBeetle(server_folder / "tigerbeetle", log_path=server_folder / "tigerbeetle.log")
    await server.start()
    yield server.addresses
    await server.stop()
