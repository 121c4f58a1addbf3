"""What a worker remembers of prices is asked for once, and never outlives a change."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from invoicing import customers, features, plans, subscribers, subscription_entitlements
from invoicing.customers import CustomerChanges
from invoicing.features import FeatureChanges
from invoicing.plans import PlanChanges
from ledger.ids import new_uuid
from wallet_service.access_cache import AccessCache
from wallet_service.database import Database
from wallet_service.rate_card_cache import RateCardCache

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORGANIZATION = new_uuid(NOW)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which entitlements were read, in order."""
    read: list[str] = []

    def watch(module: Any, name: str) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(module, name)

        async def watched(*arguments: Any) -> Any:
            read.append(name)
            return await real(*arguments)

        monkeypatch.setattr(module, name, watched)

    watch(features, "find_every")
    watch(subscription_entitlements, "load_access")
    return read


async def subscribe(database: Database) -> None:
    """A customer on the default plan."""
    async with database.tenant(ORGANIZATION) as connection:
        terms = PlanChanges(
            code="plan",
            name="Plan",
            interval="monthly",
            amount_cents=0,
            amount_currency="USD",
            is_default=True,
        )
        await plans.create(connection, ORGANIZATION, terms, now=NOW)
        await customers.upsert(connection, ORGANIZATION, "acme", CustomerChanges(), now=NOW)


async def add_feature(database: Database) -> None:
    async with database.tenant(ORGANIZATION) as connection:
        await features.create(connection, ORGANIZATION, FeatureChanges(code="gpt"), now=NOW)


async def test_without_features_nothing_is_read_but_that_there_are_none(
    database: Database, calls: list[str]
) -> None:
    cache = AccessCache(database)
    for _ in range(3):
        assert await cache.find(ORGANIZATION, new_uuid(NOW)) is None
    assert calls == ["find_every"]


async def test_a_subscription_is_read_once_until_the_catalogue_changes(
    database: Database, calls: list[str]
) -> None:
    await add_feature(database)
    cache = AccessCache(database)
    subscription = new_uuid(NOW)
    first = await cache.find(ORGANIZATION, subscription)
    assert await cache.find(ORGANIZATION, subscription) is first
    assert await cache.find(ORGANIZATION, None) == first
    assert calls == ["find_every", "load_access", "load_access"]
    cache.forget(ORGANIZATION)
    assert await cache.find(ORGANIZATION, subscription) is not first


async def test_what_was_read_before_a_change_is_not_kept_after_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscribe(database)
    cache = RateCardCache(database, recheck_s=3_600)
    reading, goes_on = asyncio.Event(), asyncio.Event()
    real = subscribers.find_subscribers

    async def slowly(*arguments: Any) -> Any:
        found = await real(*arguments)
        reading.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(subscribers, "find_subscribers", slowly)
    early = asyncio.create_task(cache.customer(ORGANIZATION, "acme", now=NOW))
    await reading.wait()
    await add_feature(database)
    cache.look_again(ORGANIZATION)
    goes_on.set()
    await early
    (agreement,) = (await cache.customer(ORGANIZATION, "acme", now=NOW)).agreements
    assert agreement.access is not None
    assert agreement.access.features == {"gpt": False}
    assert await cache.customer(ORGANIZATION, "acme", now=NOW) is not await early


async def test_customers_who_are_asked_for_together_are_looked_up_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    await subscribe(database)
    async with database.tenant(ORGANIZATION) as connection:
        for number in range(5):
            await customers.upsert(
                connection, ORGANIZATION, f"c{number}", CustomerChanges(), now=NOW
            )
    asked: list[int] = []
    find = subscribers.find_subscribers

    async def counted(connection: Any, wanted: Any) -> Any:
        asked.append(len(wanted))
        return await find(connection, wanted)

    monkeypatch.setattr(subscribers, "find_subscribers", counted)
    rates = RateCardCache(database, recheck_s=60)
    names = ["acme", *(f"c{number}" for number in range(5)), "nobody"]
    await rates.meet(ORGANIZATION, customers=names, now=NOW)
    assert asked == [1, 6]
    for name in names[:-1]:
        card = await rates.customer(ORGANIZATION, name, now=NOW)
        assert card.agreements
    assert asked == [1, 6]
