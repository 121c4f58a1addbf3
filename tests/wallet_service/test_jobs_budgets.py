"""Windows of budgets that count no more are put away; what still counts stays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec import msgpack, structs

from tests.waiting import until, until_waiting
from tests.wallet_service.story import USD, Story, as_owner, open_story, paid
from wallet_service.budget_counters import lock_buckets
from wallet_service.checks.running import run_checks
from wallet_service.decision.budget_state import BudgetKey, BudgetPart
from wallet_service.decision.budget_windows import EPOCH, Calendar, Rolling
from wallet_service.decision.commands import AMOUNT_CODE, Item
from wallet_service.errors import BudgetExceeded
from wallet_service.jobs.budgets import _queries as job_queries
from wallet_service.jobs.budgets import forget_windows
from wallet_service.jobs.events import Redriver
from wallet_service.jobs.leader import Term
from wallet_service.jobs.schedule import jobs
from wallet_service.usage_requests import EventRequest


@pytest.fixture
async def story(database_dsn, redis_url, settings_for) -> AsyncIterator[Story]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield story


WINDOWS = {
    "ever": {},
    "minute": {"window": Rolling(seconds=60)},
    "hour": {"window": Calendar(interval="hour")},
    # Not a calendar's week: how long one of those still counts depends on what day it is.
    "month": {"window": Rolling(seconds=30 * 86_400)},
}


async def windows(story: Story) -> dict[str, int]:
    async with story.services.database.worker.acquire() as connection:
        rows = await connection.fetch(
            "select b.code, count(*) from wallet.budget_windows w"
            " join wallet.budgets b on b.id = w.budget_id group by b.code"
        )
    return {row["code"]: row["count"] for row in rows}


async def grow_older(story: Story, days: int) -> None:
    await as_owner(
        story.services.settings,
        "update wallet.budget_windows set starts_at = starts_at - make_interval(days => $1)"
        " where starts_at > 'epoch'",
        days,
    )


async def test_only_what_counts_no_more_is_put_away(story: Story):
    customer = await story.customer("acme", paid(100))
    for code, terms in WINDOWS.items():
        await story.budget(code, 1_000, **terms)
    await story.debit(customer, 5)
    event_of_old = dict.fromkeys(WINDOWS, 1)
    assert await windows(story) == event_of_old
    term = Term(0)
    assert await forget_windows(story.services, term) == 0
    await grow_older(story, 2)
    await story.debit(customer, 5)
    assert await windows(story) == {"ever": 1, "minute": 2, "hour": 2, "month": 2}
    assert await forget_windows(story.services, term, step=1) == 2
    assert await windows(story) == {"ever": 1, "minute": 1, "hour": 1, "month": 2}
    await grow_older(story, 40)
    assert await forget_windows(story.services, term) == 4
    assert await windows(story) == {"ever": 1}


async def test_what_is_given_back_to_a_window_that_was_put_away_changes_nothing(story: Story):
    customer = await story.customer("acme", paid(100))
    await story.budget("minute", 1_000, window=Rolling(seconds=60))
    hold = await story.hold(customer, 10)
    await story.capture(customer, hold, 10)
    await as_owner(
        story.services.settings,
        "delete from wallet.budget_windows",
    )
    await age_holds(story)
    await story.refund(customer, hold, 10)
    assert await windows(story) == {}
    results = await run_checks(story.services.database, story.services.ledger)
    assert {one.invariant: one.breaches for one in results if one.breaches} == {}


async def test_an_event_that_is_rated_later_counts_then(story: Story):
    await story.budget("all", 1_000)
    request = EventRequest(
        transaction_id="early",
        code="tokens",
        external_customer_id="late",
        properties={"value": "300"},
    )
    now = datetime.now(UTC)
    await story.services.usage.record(story.organization_id, request, now=now)
    assert await windows(story) == {}
    await story.customer("late", paid(100))
    await story.sell_tokens("late")
    assert await Redriver().run(story.services, Term(0)) == 1
    assert await story.read("select spent_minor from wallet.budget_windows") == 3 * USD
    results = await run_checks(story.services.database, story.services.ledger)
    assert {one.invariant: one.breaches for one in results if one.breaches} == {}


# -- buckets ---------------------------------------------------------------------------------------


async def age_all(story: Story, days: int) -> None:
    """As if all that has happened in budgets had happened so many days before."""
    settings = story.services.settings
    by = timedelta(days=days)
    await as_owner(settings, "update wallet.budget_buckets set used_on = used_on - $1::int", days)
    await grow_older(story, days)
    older = (
        "update wallet.event_budgets set starts_at = starts_at - $1::interval"
        " where starts_at > 'epoch'"
    )
    await as_owner(settings, older, by)
    async with story.services.database.worker.acquire() as connection:
        query = "select id, budgets from wallet.authorizations where budgets is not null"
        rows = await connection.fetch(query)
    for row in rows:
        parts = msgpack.decode(row["budgets"], type=list[BudgetPart])
        for part in parts:
            if part.starts_at is not None and part.starts_at > EPOCH:
                part.starts_at -= by
        change = "update wallet.authorizations set budgets = $1 where id = $2"
        await as_owner(settings, change, msgpack.encode(parts), row["id"])


async def buckets(story: Story) -> set[tuple[str, str]]:
    """The buckets that there are, each by its budget's code and its name."""
    async with story.services.database.worker.acquire() as connection:
        rows = await connection.fetch(
            "select b.code, k.bucket from wallet.budget_buckets k"
            " join wallet.budgets b on b.id = k.budget_id"
        )
    return {(row["code"], row["bucket"]) for row in rows}


async def assert_healthy(story: Story) -> None:
    results = await run_checks(story.services.database, story.services.ledger)
    assert {one.invariant: one.breaches for one in results if one.breaches} == {}


def of_user(budget: BudgetKey, user: str, *, is_wide: bool = True) -> BudgetKey:
    return BudgetKey(budget.budget_id, user, is_wide=is_wide)


MINUTE = Rolling(seconds=60)


async def test_only_buckets_that_are_empty_and_out_of_use_are_put_away(story: Story):
    customer = await story.customer("acme", paid(100))
    await story.budget("minute", 1_000, per="user_id", window=MINUTE)
    await story.budget("year", 1_000, per="user_id", window=Calendar(interval="year"))
    await story.budget("ever", 1_000, per="user_id")
    budgets = story.budgets
    story.budgets = tuple(of_user(one, "spender") for one in budgets)
    await story.debit(customer, 5)
    story.budgets = tuple(of_user(one, "holder") for one in budgets)
    hold = await story.hold(customer, 7)
    term = Term(0)
    await age_all(story, 3)
    story.budgets = tuple(of_user(one, "newcomer") for one in budgets)
    await story.void(customer, await story.hold(customer, 1))
    codes = ("minute", "year", "ever")
    everybody = {(code, user) for code in codes for user in ("spender", "holder", "newcomer")}
    assert await buckets(story) == everybody
    # One window and one bucket: the minute of who has spent, and nobody is about to.
    assert await forget_windows(story.services, term, step=1) == 2
    assert await buckets(story) == everybody - {("minute", "spender")}
    await assert_healthy(story)
    await story.capture(customer, hold, 7)
    await age_all(story, 400)
    assert await forget_windows(story.services, term) == 3 + 5
    assert await buckets(story) == {("ever", user) for user in ("spender", "holder", "newcomer")}
    await assert_healthy(story)
    # Whoever comes back begins with an empty bucket, also to be given back what was spent there.
    story.budgets = (of_user(budgets[0], "spender"),)
    await story.refund(customer, hold, 7)
    await story.debit(customer, 2)
    assert ("minute", "spender") in await buckets(story)
    await assert_healthy(story)


async def test_all_buckets_of_a_budget_that_is_gone_are_put_away(story: Story):
    customer = await story.customer("acme", paid(100))
    await story.budget("gone", 1_000)
    hold = await story.hold(customer, 7)
    await story.debit(customer, 5)
    await as_owner(story.services.settings, "update wallet.budgets set deleted_at = now()")
    assert await forget_windows(story.services, Term(0)) == 0
    await as_owner(
        story.services.settings,
        "update wallet.budgets set deleted_at = deleted_at - interval '2 days'",
    )
    assert await forget_windows(story.services, Term(0)) == 2
    await story.capture(customer, hold, 7)
    await assert_healthy(story)


async def test_a_bucket_that_somebody_has_locked_is_left(story: Story):
    customer = await story.customer("acme", paid(100))
    await story.budget("minute", 1_000, window=MINUTE)
    await story.void(customer, await story.hold(customer, 1))
    await age_all(story, 3)
    place = story.organization_id, story.budgets[0]
    async with story.services.database.committer.acquire() as connection, connection.transaction():
        assert await lock_buckets(connection, {place}, skip_locked=True) == {place}
        assert await forget_windows(story.services, Term(0)) == 0
    assert await forget_windows(story.services, Term(0)) == 1


@pytest.mark.parametrize("is_wide", [True, False])
async def test_an_authorization_that_wants_a_bucket_that_is_just_put_away_waits_and_counts(
    story: Story, is_wide: bool
):
    customer = await story.customer("acme", paid(100))
    await story.budget("minute", 10, window=MINUTE)
    story.budgets = (of_user(story.budgets[0], "", is_wide=is_wide),)
    await story.void(customer, await story.hold(customer, 1))
    await age_all(story, 3)
    async with story.services.database.worker.acquire() as connection:
        async with connection.transaction():
            rows = await connection.fetch(job_queries.delete_unused_buckets.sql, 10)
            assert len(rows) == 1
            asked = asyncio.create_task(story.hold(customer, 6))
            await until_waiting(story.services.database.worker)
            assert not asked.done()
        hold = await asked
        held = "select held_minor from wallet.budget_buckets"
        assert await story.read(held) == 6 * USD
        with pytest.raises(BudgetExceeded):
            await story.hold(customer, 6)
        await story.capture(customer, hold, 6)
        assert await story.read(held) == 0
    assert await story.read("select sum(spent_minor) from wallet.budget_windows") == 6 * USD
    await assert_healthy(story)


@pytest.mark.parametrize("is_wide", [True, False])
async def test_nothing_that_counts_is_lost_while_buckets_come_and_go(story: Story, is_wide: bool):
    """Every bucket is always old enough, so that only locks and what is held protect it."""
    names = [await story.customer(f"customer-{one}", paid(1_000)) for one in range(4)]
    await story.budget("minute", 20, window=MINUTE)
    (budget,) = story.budgets
    # A bucket of one customer is not locked by itself; each has one.
    keys = [budget if is_wide else of_user(budget, str(one), is_wide=False) for one in names]
    put_away = rounds = 0

    async def tidy() -> None:
        nonlocal put_away, rounds
        while True:
            await as_owner(
                story.services.settings,
                "update wallet.budget_buckets set used_on = used_on - 30",
            )
            put_away += await forget_windows(story.services, Term(0))
            rounds += 1

    async def hold(customer: UUID, key: BudgetKey) -> UUID | None:
        item = Item(AMOUNT_CODE, {}, amount_minor=7 * USD, budgets=(key,))
        try:
            return await story.hold_item(customer, item)
        except BudgetExceeded:
            return None

    tidying = asyncio.create_task(tidy())
    for turn in range(25):
        holds = await asyncio.gather(*(hold(*one) for one in zip(names, keys, strict=True)))
        accepted = [one for one in zip(names, holds, strict=True) if one[1] is not None]
        assert len(accepted) == (2 if is_wide else 4)
        await asyncio.gather(*(story.void(*one) for one in accepted))
        if turn % 8 == 7:  # now and then nobody comes for so long that all are put away
            last = rounds + 2
            await until(lambda last=last: rounds >= last or tidying.done())
    assert put_away >= 3
    assert not tidying.done()
    tidying.cancel()
    for customer, key in zip(names, keys, strict=True):
        story.budgets = (key,)
        await story.debit(customer, 21)
        with pytest.raises(BudgetExceeded):
            await story.hold(customer, 1)
    await assert_healthy(story)


async def age_holds(story: Story) -> None:
    """As if what was captured had been captured long ago."""
    packed = await story.read("select budgets from wallet.authorizations")
    parts = msgpack.decode(packed, type=list[BudgetPart])
    for part in parts:
        assert part.starts_at is not None
        part.starts_at = part.starts_at.replace(year=part.starts_at.year - 1, day=1)
    await as_owner(
        story.services.settings,
        "update wallet.authorizations set budgets = $1",
        msgpack.encode(parts),
    )


def test_it_is_on_the_table_of_jobs():
    assert "forget_budget_windows" in {job.name for job in jobs()}
