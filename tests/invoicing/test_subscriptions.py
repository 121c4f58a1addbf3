import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from invoicing import (
    billing_schedule,
    catalogue_versions,
    customers,
    plans,
    subscribers,
    subscription_changes,
    subscriptions,
)
from invoicing.customers import Customer, CustomerChanges
from invoicing.errors import Invalid, NotFound
from invoicing.plans import PlanChanges
from invoicing.subscribers import Agreement
from invoicing.subscription_moves import move_due
from invoicing.subscription_requests import SubscriptionChanges, SubscriptionRequest, Termination
from ledger.ids import new_uuid
from tests.conftest import Clock
from tests.invoicing.conftest import Desk, price
from wallet_service.database import Database


async def subscribe(desk: Desk, external_id: str = "sub", **fields: object):
    fields = {"external_customer_id": "acme", "plan_code": "plan"} | fields
    request = SubscriptionRequest(external_id=external_id, **fields)
    return await subscription_changes.create(*desk.place, request, now=desk.now)


async def agreements_of(desk: Desk, external_id: str) -> list[Agreement]:
    """What prices new usage of a customer."""
    wanted = desk.organization_id, external_id
    found = await subscribers.find_subscribers(desk.connection, [wanted])
    return found[wanted].agreements


async def agreement_at(desk: Desk, external_id: str, at: datetime) -> Agreement | None:
    """What an external id of a subscription meant at a time."""
    wanted = desk.organization_id, external_id, at
    found = await subscribers.find_at_times(desk.connection, [wanted])
    return found[wanted].agreements[0] if found else None


async def acme(desk: Desk) -> Customer:
    return await customers.upsert(*desk.place, "acme", CustomerChanges(name="Acme"), now=desk.now)


async def test_a_subscription_starts_at_once_and_creates_its_customer(desk: Desk) -> None:
    plan = await desk.plan("plan")
    subscription = await subscribe(desk)
    assert (subscription.status, subscription.started_at) == ("active", desk.now)
    customer = await customers.get(*desk.place, "acme")
    assert customer.currency == "USD"
    active = await agreements_of(desk, "acme")
    assert [(entry.id, entry.plan_version_id) for entry in active] == [
        (subscription.id, plan.current_version_id)
    ]


async def test_usage_is_priced_by_the_plans_current_version(desk: Desk) -> None:
    await desk.tokens()
    await desk.plan("plan", price("1"))
    subscription = await subscribe(desk)
    dearer = await plans.update(
        *desk.place, "plan", PlanChanges(), [price("2", code="tokens")], now=desk.now
    )
    active = await agreements_of(desk, subscription.external_customer_id)
    assert [entry.plan_version_id for entry in active] == [dearer.current_version_id]


async def test_one_that_starts_later_waits_and_is_started_when_its_time_has_come(
    desk: Desk,
) -> None:
    await desk.plan("plan")
    tomorrow = desk.now + timedelta(days=1)
    pending = await subscribe(desk, subscription_at=tomorrow)
    assert (pending.status, pending.started_at) == ("pending", None)
    assert await agreements_of(desk, pending.external_customer_id) == []
    assert await move_due(desk.connection, now=desk.now) == []
    moved = await move_due(desk.connection, now=desk.clock.advance(days=2))
    assert [(move.word, move.subscription.id) for move in moved] == [("started", pending.id)]
    started = await subscriptions.get(*desk.place, "sub")
    assert started.started_at == tomorrow


async def test_one_with_an_end_is_ended_when_its_time_has_come(desk: Desk) -> None:
    await desk.plan("plan")
    end = desk.now + timedelta(days=10)
    await subscribe(desk, ending_at=end)
    moved = await move_due(desk.connection, now=desk.clock.advance(days=11))
    assert len(moved) == 1
    ended = await subscriptions.get(*desk.place, "sub", statuses=("terminated",))
    assert ended.terminated_at == end


async def test_a_terminated_one_is_found_as_such_and_its_id_is_free_again(desk: Desk) -> None:
    await desk.plan("plan")
    await subscribe(desk)
    ended = await subscription_changes.terminate(
        *desk.place,
        "sub",
        Termination(on_termination_invoice="skip"),
        now=desk.clock.advance(60),
    )
    assert (ended.status, ended.terminated_at) == ("terminated", desk.now)
    assert ended.on_termination_invoice == "skip"
    with pytest.raises(NotFound):
        await subscriptions.get(*desk.place, "sub")
    with pytest.raises(NotFound):
        await subscription_changes.terminate(*desk.place, "sub", now=desk.now)
    again = await subscribe(desk)
    assert again.id != ended.id


async def test_a_pending_one_that_is_terminated_never_starts(desk: Desk) -> None:
    await desk.plan("plan")
    await subscribe(desk, subscription_at=desk.now + timedelta(days=1))
    canceled = await subscription_changes.terminate(
        *desk.place, "sub", statuses=("pending",), now=desk.now
    )
    assert (canceled.status, canceled.canceled_at) == ("canceled", desk.now)
    assert await move_due(desk.connection, now=desk.clock.advance(days=2)) == []


async def test_the_same_plan_again_changes_only_the_name(desk: Desk) -> None:
    await desk.plan("plan")
    before = await subscribe(desk, name="First")
    after = await subscribe(desk, name="Second")
    assert (after.id, after.name) == (before.id, "Second")
    assert (await subscribe(desk)).name == "Second"


async def test_a_dearer_plan_takes_over_at_once(desk: Desk) -> None:
    await desk.plan("plan", amount_cents=1000)
    await desk.plan("dearer", amount_cents=2000)
    before = await subscribe(desk)
    desk.clock.advance(60)
    after = await subscribe(desk, plan_code="dearer")
    assert after.previous_subscription_id == before.id
    assert after.status == "active"
    ended = await subscriptions.get(*desk.place, "sub", statuses=("terminated",))
    assert (ended.id, ended.terminated_at) == (before.id, desk.now)


async def test_an_external_id_belongs_to_one_customer(desk: Desk) -> None:
    await desk.plan("plan")
    await subscribe(desk)
    with pytest.raises(Invalid) as refused:
        await subscribe(desk, external_customer_id="globex")
    assert refused.value.details == {"external_id": ["value_already_exist"]}


async def test_an_end_may_be_set_and_cleared_but_not_lie_in_the_past(desk: Desk) -> None:
    await desk.plan("plan")
    await subscribe(desk)

    async def end(ending_at: object) -> object:
        changes = SubscriptionChanges(ending_at=ending_at)
        return (
            await subscription_changes.update(*desk.place, "sub", changes, now=desk.now)
        ).ending_at

    later = desk.now + timedelta(days=1)
    assert await end(later) == later
    assert await end(None) is None
    with pytest.raises(Invalid):
        await end(desk.now)


async def test_late_usage_finds_the_subscription_of_its_time(desk: Desk) -> None:
    await desk.plan("plan")
    early = await subscribe(desk)
    ended_at = desk.clock.advance(days=1)
    await subscription_changes.terminate(*desk.place, "sub", now=ended_at)
    restarted_at = desk.clock.advance(days=1)
    late = await subscribe(desk)

    async def at(timestamp: object) -> UUID | None:
        found = await agreement_at(desk, "sub", timestamp)
        return None if found is None else found.id

    assert await at(early.started_at) == early.id
    assert await at(ended_at) == early.id
    assert await at(ended_at + timedelta(hours=1)) is None
    assert await at(restarted_at) == late.id
    assert await at(early.started_at - timedelta(seconds=1)) is None


async def test_the_first_use_of_the_default_plan_starts_one_named_like_the_customer(
    desk: Desk,
) -> None:
    plan = await desk.plan("pay-as-you-go", is_default=True)
    started = await subscribers.start_default(*desk.place, await acme(desk), now=desk.now)
    assert started is not None
    assert (started.external_id, started.plan_id) == ("acme", plan.id)
    assert started.plan_version_id == plan.current_version_id
    assert (started.billing_time, started.started_at) == ("calendar", desk.now)
    again = await subscribers.start_default(
        *desk.place, await acme(desk), now=desk.clock.advance(60)
    )
    assert again == started


async def test_where_the_customers_name_is_taken_the_plans_code_is_added(desk: Desk) -> None:
    await desk.plan("plan")
    await subscribe(desk, "acme")
    await desk.plan("pay-as-you-go", is_default=True)
    started = await subscribers.start_default(*desk.place, await acme(desk), now=desk.now)
    assert started is not None
    assert started.external_id == "acme:pay-as-you-go"


async def test_without_a_default_plan_nothing_starts(desk: Desk) -> None:
    assert await subscribers.start_default(*desk.place, await acme(desk), now=desk.now) is None


async def test_a_default_subscription_stales_no_cache(desk: Desk) -> None:
    await desk.plan("pay-as-you-go", is_default=True)
    customer = await acme(desk)
    before = await catalogue_versions.current(*desk.place)
    await subscribers.start_default(*desk.place, customer, now=desk.now)
    assert await catalogue_versions.current(*desk.place) == before


async def test_many_first_uses_at_once_start_one_subscription(
    module_database: Database, clock: Clock
) -> None:
    organization_id = new_uuid(clock.now)
    async with module_database.tenant(organization_id) as connection:
        setting = Desk(connection, organization_id, clock)
        await setting.plan("pay-as-you-go", is_default=True)
        customer = await acme(setting)

    async def first_use() -> UUID:
        async with module_database.committer.acquire() as connection, connection.transaction():
            started = await subscribers.start_default(
                connection, organization_id, customer, now=clock.now
            )
            assert started is not None
            return started.id

    ids = await asyncio.gather(*(first_use() for _ in range(4)))
    assert len(set(ids)) == 1


class _Enough(Exception):
    """Nothing of it is kept."""


async def test_all_of_somebodys_subscriptions_are_locked_in_one_order(
    module_database: Database, clock: Clock
) -> None:
    organization_id = new_uuid(clock.now)
    async with module_database.tenant(organization_id) as connection:
        desk = Desk(connection, organization_id, clock)
        plan = await desk.plan("plan")
        last = await subscribe(desk, "last")
        earlier = SubscriptionRequest(
            external_id="first", external_customer_id="acme", plan_code="plan"
        )
        first = await subscription_changes.create(
            *desk.place, earlier, now=clock.now - timedelta(days=1)
        )
    assert first.id < last.id, "the first is the younger row"
    place, now = organization_id, clock.now

    async def wait_behind(action: Callable[[Any], Awaitable[object]], pid: asyncio.Future[int]):
        with suppress(_Enough):
            async with module_database.tenant(organization_id) as connection:
                for way in ("indexscan", "bitmapscan"):  # as they stand, which may be any order
                    await connection.execute(f"set local enable_{way} = off")
                pid.set_result(await connection.fetchval("select pg_backend_pid()"))
                await action(connection)
                raise _Enough

    for action in (
        lambda one: billing_schedule.look_again(one, place, now=now),
        lambda one: billing_schedule.look_again(one, place, plan_id=plan.id, now=now),
        lambda one: billing_schedule.look_again(one, place, customer_id=last.customer_id, now=now),
        lambda one: customers.delete(one, place, "acme", now=now),
        lambda one: plans.delete(one, place, "plan", now=now),
    ):
        async with module_database.worker.acquire() as holder:
            transaction = holder.transaction()
            await transaction.start()
            hold = "select from invoicing.subscriptions where id = $1 for no key update nowait"
            await holder.execute(hold, first.id)
            pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            waiting = asyncio.create_task(wait_behind(action, pid))
            while not await holder.fetchval("select pg_blocking_pids($1) <> '{}'", await pid):
                assert not waiting.done()
                await asyncio.sleep(0.01)
            await holder.execute(hold, last.id)  # whoever waits for the first has not the last
            await transaction.rollback()
            await waiting
