from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from invoicing import events
from invoicing.errors import NotFound
from invoicing.events import Event, EventFilter
from invoicing.pages import Window
from invoicing.records import from_json
from ledger.ids import new_uuid
from tests.conftest import Clock
from wallet_service.database import Database


@pytest.fixture
def organization_id(clock: Clock):
    return new_uuid(clock.now)


def usage(organization_id, clock: Clock, transaction_id: str, **fields: Any) -> Event:
    clock.advance(1)
    known = {"code": "tokens", "rating_status": "rated", "timestamp": clock.now}
    return Event(
        organization_id=organization_id,
        id=new_uuid(clock.now),
        transaction_id=transaction_id,
        operation_id=new_uuid(clock.now),
        created_at=clock.now,
        **(known | fields),
    )


async def store(database: Database, *given: Event) -> None:
    async with database.committer.acquire() as connection, connection.transaction():
        await events.insert_many(connection, given)


async def test_events_are_stored_together_and_found_by_their_transaction(
    module_database: Database, organization_id, clock: Clock
) -> None:
    properties = '{"tokens": 374, "price": 0.12345678901234567890}'
    first = usage(organization_id, clock, "call-1", properties=properties)
    second = usage(organization_id, clock, "call-2", external_subscription_id="sub")
    await store(module_database, first, second)
    async with module_database.tenant(organization_id) as connection:
        found = await events.get(connection, organization_id, "call-1")
        page = await events.find_all(connection, organization_id, EventFilter(), window=Window())
        with pytest.raises(NotFound):
            await events.get(connection, organization_id, "call-3")
    assert from_json(found.properties) == from_json(properties)
    assert structs.replace(found, properties=properties) == first
    assert [event.transaction_id for event in page.items] == ["call-2", "call-1"]
    assert page.total_count == 2


async def test_no_events_are_stored_without_asking_the_database() -> None:
    await events.insert_many(None, [])  # pyright: ignore[reportArgumentType]


async def test_a_list_can_be_narrowed(
    module_database: Database, organization_id, clock: Clock
) -> None:
    start = clock.now
    await store(
        module_database,
        usage(organization_id, clock, "plain"),
        usage(organization_id, clock, "other code", code="calls"),
        usage(organization_id, clock, "unrated", rating_status="unrated"),
        usage(organization_id, clock, "of a subscription", external_subscription_id="sub"),
        usage(organization_id, clock, "of a customer", external_customer_id="acme"),
        usage(organization_id, clock, "next day", timestamp=start + timedelta(days=1)),
    )

    async def names(**fields: Any) -> list[str]:
        async with module_database.tenant(organization_id) as connection:
            wanted = EventFilter(**fields)
            page = await events.find_all(connection, organization_id, wanted, window=Window())
        assert page.total_count == len(page.items)
        return [event.transaction_id for event in page.items]

    assert await names(code="calls") == ["other code"]
    assert await names(rating_status="unrated") == ["unrated"]
    assert await names(external_subscription_id="sub") == ["of a subscription"]
    assert await names(external_customer_id="acme") == ["of a customer"]
    assert await names(timestamp_from=start + timedelta(days=1)) == ["next day"]
    assert "next day" not in await names(timestamp_to=start + timedelta(days=1))


async def test_the_same_transaction_may_belong_to_two_subscriptions(
    module_database: Database, organization_id, clock: Clock
) -> None:
    await store(
        module_database,
        usage(organization_id, clock, "call", external_subscription_id="first"),
        usage(organization_id, clock, "call", external_subscription_id="second"),
    )
    async with module_database.tenant(organization_id) as connection:
        newest = await events.get(connection, organization_id, "call")
        named = await events.get(
            connection, organization_id, "call", external_subscription_id="first"
        )
    assert newest.external_subscription_id == "second"
    assert named.external_subscription_id == "first"


async def test_usage_of_any_time_is_taken(
    module_database: Database, organization_id, clock: Clock
) -> None:
    times = [datetime(year, 7, 1, tzinfo=UTC) for year in (1999, 2026, 2199)]
    given = [usage(organization_id, clock, f"{at.year}", timestamp=at) for at in times]
    await store(module_database, *given)
    async with module_database.tenant(organization_id) as connection:
        page = await events.find_all(connection, organization_id, EventFilter(), window=Window())
    assert {event.timestamp for event in page.items} == set(times)


async def test_events_can_be_neither_changed_nor_removed(
    database: Database, database_dsn: str, organization_id, clock: Clock
) -> None:
    await store(database, usage(organization_id, clock, "call"))
    owner = await asyncpg.connect(database_dsn)
    for statement in (
        "update invoicing.events set properties = '{}'",
        "delete from invoicing.events",
        "truncate invoicing.events",
    ):
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await owner.execute(statement)
    await owner.close()


@pytest.mark.parametrize(
    ("properties", "is_taken"),
    [
        ('{"n": 1.50, "unit": "h"}', True),
        ('{"n": 1.5, "unit": "h", "computed": "3"}', True),
        ('{"n": "3", "unit": "h"}', True),
        ('{"n": "3", "unit": "s"}', False),
        ('{"n": 1.5, "unit": "h", "computed": "3", "more": 1}', False),
        ('{"unit": "h"}', False),
        ('{"unit": "h", "computed": "3"}', False),
        ("{}", False),
    ],
)
async def test_a_late_rating_may_compute_one_property_and_change_nothing_else(
    module_database: Database, organization_id, clock: Clock, properties: str, is_taken: bool
) -> None:
    reported = usage(
        organization_id,
        clock,
        "late",
        rating_status="unrated",
        properties='{"n": 1.5, "unit": "h"}',
    )
    await store(module_database, reported)
    rated = structs.replace(reported, rating_status="rated", properties=properties)
    async with module_database.committer.acquire() as connection:
        if is_taken:
            await events.rate_late(connection, [rated])
        else:
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await events.rate_late(connection, [rated])
    async with module_database.tenant(organization_id) as connection:
        found = await events.get(connection, organization_id, "late")
    assert found.rating_status == ("rated" if is_taken else "unrated")
    assert from_json(found.properties) == from_json(properties if is_taken else reported.properties)


async def test_a_month_gets_a_partition_of_its_own_ahead_of_time(
    database: Database, organization_id, clock: Clock
) -> None:
    far = datetime(2031, 5, 17, tzinfo=UTC)
    async with database.worker.acquire() as connection, connection.transaction():
        assert await events.make_room(connection, far)
        assert await events.make_room(connection, far)
    await store(database, usage(organization_id, clock, "far", timestamp=far))
    async with database.api.acquire() as connection:
        place = await connection.fetchval(
            "select to_regclass('invoicing.events_2031_05') is not null"
        )
    assert place


async def test_a_month_that_has_events_already_stays_where_it_is(
    database: Database, organization_id, clock: Clock
) -> None:
    early = datetime(2031, 6, 30, 23, 59, tzinfo=UTC)
    await store(database, usage(organization_id, clock, "early", timestamp=early))
    async with database.worker.acquire() as connection, connection.transaction():
        assert not await events.make_room(connection, early)
        assert await events.make_room(connection, early + timedelta(minutes=1))


async def test_a_partition_is_no_way_around_row_level_security(database: Database) -> None:
    async with database.api.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select * from invoicing.events_other")
