"""The service as clients meet it: a real server on a loopback port, over a database of its own."""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import httpx
import pytest
import uvicorn
from lago_python_client.client import Client as LagoClient
from msgspec import Struct

from tests.api.market import Shop
from tests.conftest import PATIENCE, NewDatabase
from wallet_service import api_keys, organizations
from wallet_service.api.app import create_app
from wallet_service.api.whole_answers import WholeAnswers
from wallet_service.embedded.redis import Redis
from wallet_service.settings import Settings

KEY_CACHE_S = 0.2


class Service(Struct, frozen=True, kw_only=True):
    """A running service and who may come in."""

    url: str
    dsn: str
    organization_id: UUID
    api_key: str
    other_organization_id: UUID
    other_api_key: str


async def open_account(
    dsn: str, name: str, *, scopes: Sequence[str] = (api_keys.ALL,)
) -> tuple[UUID, str]:
    """Make an organization and a key of it."""
    connection = await asyncpg.connect(dsn, server_settings={"role": "wallet_worker"})
    now = datetime.now(UTC)
    try:
        async with connection.transaction():
            organization = await organizations.create_organization(connection, name, now=now)
            _, key = await api_keys.create(
                connection, organization.id, "tests", scopes=scopes, now=now
            )
    finally:
        await connection.close()
    return organization.id, key


def serve(settings: Settings) -> tuple[uvicorn.Server, threading.Thread]:
    """Run the application in a thread, so that clients that block do not block it."""
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=0,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=600,  # clients close first, so no request meets a connection's end
        lifespan="on",
        http=WholeAnswers,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        assert time.monotonic() < deadline, "the service did not start in time"
        time.sleep(0.01)
    return server, thread


@pytest.fixture(scope="session")
async def service(new_database: NewDatabase, redis_server: Redis) -> AsyncIterator[Service]:
    """A running service with two organizations."""
    dsn = await new_database()
    organization_id, api_key = await open_account(dsn, "Acme")
    other_organization_id, other_api_key = await open_account(dsn, "Globex")
    settings = Settings(
        database_url=dsn,
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
        key_cache_s=KEY_CACHE_S,
    )
    server, thread = serve(settings)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Service(
        url=f"http://127.0.0.1:{port}",
        dsn=dsn,
        organization_id=organization_id,
        api_key=api_key,
        other_organization_id=other_organization_id,
        other_api_key=other_api_key,
    )
    server.should_exit = True
    thread.join(timeout=20)


def _client(service: Service, api_key: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"{service.url}/api/v1",
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=60,  # nothing here is about speed, and the machine may be busy
        trust_env=False,
    )


@pytest.fixture(scope="session")
def api(service: Service) -> Iterator[httpx.Client]:
    """An HTTP client with the first organization's key."""
    with _client(service, service.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def other_api(service: Service) -> Iterator[httpx.Client]:
    """An HTTP client with the second organization's key."""
    with _client(service, service.other_api_key) as client:
        yield client


NewShop = Callable[[str], Awaitable[Shop]]


@pytest.fixture(scope="session")
async def new_shop(service: Service) -> AsyncIterator[NewShop]:
    """Open further organizations with nothing in them, where all codes are free."""
    with ExitStack() as clients:

        async def open_shop(name: str) -> Shop:
            _, key = await open_account(service.dsn, name)
            return Shop(clients.enter_context(_client(service, key)), name)

        yield open_shop


@pytest.fixture(scope="session")
def lago(service: Service) -> LagoClient:
    """Lago's official client, unmodified."""
    return LagoClient(api_key=service.api_key, api_url=service.url)
