"""Unrated usage, old keys, the house's sums, open intents and the months ahead."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import catalogue_versions, coupons, plans, subscription_changes
from invoicing.subscription_requests import SubscriptionRequest
from tests.wallet_service.story import Story, as_owner, open_story, paid
from wallet_service.errors import Busy
from wallet_service.jobs import ledger
from wallet_service.jobs.catalogue import forget_changes
from wallet_service.jobs.coupons import end_due
from wallet_service.jobs.events import Redriver
from wallet_service.jobs.health import measure_balance, measure_delays
from wallet_service.jobs.leader import Term
from wallet_service.jobs.measures import IMBALANCE, OLDEST
from wallet_service.jobs.operations import forget_operations
from wallet_service.jobs.partitions import make_room
from wallet_service.jobs.schedule import jobs, run_once
from wallet_service.jobs.subscriptions import move_due
from wallet_service.jobs.usage import Folder, _rest_s
from wallet_service.usage_requests import EventRequest


@pytest.fixture
async def story(database_dsn, redis_url, settings_for) -> AsyncIterator[Story]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield story


@pytest.fixture
def term() -> Term:
    return Term(0)


async def report_unknown_usage(story: Story, count: int) -> None:
    now = datetime.now(UTC)
    for number in range(count):
        request = EventRequest(
            transaction_id=f"unknown-{number}", code="tokens", external_subscription_id="nobody's"
        )
        await story.services.usage.record(story.organization_id, request, now=now)


class Tries:
    """Stands in for the rating of unrated events."""

    def __init__(self, story: Story, monkeypatch) -> None:
        self.transaction_ids: list[str] = []
        self.succeeds = False
        self.fails_with: Exception | None = None
        monkeypatch.setattr(story.services.usage, "redrive", self.redrive)

    async def redrive(self, event, *, now) -> bool:
        self.transaction_ids.append(event.transaction_id)
        if self.fails_with is not None:
            raise self.fails_with
        return self.succeeds


async def test_unrated_events_are_tried_oldest_first_once_for_each_catalogue(
    story, term, monkeypatch
):
    await report_unknown_usage(story, 5)
    tries = Tries(story, monkeypatch)
    redriver = Redriver(batch=2)
    for _ in range(5):
        assert await redriver.run(story.services, term) == 0
    assert sorted(tries.transaction_ids) == [f"unknown-{number}" for number in range(5)]
    async with story.services.database.tenant(story.organization_id) as connection:
        await catalogue_versions.bump(connection, story.organization_id)
    tries.succeeds = True
    assert [await redriver.run(story.services, term) for _ in range(4)] == [2, 2, 1, 0]


async def test_unrated_events_are_tried_again_after_a_while_without_any_news(
    story, term, monkeypatch
):
    await report_unknown_usage(story, 1)
    tries = Tries(story, monkeypatch)
    redriver = Redriver(again_s=0)
    await redriver.run(story.services, term)
    await redriver.run(story.services, term)
    assert len(tries.transaction_ids) == 2


@pytest.mark.parametrize("error", [Busy(), RuntimeError("a bug")])
async def test_an_event_that_fails_keeps_no_other_waiting(story, term, monkeypatch, error):
    await report_unknown_usage(story, 3)
    tries = Tries(story, monkeypatch)
    tries.fails_with = error
    assert await Redriver().run(story.services, term) == 0
    assert len(tries.transaction_ids) == 3


async def test_usage_whose_cause_is_still_there_stays_unrated(story, term):
    await report_unknown_usage(story, 1)
    assert await Redriver().run(story.services, term) == 0
    assert await story.read("select count(*) from wallet.unrated_events") == 1


async def test_old_keys_are_forgotten_but_never_open_ones(story, term):
    acme = await story.customer("acme", paid(100))
    for _ in range(5):
        await story.debit(acme, 1)
    await as_owner(
        story.services.settings,
        "update wallet.operations set created_at = now() - interval '31 days'",
    )
    await as_owner(
        story.services.settings,
        "update wallet.operations set state = 'open' where kind = 'wallet'",
    )
    await as_owner(
        story.services.settings,
        "insert into wallet.request_keys select gen_random_uuid(), 'invoice', 'old', '', "
        "gen_random_uuid(), now() - make_interval(days => days) from unnest(array[29, 31]) days",
    )
    await story.debit(acme, 1)
    assert await forget_operations(story.services, term, step=2) == 6
    assert await story.read("select count(*) from wallet.operations") == 2


async def test_whom_changes_of_catalogues_concerned_is_forgotten_after_an_hour(story, term):
    await story.sell_tokens("acme", "globex", "initech")
    await as_owner(
        story.services.settings,
        "update invoicing.catalogue_changes set changed_at = now() - interval '61 minutes' "
        "where external_customer_ids <> '{initech}'",
    )
    assert await forget_changes(story.services, term, step=1) == 2
    left = await story.read("select external_subscription_ids from invoicing.catalogue_changes")
    assert left == ["initech"]


async def test_the_house_is_folded_and_stays_in_balance(story, term):
    acme = await story.customer("acme", paid(100))
    await story.debit(acme, 7)
    keeper = ledger.BookKeeper()
    assert await keeper.fold(story.services, term) >= 2
    assert await keeper.release_expired(story.services, term) == 0
    assert await ledger.sweep(story.services, term) == 0
    assert await measure_balance(story.services, term) == 0
    assert IMBALANCE._value.get() == 0
    await as_owner(
        story.services.settings,
        "update ledger.balances set credits_posted = credits_posted + 1",
    )
    await measure_balance(story.services, term)
    assert IMBALANCE._value.get() == 1


async def test_what_waits_is_measured(story, term):
    acme = await story.customer("acme", paid(100))
    await story.hold(acme, 1)
    await report_unknown_usage(story, 1)
    await as_owner(
        story.services.settings,
        "update wallet.authorizations set expires_at = now() - interval '1 minute'",
    )
    await measure_delays(story.services, term)
    assert 60 <= OLDEST.labels("hold")._value.get() < 90
    assert 0 < OLDEST.labels("unrated_event")._value.get() < 30
    assert 0 < OLDEST.labels("usage")._value.get() < 30
    assert OLDEST.labels("intent")._value.get() == 0
    await Folder().run(story.services, term)
    await measure_delays(story.services, term)
    assert OLDEST.labels("usage")._value.get() == 0


async def test_usage_of_many_rests_until_it_pays_to_fold_it(story, term):
    acme = await story.customer("acme", paid(100))
    await story.sell_tokens("acme")
    folder = Folder()

    async def use(times: int) -> None:
        for _ in range(times):
            await story.use("acme", "tokens", "1")

    await use(2)
    assert await folder.run(story.services, term) == 2
    await use(1)
    assert await folder.run(story.services, term) == 0
    assert await Folder().run(story.services, term) == 1
    assert await folder.run(story.services, term) == 0
    assert acme


@pytest.mark.parametrize(
    ("lines_of_one", "since_s", "rest_s"),
    [(0, 2, 0), (1, 2, 20), (300, 2, 2), (60, 2, 10), (3000, 2, 0.2), (10, 500, 20)],
)
def test_one_who_uses_much_is_folded_sooner(lines_of_one: int, since_s: float, rest_s: float):
    assert _rest_s(lines_of_one, since_s=since_s) == pytest.approx(rest_s)


async def test_customers_that_are_asked_for_at_once_are_loaded_together(story):
    one, other = await story.customer("one", paid(100)), await story.customer("other", paid(50))
    hot = story.services.hot
    keys = [(story.organization_id, customer) for customer in (one, other, one)]
    first, second, third = await asyncio.gather(*[hot.load_one(key) for key in keys])
    assert first == third == (await hot.load(keys[:1]))[keys[0]]
    assert second.grants[0].available != first.grants[0].available
    first.grants[0].available = 0
    assert third.grants[0].available
    assert first.version == third.version


async def test_the_coming_months_have_room_for_events(story, term):
    assert await make_room(story.services, term) == 4


async def test_every_job_of_the_table_runs_on_a_quiet_service(story, term, monkeypatch):
    failures: list[str] = []
    monkeypatch.setattr(
        "wallet_service.jobs.schedule.log.exception",
        lambda _, job: failures.append(job),
        raising=False,
    )
    for job in jobs():
        await run_once(job, story.services, term)
    assert failures == []


async def test_a_subscription_starts_and_ends_when_it_was_agreed(story, term):
    long_ago = datetime.now(UTC) - timedelta(days=40)
    async with story.services.database.tenant(story.organization_id) as connection:
        plan = plans.PlanChanges(
            code="agreed", name="Agreed", interval="monthly", amount_cents=0, amount_currency="USD"
        )
        await plans.create(connection, story.organization_id, plan, now=long_ago)
        await subscription_changes.create(
            connection,
            story.organization_id,
            SubscriptionRequest(
                external_customer_id="later",
                external_id="later",
                plan_code="agreed",
                subscription_at=long_ago + timedelta(days=10),
                ending_at=long_ago + timedelta(days=30),
            ),
            now=long_ago,
        )
    before = await story.services.rates.subscriber(
        story.organization_id, "later", at=long_ago + timedelta(days=15)
    )
    assert before is None
    assert await move_due(story.services, term) == 1
    during = await story.services.rates.subscriber(
        story.organization_id, "later", at=long_ago + timedelta(days=15)
    )
    assert during is not None
    assert await move_due(story.services, term) == 1
    told = await story.services.database.worker.fetch(
        "select webhook_type, payload ->> 'status' as status, payload ->> 'plan_code' as plan"
        " from invoicing.outbox where object_type = 'subscription' order by id",
    )
    assert [tuple(row) for row in told] == [
        ("subscription.started", "active", "agreed"),
        ("subscription.terminated", "terminated", "agreed"),
    ]
    after = await story.services.rates.subscriber(
        story.organization_id, "later", at=long_ago + timedelta(days=35)
    )
    assert after is None
    assert await move_due(story.services, term) == 0


async def test_coupons_end_when_their_time_is_over(story, term):
    now = datetime.now(UTC)
    soon, ends = now + timedelta(hours=1), now - timedelta(seconds=1)
    place = story.organization_id
    terms = coupons.CouponChanges(
        code="spring",
        name="Spring",
        coupon_type="percentage",
        percentage_rate=Decimal(10),
        frequency="forever",
        expiration="time_limit",
        expiration_at=soon,
    )
    async with story.services.database.tenant(place) as connection:
        await coupons.create(connection, place, terms, now=now)
    assert await end_due(story.services, term) == 0

    await as_owner(story.services.settings, "update invoicing.coupons set expiration_at = $1", ends)

    assert await end_due(story.services, term) == 1
    async with story.services.database.tenant(place) as connection:
        assert (await coupons.get(connection, place, "spring")).terminated_at == ends
    assert "end_coupons" in {job.name for job in jobs()}
