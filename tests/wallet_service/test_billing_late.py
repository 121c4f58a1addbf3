"""What comes late for subscriptions that have ended is billed once, with another or by itself."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from invoicing import billing_runs, subscription_changes
from invoicing.billing_schedule import due_moments
from invoicing.charge_changes import ChargeChanges
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import USD, as_owner, open_story, paid, promotional
from wallet_service.authorization_requests import AuthorizationRequest, CaptureRequest
from wallet_service.billing_rounds import Run
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.items import ItemRequest
from wallet_service.rerating import Question, compare


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


async def charged(months: Months) -> list[list[int]]:
    """The cents of the usage on each invoice that has any."""
    found = [
        [line.amount_cents for line in await months.lines(one) if line.fee_type == "charge"]
        for one in await months.invoices()
        if one.status != "voided"
    ]
    return [one for one in found if one]


async def end(months: Months, subscription: str, *, at) -> None:
    async with months.services.changing_catalogue(months.organization_id) as connection:
        await subscription_changes.terminate(
            connection, months.organization_id, subscription, now=at
        )


async def settle(months: Months, at) -> None:
    """Make drafts final."""
    for draft in await months.invoices(status="draft"):
        await months.services.invoices.finalize(months.organization_id, draft.id, now=at)


async def hold_up(months: Months, *subscriptions: str, at: datetime) -> None:
    """What is due of them cannot be billed, and is tried again some minutes later."""
    place = months.organization_id
    async with worker_transactions(months.services.database)() as connection:
        due = await due_moments(connection, now=at, limit=9, organization_id=place, corrects=False)
        held = [one for one in due if one.subscription.external_id in subscriptions]
        assert {one.subscription.external_id for one in held} == set(subscriptions)
        await billing_runs.note_problems(connection, held, "held_up", now=at)


async def foreseen(months: Months, until) -> list[int]:
    found = months.services.invoices.billing.foresee(
        until=until, now=until, organization_id=months.organization_id
    )
    amounts = [one.invoice.fees_amount_cents async for one in found]
    return [one for one in amounts if one]


async def test_late_usage_of_an_upgraded_plan_is_on_the_next_invoice_of_the_new_one(months):
    await months.metric("tokens")
    await months.metric("seats", recurring=True)
    for plan, amount in (("small", 0), ("big", 1)):
        prices = standard("tokens", "1"), standard("seats", "30", prorated=True)
        await months.plan(plan, *prices, amount_cents=amount)
    await months.plan("side", standard("tokens", "1"), interval="weekly")
    acme = await months.customer("acme", paid(5000), currency="USD")
    await months.subscribe("acme", "small", "sub", at=day(4, 1))
    await months.subscribe("acme", "side", "other", at=day(4, 1))
    await months.use("sub", "tokens", "10", at=day(4, 2))
    await months.subscribe("acme", "big", "sub", at=day(4, 16))
    await months.bill(day(4, 16))
    await months.bill(day(5, 1))
    await months.use("sub", "tokens", "5", at=day(4, 3))
    await months.use("sub", "seats", "2", at=day(4, 1))
    await months.bill(day(5, 4))  # the other's week: it is the new plan that takes it
    assert await charged(months) == [[1000]]
    assert await foreseen(months, day(6, 1)) == [500 + 3000 + 6000 + 3000 + 1]
    await months.bill(day(6, 1))
    # Of the old plan, 5.00 and two seats for half a month; of the new one May, and half of April.
    assert await charged(months) == [[1000], [500, 3000, 6000, 3000]]
    assert await months.left(acme) == 5000 - 10 - 125 - Decimal("0.01") * 2
    await months.bill(day(7, 1))
    assert (await charged(months))[2:] == [[6000]]
    await months.check()


@pytest.mark.parametrize("grace", [{}, {"billing_configuration": {"invoice_grace_period": 3}}])
async def test_late_usage_of_what_has_ended_is_billed_with_another_or_once_by_itself(months, grace):
    await months.metric("tokens")
    await months.plan("pay", standard("tokens", "1"))
    acme = await months.customer("acme", paid(1000), currency="USD", **grace)
    place = months.organization_id
    await months.subscribe("acme", "pay", "one", at=day(4, 1))
    await months.subscribe("acme", "pay", "two", at=day(4, 1))
    await end(months, "one", at=day(4, 10))
    await months.bill(day(4, 10))
    await settle(months, day(4, 20))
    await months.use("one", "tokens", "5", at=day(4, 3))
    await months.bill(day(5, 1))  # with the other one
    assert await charged(months) == [[500]]
    await settle(months, day(5, 20))
    await end(months, "two", at=day(5, 20))
    await months.bill(day(5, 20))
    await settle(months, day(5, 30))
    assert (await months.bill(day(6, 30))).invoices == 0
    now = datetime.now(UTC)
    await months.use("one", "tokens", "7", at=day(4, 4))
    await months.use("two", "tokens", "1", at=day(4, 4))
    assert (await months.bill(now)).invoices == 0  # more may be on its way
    later = now + timedelta(days=2)
    assert await foreseen(months, later) == [700, 100]
    await asyncio.gather(months.bill(later), months.bill(later))  # two who look at once
    await settle(months, later + timedelta(days=10))
    assert await charged(months) == [[500], [700], [100]]
    assert (await months.bill(later + timedelta(days=20))).invoices == 0
    assert await months.left(acme) == 1000 - 13
    last = (await months.invoices())[-1]
    await months.services.invoices.void(place, last.id, now=later)
    await months.services.invoices.regenerate(place, last.id, now=later)
    assert await charged(months) == [[500], [700], [100]]
    assert (await months.bill(later + timedelta(days=30))).invoices == 0
    await months.check()


async def test_what_was_missing_to_a_minimum_is_missing_still_when_something_else_comes_late(
    months, database_dsn, settings_for
):
    await months.metric("tokens")
    await months.metric("calls")
    await months.plan("pay", standard("tokens", "1", min_amount_cents=100), standard("calls", "1"))
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "pay", "one", at=day(4, 1))
    await months.bill(day(5, 1))
    # As the release before left it: nothing was used, so it named no line.
    as_before = "update invoicing.fees set true_up_parent_fee_id = null"
    await as_owner(settings_for(database_dsn), as_before)
    await months.use("one", "calls", "3", at=day(4, 20))
    await months.bill(day(6, 1))
    assert await charged(months) == [[100], [100, 300]]  # of May, and late


async def rerated(months, start, finish):
    """What the plan `pay` was and would be of usage, by subscription."""
    question = Question(plan_code="pay", start=start, end=finish)
    async with months.services.database.worker.acquire() as connection, connection.transaction():
        found = await compare(connection, months.organization_id, question, now=datetime.now(UTC))
    costs = [one for one in found.costs if one.kind == "usage"]
    return [
        (one.external_subscription_id, one.events, round(one.was, 2), round(one.would_be, 2))
        for one in costs
    ]


EACH = {  # rated event by event: a bound for each, and a free tier
    "rate": "100",
    "per_transaction_min_amount": "0.5",
    "free_units_per_events": 1,
}


@pytest.mark.parametrize(
    ("aggregation", "charge", "charged_of_each", "left"),
    [
        ("sum_agg", standard("tokens", "1"), [[30_000], [700]], 693),
        # A unit is there from the end on: for no time, so what was debited of it goes back.
        ("weighted_sum_agg", standard("tokens", "1"), [[18_000]], 820),
        (
            "sum_agg",
            ChargeChanges(
                billable_metric_code="tokens", charge_model="percentage", properties=EACH
            ),
            [[0], [700]],
            993,
        ),
    ],
)
async def test_a_hold_that_is_captured_after_its_subscription_has_ended_is_billed_once(
    months, aggregation, charge, charged_of_each, left
):
    await months.metric("tokens", aggregation)
    await months.plan("pay", charge)
    acme = await months.customer("acme", paid(1000), currency="USD")
    for name in ("one", "two"):
        await months.subscribe("acme", "pay", name, at=day(4, 1))
    used = [ItemRequest(code="tokens", properties={"value": "7"})]
    doors, place, now = months.services.authorizations, months.organization_id, datetime.now(UTC)
    terms = AuthorizationRequest(
        external_customer_id="acme",
        external_subscription_id="one",
        transaction_id="call",
        items=used,
    )
    await months.use("one", "tokens", "300", at=day(4, 2))
    held = msgspec.json.decode(await doors.authorize(place, terms, now=now))["authorization"]
    await end(months, "one", at=day(4, 20))
    await months.bill(day(5, 1))
    await doors.capture(place, UUID(held["id"]), CaptureRequest(items=used), now=now)
    await months.bill(day(6, 1))
    await months.bill(day(7, 1))
    assert await charged(months) == charged_of_each
    assert await months.left(acme) == left
    await months.check()
    # What is compared with another plan is what was billed, in the period in which it was.
    billed = Decimal(sum(sum(cents) for cents in charged_of_each)) / 100
    assert await rerated(months, day(4, 1), day(5, 1)) == [("one", 2, billed, billed)]
    assert await rerated(months, day(5, 1), day(7, 1)) == []


async def test_seats_that_come_late_are_billed_of_all_plans_that_have_ended_since(months):
    await months.metric("seats", recurring=True)
    for amount in (1, 2):
        seats = standard("seats", "30", prorated=True)
        await months.plan(f"plan-{amount}", seats, amount_cents=amount)
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "plan-1", "sub", at=day(4, 1))
    await months.subscribe("acme", "plan-2", "sub", at=day(4, 11))
    await end(months, "sub", at=day(4, 20, 23))
    await months.bill(day(5, 1))
    now = datetime.now(UTC)
    await months.use("sub", "seats", "3", at=day(4, 1))
    await months.bill(now + timedelta(days=1, minutes=1))
    assert await charged(months) == [[3000, 3000]]  # ten days of each plan
    assert (await months.bill(now + timedelta(days=3))).invoices == 0
    await months.check()


async def test_late_usage_of_what_has_ended_blocks_nobody_whose_moment_waits(months):
    await months.metric("tokens")
    await months.plan("pay", standard("tokens", "1"))
    await months.customer("acme", has_wallet=False, currency="USD")
    for name in ("one", "two", "ended"):
        await months.subscribe("acme", "pay", name, at=day(4, 1))
    await end(months, "ended", at=day(4, 10))
    await months.bill(day(4, 10))
    await months.use("one", "tokens", "1", at=day(4, 2))
    await months.use("two", "tokens", "2", at=day(4, 2))
    await months.use("ended", "tokens", "5", at=day(4, 3))
    await hold_up(months, "one", "two", at=day(5, 1))
    await months.bill(day(5, 1))
    assert await charged(months) == []  # it waits as well
    again = day(5, 1) + timedelta(minutes=6)
    await hold_up(months, "two", at=again)
    await months.bill(again)
    assert [sorted(one) for one in await charged(months)] == [[100, 500]]
    await months.use("ended", "tokens", "7", at=day(4, 4))
    await months.bill(day(5, 2))  # of the same moment, beside which something late was billed
    assert sorted(sorted(one) for one in await charged(months)) == [[100, 500], [200], [700]]
    assert (await months.bill(day(5, 3))).invoices == 0
    await months.check()


async def test_late_usage_of_what_has_ended_is_not_lost_beside_an_older_moment(months):
    await months.metric("tokens")
    await months.plan("pay", standard("tokens", "1"))
    await months.customer("acme", has_wallet=False, currency="USD")
    for name in ("one", "ended"):
        await months.subscribe("acme", "pay", name, at=day(4, 1))
    await hold_up(months, "one", at=day(5, 1))
    await months.bill(day(5, 1))
    await end(months, "ended", at=day(5, 9, 23))
    await hold_up(months, "one", at=day(5, 10))
    await months.bill(day(5, 10))
    await months.use("ended", "tokens", "5", at=day(4, 3))
    await months.use("ended", "tokens", "7", at=day(5, 3))
    assert await charged(months) == []
    await months.bill(day(5, 12))  # the moment of 1 May, older than when the other one ended
    assert [sorted(one) for one in await charged(months)] == [[500, 700]]
    await months.bill(day(6, 1))
    assert len(await charged(months)) == 1
    await months.check()


async def test_each_time_that_something_came_late_names_who_paid_for_that(months):
    await months.metric("tokens")
    await months.plan("pay", standard("tokens", "1"))
    await months.customer("acme", promotional(3), paid(100), currency="USD")
    await months.subscribe("acme", "pay", "one", at=day(3, 1))
    await months.use("one", "tokens", "1", at=day(3, 2))
    await months.bill(day(4, 1))
    await months.use("one", "tokens", "2", at=day(3, 3))  # the last that was given
    await months.bill(day(5, 1))
    await months.use("one", "tokens", "4", at=day(3, 4))  # of what was bought
    run = Run(until=day(6, 1), now=day(6, 1), organization_id=months.organization_id)
    billing = months.services.invoices.billing
    async with months.services.database.worker.acquire() as connection, connection.transaction():
        due = await run.find_due(connection, corrects=False)
        assert due is not None
        _, (billable,) = await billing.read(connection, run, due)
    named = [list(late.paid.grants.values()) for late in billable.late if late.paid.grants]
    assert named == [[4 * USD]]
    await months.bill(day(6, 1))
    parts = [
        (one.prepaid_granted_credit_amount_cents, one.prepaid_purchased_credit_amount_cents)
        for one in await months.invoices()
    ]
    assert parts == [(100, 0), (200, 0), (0, 400)]
