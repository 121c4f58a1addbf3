"""Holds, grants and wallets end by themselves when their time is over."""

from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from ledger.engines import open_ledger
from tests.wallet_service.story import (
    USD,
    Story,
    as_owner,
    open_story,
    paid,
    promotional,
)
from wallet_service.jobs.grants import GrantCloser, expire_grants, terminate_wallets
from wallet_service.jobs.holds import expire_holds
from wallet_service.jobs.leader import Deposed, Term
from wallet_service.settings import Settings


@pytest.fixture
async def settings(database_dsn, redis_url, settings_for) -> Settings:
    return structs.replace(settings_for(database_dsn), redis_url=redis_url)


@pytest.fixture
async def story(settings) -> AsyncIterator[Story]:
    async with open_story(settings) as story:
        yield story


@pytest.fixture
def term() -> Term:
    return Term(1)


async def let_time_pass(story: Story, hold) -> None:
    """The hold was to last until a moment ago."""
    await as_owner(
        story.services.settings,
        "update wallet.authorizations set expires_at = now() - interval '1 second' where id = $1",
        hold,
    )


async def expire_all_grants(story: Story, kind: str = "paid") -> None:
    await as_owner(
        story.services.settings,
        "update wallet.grants set expires_at = now() - interval '1 second' where kind = $1",
        kind,
    )


async def balances(story: Story, customer) -> tuple[int, int]:
    """Available and held, as shown."""
    state = await story.services.hot.get((story.organization_id, customer))
    return (
        sum(grant.available for grant in state.grants) // USD,
        sum(grant.held for grant in state.grants) // USD,
    )


async def test_a_hold_that_nobody_captured_gives_back_what_it_held(story, term):
    acme = await story.customer("acme", paid(100))
    hold = await story.hold(acme, 30)
    lasting = await story.hold(acme, 5)
    await let_time_pass(story, hold)
    assert await expire_holds(story.services, term) == 1
    assert await balances(story, acme) == (95, 5)
    status = "select status from wallet.authorizations where id = $1"
    assert await story.read(status, hold) == "expired"
    assert await story.read(status, lasting) == "held"


async def test_expiring_goes_on_until_nothing_is_due(story, term, monkeypatch):
    monkeypatch.setattr("wallet_service.jobs.holds._BATCH", 3)
    acme = await story.customer("acme", paid(100))
    for _ in range(10):
        await let_time_pass(story, await story.hold(acme, 1))
    assert await expire_holds(story.services, term) == 10
    assert await expire_holds(story.services, term) == 0


async def test_a_hold_that_was_extended_in_time_lives_on_and_expires_later(story, term):
    acme = await story.customer("acme", paid(100))
    hold = await story.hold(acme, 30, expires_in_s=600)
    await story.extend(acme, hold, expires_in_s=1200)
    assert await expire_holds(story.services, term) == 0
    await let_time_pass(story, hold)
    assert await expire_holds(story.services, term) == 1


async def test_a_hold_that_the_ledger_let_go_of_first_ends_all_the_same(story, term):
    acme = await story.customer("acme", paid(100))
    hold = await story.hold(acme, 30)
    await let_time_pass(story, hold)
    await as_owner(
        story.services.settings,
        "update ledger.transfers set timeout_s = 1, timestamp = timestamp - 9000000000, "
        "expires_at = timestamp - 8000000000 where phase = 1",
    )
    book = open_ledger("postgres", pool=story.services.database.worker)
    assert await book.release_expired() == 1
    await expire_holds(story.services, term)
    status = "select status from wallet.authorizations where id = $1"
    assert await story.read(status, hold) == "expired"
    assert await balances(story, acme) == (100, 0)


async def test_a_grant_past_its_time_is_taken_and_put_away(story, term):
    acme = await story.customer("acme", paid(100), promotional(20))
    await expire_all_grants(story, "promotional")
    assert await expire_grants(story.services, term) == 1
    assert await balances(story, acme) == (100, 0)
    expired = "select expired_minor from wallet.grants where kind = 'promotional' and not is_open"
    assert await story.read(expired) == 20 * USD
    assert await expire_grants(story.services, term) == 0


async def test_what_is_held_of_an_expired_grant_goes_when_its_hold_ends(story, term):
    acme = await story.customer("acme", paid(100))
    hold = await story.hold(acme, 30)
    await expire_all_grants(story)
    assert await expire_grants(story.services, term) == 1
    assert await expire_grants(story.services, term) == 0
    assert await balances(story, acme) == (0, 30)
    await story.capture(acme, hold, 10)
    assert await expire_grants(story.services, term) == 1
    assert await story.read("select expired_minor from wallet.grants") == 90 * USD
    assert await story.read("select is_open from wallet.grants") is False


async def test_a_grant_that_was_refunded_after_its_end_is_taken_again(story, term):
    acme = await story.customer("acme", paid(100))
    hold = await story.hold(acme, 100)
    await story.capture(acme, hold, 100)
    await expire_all_grants(story)
    assert await expire_grants(story.services, term) == 1
    await story.refund(acme, hold, 40)
    assert await expire_grants(story.services, term) == 1
    assert await story.read("select expired_minor from wallet.grants") == 40 * USD


async def test_used_up_grants_are_put_away_but_the_newest(story, term):
    acme = await story.customer("acme", paid(10))
    await story.fund(acme, paid(20))
    await story.fund(acme, paid(30))
    await story.debit(acme, 15)
    closer = GrantCloser()
    assert await closer.run(story.services, term) == 1
    open_grants = "select count(*) from wallet.grants where is_open"
    assert await story.read(open_grants) == 2
    await story.debit(acme, 45)
    assert await closer.run(story.services, term) == 1
    assert await closer.run(story.services, term) == 0
    assert await story.read(open_grants) == 1


async def test_grants_are_gone_round_in_slices(story, term):
    for number in range(5):
        customer = await story.customer(f"customer-{number}", paid(10))
        await story.fund(customer, paid(20))
        await story.debit(customer, 10)
    closer = GrantCloser(slice_size=4)
    assert [await closer.run(story.services, term) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_wallet_past_its_time_ends_and_its_credits_are_void(story, term):
    acme = await story.customer("acme", paid(100))
    await as_owner(
        story.services.settings,
        "update wallet.wallets set expiration_at = now() - interval '1 second'",
    )
    assert await terminate_wallets(story.services, term) == 1
    assert await story.read("select status from wallet.wallets") == "terminated"
    assert await story.read("select voided_minor from wallet.grants") == 100 * USD
    assert await balances(story, acme) == (0, 0)
    assert await terminate_wallets(story.services, term) == 0


async def test_no_job_begins_once_the_lead_is_lost(story, term):
    term.is_over.set()
    for work in (expire_holds, expire_grants, terminate_wallets, GrantCloser().run):
        with pytest.raises(Deposed):
            await work(story.services, term)
