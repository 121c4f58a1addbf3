"""Windows of budgets that count no more are put away; what still counts stays."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from msgspec import msgpack, structs

from tests.wallet_service.story import USD, Story, as_owner, open_story, paid
from wallet_service.checks.running import run_checks
from wallet_service.decision.budget_state import BudgetPart
from wallet_service.decision.budget_windows import Calendar, Rolling
from wallet_service.jobs.budgets import forget_windows
from wallet_service.jobs.events import Redriver
from wallet_service.jobs.leader import Term
from wallet_service.jobs.schedule import jobs
from wallet_service.usage import EventRequest


@pytest.fixture
async def story(database_dsn, redis_url, settings_for) -> AsyncIterator[Story]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield story


WINDOWS = {
    "ever": {},
    "minute": {"window": Rolling(seconds=60)},
    "hour": {"window": Calendar(interval="hour")},
    "week": {"window": Calendar(interval="week")},
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
    assert await windows(story) == {"ever": 1, "minute": 2, "hour": 2, "week": 2}
    assert await forget_windows(story.services, term, step=1) == 2
    assert await windows(story) == {"ever": 1, "minute": 1, "hour": 1, "week": 2}
    await grow_older(story, 9)
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
