"""The billing run finds what is due among all subscriptions, in order, and nothing twice."""

from datetime import UTC, datetime, timedelta

import pytest

from invoicing import billing_schedule, customers, plans, subscription_changes
from invoicing.billing_schedule import DueMoment, due_moments, schedule_all
from invoicing.customers import CustomerChanges
from invoicing.plans import PlanChanges
from invoicing.subscription_requests import SubscriptionRequest
from tests.invoicing.conftest import Desk


async def subscribe(desk: Desk, external_id: str = "sub", **fields: object):
    known = {"external_customer_id": "acme", "plan_code": "plan"} | fields
    request = SubscriptionRequest(external_id=external_id, **known)
    return await subscription_changes.create(*desk.place, request, now=desk.now)


async def due(desk: Desk, *, now: datetime | None = None, **terms) -> list[DueMoment]:
    return await due_moments(
        desk.connection,
        now=now or desk.now,
        organization_id=desk.organization_id,
        **({"limit": 100} | terms),
    )


async def bill(desk: Desk, found: DueMoment) -> None:
    """As the billing run does it."""
    moment = found.moment
    charges = moment.charges_period
    await desk.connection.execute(
        "insert into invoicing.billed_periods (organization_id, subscription_id, billing_at,"
        " reason, plan_id, charges_from_at, charges_to_at, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        desk.organization_id,
        found.subscription.id,
        moment.billing_at,
        moment.reason,
        found.subscription.plan_id,
        charges and charges.part.start,
        charges and charges.part.end,
        desk.now,
    )
    await schedule_all(desk.connection, [found])


def show(found: list[DueMoment]) -> list[tuple[str, str, str]]:
    return [
        (
            one.subscription.external_id,
            one.moment.reason.removeprefix("subscription_"),
            one.moment.billing_at.date().isoformat(),
        )
        for one in found
    ]


@pytest.fixture
async def march(desk: Desk) -> Desk:
    desk.clock.now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    await desk.plan("plan")
    return desk


async def test_what_is_due_comes_once_and_again_when_its_next_period_ends(march: Desk) -> None:
    await subscribe(march)
    assert await due(march) == []
    march.clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    found = await due(march)
    assert show(found) == [("sub", "periodic", "2026-04-01")]
    assert show(await due(march)) == show(found)
    await bill(march, found[0])
    assert await due(march) == []
    march.clock.now = datetime(2026, 6, 2, tzinfo=UTC)
    assert show(await due(march)) == [
        ("sub", "periodic", "2026-05-01"),
        ("sub", "periodic", "2026-06-01"),
    ]


async def test_what_is_not_due_is_scheduled_for_its_moment(march: Desk) -> None:
    started = await subscribe(march)
    column = "select next_billing_at from invoicing.subscriptions where id = $1"
    assert await march.connection.fetchval(column, started.id) == march.now
    await due(march, corrects=False)
    assert await march.connection.fetchval(column, started.id) == march.now
    await due(march)
    assert await march.connection.fetchval(column, started.id) == datetime(2026, 4, 1, tzinfo=UTC)


async def test_a_look_into_the_future_writes_nothing(march: Desk) -> None:
    await subscribe(march)
    until = datetime(2026, 5, 2, tzinfo=UTC)
    assert show(await due(march, now=until, corrects=False)) == [
        ("sub", "periodic", "2026-04-01"),
        ("sub", "periodic", "2026-05-01"),
    ]
    assert await due(march) == []


async def test_an_end_is_due_at_once_and_is_the_last(march: Desk) -> None:
    await subscribe(march)
    await due(march)
    march.clock.advance(days=3)
    await subscription_changes.terminate(*march.place, "sub", now=march.now)
    [found] = await due(march)
    assert show([found]) == [("sub", "terminating", "2026-03-13")]
    assert found.next_billing_at is None
    await bill(march, found)
    march.clock.advance(days=300)
    assert await due(march) == []


async def test_what_changes_while_it_is_billed_is_looked_at_again(march: Desk) -> None:
    await subscribe(march)
    march.clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    [found] = await due(march)
    march.clock.advance(3600)
    await subscription_changes.terminate(*march.place, "sub", now=march.now)
    await bill(march, found)
    assert show(await due(march)) == [("sub", "terminating", "2026-04-02")]


async def test_a_run_goes_on_after_what_it_was_given(march: Desk) -> None:
    for number in range(5):
        await subscribe(march, f"sub-{number}")
    await subscribe(march, "later", subscription_at=march.now + timedelta(days=90))
    march.clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    first = await due(march, limit=2)
    rest = await due(march, limit=10, after=first[-1].key)
    names = [name for name, *_ in show(first + rest)]
    assert sorted(names) == [f"sub-{number}" for number in range(5)]


async def test_months_are_those_of_the_customer(march: Desk) -> None:
    await subscribe(march)
    await due(march)
    zone = CustomerChanges(timezone="Asia/Tokyo")
    await customers.upsert(*march.place, "acme", zone, now=march.now)
    found = await due(march, now=datetime(2026, 3, 31, 16, tzinfo=UTC))
    assert show(found) == [("sub", "periodic", "2026-03-31")]
    assert found[0].moment.billing_at == datetime(2026, 3, 31, 15, tzinfo=UTC)


async def test_a_plan_that_is_paid_in_advance_from_now_on_is_looked_at_again(march: Desk) -> None:
    started = await subscribe(march)
    await due(march)
    changes = PlanChanges(bill_charges_monthly=True)
    march.clock.advance(60)
    await plans.update(*march.place, "plan", changes, now=march.now)
    column = "select next_billing_at from invoicing.subscriptions where id = $1"
    assert await march.connection.fetchval(column, started.id) == march.now


async def test_a_withdrawn_plan_and_a_deleted_customer_bill_what_is_left(march: Desk) -> None:
    await subscribe(march)
    march.clock.advance(days=1)
    await plans.delete(*march.place, "plan", now=march.now)
    assert show(await due(march)) == [("sub", "terminating", "2026-03-11")]
    assert await billing_schedule.find_scheduled(march.connection, [], now=march.now) == []
