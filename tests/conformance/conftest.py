"""The three engines of the book, each as a fixture, for one suite over all of them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from ledger.engine import Ledger
from ledger.engines import open_ledger
from tests.conftest import new_ledger


class LedgerClock:
    """Nanoseconds that pass only when told to: the memory engine's clock."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="session")
async def memory_ledger() -> Ledger:
    return open_ledger("memory", clock=LedgerClock())


@pytest.fixture(scope="session")
async def postgres_pool(new_database) -> AsyncIterator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(
        await new_database(), min_size=0, max_size=8, server_settings={"role": "wallet_worker"}
    )
    yield pool
    pool.terminate()


@pytest.fixture(scope="session")
async def postgres_ledger(postgres_pool: asyncpg.Pool) -> Ledger:
    return open_ledger("postgres", pool=postgres_pool)


@pytest.fixture(scope="session")
async def tigerbeetle_ledger(tigerbeetle: str) -> AsyncIterator[Ledger]:
    ledger = open_ledger("tigerbeetle", addresses=tigerbeetle, deadline_s=20)
    await ledger.ready()
    yield ledger
    await ledger.close()


@pytest.fixture(params=["memory", "postgres", "tigerbeetle"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return request.getfixturevalue(f"{request.param}_ledger")


@pytest.fixture
def ledger_number() -> int:
    """A ledger that no other test has touched: the engines are shared by all tests."""
    return new_ledger()
