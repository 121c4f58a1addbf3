"""Redis shows what the ledger says: again after it was emptied, altered, or away."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from msgspec import msgpack, structs

from tests.wallet_service.story import USD, Story, as_owner, open_story, paid
from wallet_service.hot_balances import Entry
from wallet_service.jobs import measures
from wallet_service.jobs.book import BookComparer
from wallet_service.jobs.leader import Term
from wallet_service.jobs.reconciliation import Reconciler, compare


@pytest.fixture(params=["postgres", "tigerbeetle"])
def engine(request) -> str:
    return request.param


@pytest.fixture
def settings(engine, database_dsn, redis_url, settings_for, request):
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    if engine == "tigerbeetle":
        addresses = request.getfixturevalue("tigerbeetle")
        settings = structs.replace(settings, ledger=engine, tigerbeetle_addresses=addresses)
    return settings


@pytest.fixture
async def story(settings) -> AsyncIterator[Story]:
    async with open_story(settings) as story:
        yield story


@pytest.fixture
def term() -> Term:
    return Term(1)


async def shown(story: Story, customer: UUID) -> int | None:
    """What Redis itself has, in dollars."""
    (state,) = await story.services.hot.get_hot([(story.organization_id, customer)])
    return None if state is None else sum(grant.available for grant in state.grants) // USD


async def forget_the_recent(story: Story) -> None:
    await as_owner(
        story.services.settings,
        "update wallet.operations set created_at = created_at - interval '1 hour'",
    )


def drift() -> float:
    return measures.DRIFT.labels("USD")._value.get()


async def test_where_all_is_well_nothing_is_put_again(story, term):
    acme = await story.customer("acme", paid(100))
    await story.capture(acme, await story.hold(acme, 30), 20)
    reconciler = Reconciler()
    assert await reconciler.run(story.services, term) == 0
    assert drift() == 0


@pytest.mark.parametrize("age", ["recent", "old"])
async def test_an_altered_balance_is_found_told_and_repaired(story, term, age):
    acme = await story.customer("acme", paid(100))
    place = story.organization_id, acme
    state = await story.services.hot.get(place)
    state.grants[0].available += 7 * USD
    state.version = 2**63
    await story.services.hot.put([state])
    assert await shown(story, acme) == 107
    if age == "old":
        await forget_the_recent(story)
    reconciler = Reconciler(recent_s=600)
    assert await reconciler.run(story.services, term) == 1
    assert drift() == 7 * USD
    assert await shown(story, acme) == 100
    assert await reconciler.run(story.services, term) == 0
    assert drift() == 0


async def test_what_was_altered_without_a_new_version_is_found_in_the_round(story, term):
    customers = sorted(
        [await story.customer(f"customer-{number}", paid(10)) for number in range(3)]
    )
    await forget_the_recent(story)
    place = story.organization_id, customers[-1]
    state = await story.services.hot.get(place)
    (state.version,) = await story.services.balances.get_versions([place])
    state.grants[0].available += 7 * USD
    await story.services.balances.forget(*place)
    await story.services.hot.put([state])
    reconciler = Reconciler()
    repaired = [await reconciler.run(story.services, term) for _ in range(10)]
    assert sum(repaired) == 1
    assert await shown(story, customers[-1]) == 10


async def test_where_all_is_well_the_ledger_is_asked_for_few(story, term, engine):
    for number in range(12):
        acme = await story.customer(f"customer-{number}", paid(10))
        await story.hold(acme, 1)
    load, asked = story.services.hot.load, 0

    async def count_and_load(customers):
        nonlocal asked
        asked += len(customers)
        return await load(customers)

    story.services.hot.load = count_and_load
    # On a busy machine it takes some seconds to make them.
    assert await Reconciler(recent_s=600).run(story.services, term) == 0
    assert asked == (2 if engine == "postgres" else 24)


async def test_what_redis_was_never_told_is_put_by_the_reconciler(story, term):
    """As after the death of a process between its commit and its put."""
    acme = await story.customer("acme", paid(100))
    stale = await story.services.hot.get((story.organization_id, acme))
    await story.debit(acme, 30)
    await story.services.balances.forget(story.organization_id, acme)
    await story.services.hot.put([stale])
    assert await shown(story, acme) == 100
    assert await Reconciler().run(story.services, term) == 1
    assert await shown(story, acme) == 70


async def test_after_redis_was_emptied_one_cycle_shows_everybody_again(story, term, redis_server):
    customers = [await story.customer(f"customer-{number}", paid(10)) for number in range(12)]
    await forget_the_recent(story)
    reconciler = Reconciler(slice_size=5)
    await reconciler.run(story.services, term)
    await redis_server.flush()
    await reconciler.run(story.services, term)
    assert [await shown(story, customer) for customer in customers] == [10] * 12


async def test_what_nobody_can_read_is_repaired_too(story, term):
    acme = await story.customer("acme", paid(100))
    await story.services.balances.put([Entry(story.organization_id, acme, 2**63, b"garbage")])
    assert await Reconciler().run(story.services, term) == 1
    assert await shown(story, acme) == 100


async def test_a_change_under_way_is_no_drift(story):
    acme = await story.customer("acme", paid(100))
    place = story.organization_id, acme
    before = await story.services.hot.get(place)
    load = story.services.hot.load

    async def load_while_it_moves(customers):
        story.services.hot.load = load
        await story.debit(acme, 1)
        story.services.hot.load = load_while_it_moves
        loaded = await load(customers)
        await story.services.balances.forget(*place)
        await story.services.hot.put([before])
        return loaded

    story.services.hot.load = load_while_it_moves
    found = await compare(story.services.hot, [place])
    assert found.drift == {}


async def test_a_slice_a_cycle_goes_round_all_customers(story, term):
    customers = [await story.customer(f"customer-{number}", paid(10)) for number in range(7)]
    await forget_the_recent(story)
    for customer in customers:
        state = await story.services.hot.get((story.organization_id, customer))
        state.version = 2**63
        state.grants[0].held += 1
        await story.services.hot.put([state])
    reconciler = Reconciler(slice_size=3)
    assert [await reconciler.run(story.services, term) for _ in range(4)] == [3, 3, 1, 0]


async def test_what_postgres_says_and_the_book_does_not_is_told_but_left(story, term, engine):
    acme = await story.customer("acme", paid(100))
    hold = await story.hold(acme, 30)
    await story.capture(acme, hold, 20, final=False)
    comparer = BookComparer()
    assert await comparer.run(story.services, term) == 0
    (leg,) = msgpack.decode(await story.read("select legs from wallet.authorizations"))
    leg[-1] += 1
    await as_owner(
        story.services.settings, "update wallet.authorizations set legs = $1", msgpack.encode([leg])
    )
    differences = await comparer.run(story.services, term)
    assert (differences > 0) is (engine == "tigerbeetle")
