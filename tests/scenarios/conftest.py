"""The running service of the API's tests, for whole stories too."""

from datetime import UTC, datetime

import asyncpg
import pytest

from tests.api.conftest import Service
from tests.api.conftest import service as service
from wallet_service import api_keys, catalog, organizations


@pytest.fixture(scope="session")
async def priced_key(service: Service) -> str:
    """The key of an organization with the prices that every first organization has."""
    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_worker"})
    now = datetime.now(UTC)
    try:
        async with connection.transaction():
            made = await organizations.create_organization(connection, "Priced", now=now)
            await catalog.import_bundled(connection, made.id, now=now)
            _, key = await api_keys.create(connection, made.id, "tests", now=now)
    finally:
        await connection.close()
    return key
