"""A change is known at once to whom it concerns, and whatever it does not concern stays known."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invoicing import (
    billable_metrics,
    billing_entities,
    catalogue_changes,
    customers,
    features,
    plans,
    subscribers,
    subscription_changes,
    subscription_entitlements,
    subscription_moves,
    subscription_prices,
    subscriptions,
)
from invoicing.billable_metrics import MetricChanges
from invoicing.billing_entities import BillingEntityChanges
from invoicing.charge_changes import ChargeChanges
from invoicing.customers import CustomerChanges
from invoicing.default_billing_entity import DEFAULT_CODE
from invoicing.errors import InvoicingError
from invoicing.features import FeatureChanges
from invoicing.plan_overrides import PlanOverrides
from invoicing.plans import PlanChanges
from invoicing.records import Connection
from invoicing.subscription_requests import SubscriptionChanges, SubscriptionRequest
from tests.waiting import until_waiting
from wallet_service import organizations
from wallet_service.database import Database
from wallet_service.organizations import OrganizationChanges
from wallet_service.rate_card_cache import CustomerCard, RateCardCache

BEGIN: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
RECHECK_S: Final = 5.0
PEOPLE: Final = ("ada", "bob", "cy")
EXAMPLES: Final = int(os.environ.get("WALLET_TEST_CATALOGUES", "4"))
PLANS: Final = ("small", "large")
_prices = itertools.count(2)


def price() -> list[ChargeChanges]:
    """Another price than ever before."""
    properties = {"amount": str(next(_prices))}
    return [
        ChargeChanges(
            billable_metric_code="calls",
            code="calls",
            charge_model="standard",
            properties=properties,
        )
    ]


class Shop:
    """An organization, and two processes that remember its prices: one hears of changes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = BEGIN
        self.seconds = 0.0
        self.organization_id = UUID(int=0)
        self.here = self.cache()
        self.there = self.cache()

    def cache(self) -> RateCardCache:
        return RateCardCache(self.database, recheck_s=RECHECK_S, clock=lambda: self.seconds)

    async def change(self, work: Callable[[Connection, UUID], Awaitable[Any]]) -> None:
        """One change in a transaction, heard of in this process once it is committed."""
        self.now += timedelta(minutes=1)
        async with self.database.tenant(self.organization_id) as connection:
            await work(connection, self.organization_id)
        self.here.look_again(self.organization_id)

    async def open(self) -> None:
        """What is measured, two plans of which the smaller is the default, and a feature."""

        async def everything(connection: Connection, place: UUID) -> None:
            metric = MetricChanges(code="calls", name="Calls", aggregation_type="count_agg")
            await billable_metrics.create(connection, place, metric, now=self.now)
            await features.create(connection, place, FeatureChanges(code="gpt"), now=self.now)
            for amount, code in enumerate(PLANS):
                terms = PlanChanges(
                    code=code,
                    name=code,
                    interval="monthly",
                    amount_cents=amount,
                    amount_currency="USD",
                    is_default=code == "small",
                )
                await plans.create(connection, place, terms, price(), now=self.now)
            for name in PEOPLE:
                await customers.upsert(connection, place, name, CustomerChanges(), now=self.now)

        async with self.database.worker.acquire() as connection:
            made = await organizations.create_organization(connection, "Shop", now=self.now)
        self.organization_id = made.id
        await self.change(everything)

    async def subscribe(self, customer: str, external_id: str, plan: str) -> None:
        request = SubscriptionRequest(
            external_id=external_id, external_customer_id=customer, plan_code=plan
        )
        await self.change(lambda c, o: subscription_changes.create(c, o, request, now=self.now))

    async def terminate(self, external_id: str) -> None:
        await self.change(
            lambda c, o: subscription_changes.terminate(c, o, external_id, now=self.now)
        )

    async def override(self, external_id: str) -> None:
        """Prices of its own, through the subscription."""
        overrides = PlanOverrides(charges=price())
        changes = SubscriptionChanges(plan_overrides=overrides)
        await self.change(
            lambda c, o: subscription_changes.update(c, o, external_id, changes, now=self.now)
        )

    async def own_price(self, external_id: str) -> None:
        """A price of its own, through the plan that is its alone."""

        async def work(connection: Connection, place: UUID) -> None:
            code = await subscription_prices.own_plan(connection, place, external_id, now=self.now)
            await plans.update(connection, place, code, PlanChanges(), price(), now=self.now)

        await self.change(work)

    async def give(self, external_id: str) -> None:
        wanted: dict[str, Any] = {"gpt": {}}
        await self.change(
            lambda c, o: subscription_entitlements.merge(c, o, external_id, wanted, now=self.now)
        )

    async def take(self, external_id: str) -> None:
        await self.change(
            lambda c, o: subscription_entitlements.remove(c, o, external_id, "gpt", now=self.now)
        )

    async def move(self, customer: str, timezone: str) -> None:
        changes = CustomerChanges(timezone=timezone)
        await self.change(lambda c, o: customers.upsert(c, o, customer, changes, now=self.now))

    async def move_house(self, timezone: str) -> None:
        """The organization, and with it the default billing entity."""
        changes = OrganizationChanges(timezone=timezone)
        await self.change(lambda c, o: organizations.update(c, o, changes, now=self.now))

    async def move_entity(self, timezone: str) -> None:
        changes = BillingEntityChanges(timezone=timezone)
        await self.change(
            lambda c, o: billing_entities.update(c, o, DEFAULT_CODE, changes, now=self.now)
        )

    async def delete(self, customer: str) -> None:
        async def work(connection: Connection, place: UUID) -> None:
            await customers.delete(connection, place, customer, now=self.now)
            await customers.upsert(connection, place, customer, CustomerChanges(), now=self.now)

        await self.change(work)

    async def reprice(self, plan: str) -> None:
        await self.change(
            lambda c, o: plans.update(c, o, plan, PlanChanges(), price(), now=self.now)
        )

    async def wait(self, _: str) -> None:
        """A month passes: what waited for its time happens."""
        self.now += timedelta(days=31)
        async with self.database.worker.acquire() as connection, connection.transaction():
            await subscription_moves.move_due(connection, now=self.now)
        self.here.look_again(self.organization_id)

    async def clean(self, _: str) -> None:
        """Whom changes concerned is not known any more, before the other process has looked."""
        async with self.database.worker.acquire() as connection:
            await connection.execute("delete from invoicing.catalogue_changes")

    async def shown(self, cache: RateCardCache) -> dict[str, Any]:
        """All that a process would price by."""
        found: dict[str, Any] = {}
        for name in PEOPLE:
            card = await cache.customer(self.organization_id, name, now=self.now)
            found[name] = _facts(card)
            for one in card.agreements:
                access = await cache.access(self.organization_id, one.agreement.id)
                found[str(one.agreement.id)] = access and access.features
        for name in (*PEOPLE, "x", "y"):
            card = await cache.subscriber(self.organization_id, name, at=self.now)
            found[f"subscription {name}"] = card and _facts(card)
        return found


def _facts(card: CustomerCard) -> list[Any]:
    return [
        card.customer_id,
        *(
            (
                one.agreement,
                one.pricing,
                one.card.plan_version_id,
                one.access and one.access.features,
            )
            for one in card.agreements
        ),
    ]


@pytest.fixture
async def shop(database: Database) -> Shop:
    shop = Shop(database)
    await shop.open()
    return shop


_person, _subscription = st.sampled_from(PEOPLE), st.sampled_from(("x", "y", *PEOPLE))
_plan = st.sampled_from(PLANS)
_zone = st.sampled_from(("Asia/Tokyo", "Europe/Berlin"))
CHANGES: Final = st.one_of(
    st.tuples(st.just("subscribe"), _person, _subscription, _plan),
    st.tuples(
        st.sampled_from(("terminate", "override", "own_price", "give", "take")), _subscription
    ),
    st.tuples(st.just("move"), _person, _zone),
    st.tuples(st.sampled_from(("move_house", "move_entity")), _zone),
    st.tuples(st.just("delete"), _person),
    st.tuples(st.just("reprice"), _plan),
    st.tuples(st.sampled_from(("wait", "clean")), st.just("")),
)


@settings(max_examples=EXAMPLES)
@given(changes=st.lists(st.tuples(CHANGES, st.booleans()), min_size=4, max_size=10))
async def test_what_is_remembered_is_what_would_be_looked_up(
    module_database: Database, changes: list[tuple[tuple[str, ...], bool]]
) -> None:
    """One process hears of each change; the other looks after some of them, when its time comes."""
    shop = Shop(module_database)
    await shop.open()
    for (name, *arguments), looks in changes:
        with suppress(InvoicingError):
            await getattr(shop, name)(*arguments)
        looked_up = await shop.shown(shop.cache())
        assert await shop.shown(shop.here) == looked_up, name
        if looks:
            shop.seconds += RECHECK_S
            assert await shop.shown(shop.there) == looked_up, name


async def test_a_change_of_one_subscription_lets_no_other_be_looked_up_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PEOPLE:
        await shop.subscribe(name, name, "small")
    asked: list[str] = []
    find, find_at_times = subscribers.find_subscribers, subscribers.find_at_times

    async def counted(connection: Any, wanted: Any) -> Any:
        asked.extend(key[1] for key in wanted)
        return await find(connection, wanted)

    async def counted_at(connection: Any, wanted: Any) -> Any:
        asked.extend(f"subscription {key[1]}" for key in wanted)
        return await find_at_times(connection, wanted)

    monkeypatch.setattr(subscribers, "find_subscribers", counted)
    monkeypatch.setattr(subscribers, "find_at_times", counted_at)
    everyone = {*PEOPLE, *(f"subscription {name}" for name in (*PEOPLE, "x", "y"))}
    nobody = {"subscription x", "subscription y"}  # there is none, and that is not remembered
    await shop.shown(shop.here)
    await shop.shown(shop.there)
    adas = {"ada", "subscription ada", *nobody}

    async def looked_up(change: Awaitable[None] | None = None) -> set[str]:
        if change is not None:
            await change
        asked.clear()
        remembered = await shop.shown(shop.here)
        names = set(asked)
        assert remembered == await shop.shown(shop.cache())
        return names

    assert await looked_up() == nobody
    assert await looked_up(shop.subscribe("ada", "ada", "large")) == adas
    assert await looked_up(shop.override("ada")) == adas
    assert await looked_up(shop.own_price("ada")) == adas
    assert await looked_up(shop.give("ada")) == adas
    assert await looked_up(shop.take("ada")) == adas
    assert await looked_up(shop.move("ada", "Asia/Tokyo")) == adas
    assert await looked_up(shop.terminate("ada")) == adas
    asked.clear()
    shop.seconds += RECHECK_S
    await shop.shown(shop.there)  # which has heard of nothing
    assert set(asked) == adas
    assert await looked_up(shop.reprice("small")) == everyone
    await shop.override("bob")
    await shop.clean("")
    assert await looked_up() == everyone  # nobody knows any more whom it was about


async def test_what_was_read_before_its_change_is_not_kept_after_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.subscribe("ada", "ada", "small")
    place, now = shop.organization_id, shop.now
    async with shop.database.tenant(place) as connection:
        id_ = (await subscriptions.get(connection, place, "ada")).id
    await shop.here.budgets(place)  # looks at what there is

    async def begin(module: Any, name: str, work: Awaitable[Any]) -> Callable[[], Awaitable[None]]:
        """Begin what reads this, and hold it up after it has; gives what lets it end."""
        real, has_read, goes_on = getattr(module, name), asyncio.Event(), asyncio.Event()

        async def slow(*arguments: Any) -> Any:
            monkeypatch.setattr(module, name, real)
            found = await real(*arguments)
            has_read.set()
            await goes_on.wait()
            return found

        monkeypatch.setattr(module, name, slow)
        task = asyncio.ensure_future(work)
        await has_read.wait()

        async def end() -> None:
            goes_on.set()
            await task

        return end

    cache = shop.here
    ends = [
        await begin(subscription_entitlements, "load_access", cache.access(place, id_)),
        await begin(subscribers, "find_subscribers", cache.customer(place, "ada", now=now)),
        await begin(subscribers, "find_at_times", cache.subscriber(place, "ada", at=now)),
    ]
    await shop.give("ada")
    await shop.move("ada", "Asia/Tokyo")
    await cache.budgets(place)  # looks, and forgets
    for end in reversed(ends):
        await end()
    assert await shop.shown(cache) == await shop.shown(shop.cache())


async def test_a_clock_that_one_or_two_set_back_is_known(shop: Shop) -> None:
    await shop.subscribe("ada", "ada", "small")
    await shop.move_entity("Asia/Tokyo")
    await shop.shown(shop.here)
    await shop.move_house("UTC")  # as it was all the time: only its billing entity was elsewhere
    assert await shop.shown(shop.here) == await shop.shown(shop.cache())

    place, goes_on = shop.organization_id, asyncio.Event()

    async def leave() -> None:
        async with shop.database.tenant(place) as connection:
            changes = CustomerChanges(timezone=None)
            await customers.upsert(connection, place, "ada", changes, now=shop.now)
            await goes_on.wait()

    async with shop.database.tenant(place) as connection:
        changes = CustomerChanges(timezone="Asia/Tokyo")
        await customers.upsert(connection, place, "ada", changes, now=shop.now)
        leaving = asyncio.create_task(leave())
        await until_waiting(shop.database.worker)
    shop.here.look_again(place)
    await shop.shown(shop.here)
    goes_on.set()
    await leaving
    shop.here.look_again(place)
    assert await shop.shown(shop.here) == await shop.shown(shop.cache())


async def test_requests_that_come_when_there_is_news_wait_for_one_look(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.shown(shop.here)
    looks = 0
    find_since = catalogue_changes.find_since

    async def counted(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return await find_since(*arguments)

    monkeypatch.setattr(catalogue_changes, "find_since", counted)
    await shop.reprice("small")
    place = shop.organization_id
    cards = await asyncio.gather(
        *(shop.here.customer(place, name, now=shop.now) for name in PEOPLE * 5)
    )
    assert looks == 1
    fresh = await shop.cache().customer(place, "ada", now=shop.now)
    assert {one.card.plan_version_id for card in cards for one in card.agreements} == {
        one.card.plan_version_id for one in fresh.agreements
    }


async def test_a_plan_of_ones_own_that_becomes_the_default_concerns_everybody(shop: Shop) -> None:
    async def end_default(connection: Connection, place: UUID) -> None:
        await plans.update(connection, place, "small", PlanChanges(is_default=False), now=shop.now)

    await shop.change(end_default)
    await shop.subscribe("ada", "ada", "small")
    await shop.override("ada")
    assert not (await shop.here.customer(shop.organization_id, "bob", now=shop.now)).agreements

    async def begin_default(connection: Connection, place: UUID) -> None:
        code = await subscription_prices.plan_of(connection, place, "ada")
        await plans.update(connection, place, code, PlanChanges(is_default=True), now=shop.now)

    await shop.change(begin_default)
    assert (await shop.here.customer(shop.organization_id, "bob", now=shop.now)).agreements
