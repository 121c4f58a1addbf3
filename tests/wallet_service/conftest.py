"""What tests of the committer share: an engine of the book, and an organization's till over it."""

from collections.abc import AsyncIterator

import pytest

from tests.wallet_service.till import Till
from wallet_service.database import Database


@pytest.fixture(params=["postgres", "memory", "tigerbeetle"])
def ledger_kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An engine and its addresses; TigerBeetle is skipped where there is none."""
    is_served = request.param == "tigerbeetle"
    return request.param, request.getfixturevalue("tigerbeetle") if is_served else ""


@pytest.fixture
async def till(ledger_kind: tuple[str, str], module_database: Database) -> AsyncIterator[Till]:
    till = await Till.open(module_database, *ledger_kind)
    yield till
    await till.ledger.close()
