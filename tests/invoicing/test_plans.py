import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from invoicing import (
    catalogue_versions,
    customers,
    plan_versions,
    plans,
    subscribers,
    subscription_changes,
    subscriptions,
)
from invoicing.charge_changes import ChargeChanges
from invoicing.charge_filters import FilterChanges
from invoicing.errors import Invalid, NotFound
from invoicing.plans import PlanChanges
from invoicing.subscription_requests import SubscriptionRequest
from ledger.ids import new_uuid
from rating.errors import UnknownPrice
from tests.conftest import Clock
from tests.invoicing.conftest import Desk, Refused, cost, price
from tests.waiting import until_waiting
from wallet_service.database import Database


async def test_new_prices_are_a_new_version_and_the_old_one_stays(desk: Desk) -> None:
    await desk.tokens()
    cheap = await desk.plan("plan", price("0.0000025"))
    charge_id = cheap.charges[0].id
    dear = await plans.update(
        *desk.place, "plan", PlanChanges(), [price("0.000003", id=charge_id)], now=desk.now
    )
    assert (cheap.version, dear.version) == (1, 2)
    assert dear.charges[0].id == charge_id
    assert await cost(desk, cheap.current_version_id, tokens=1000) == Decimal("0.0025")
    assert await cost(desk, dear.current_version_id, tokens=1000) == Decimal("0.003")


async def test_the_same_prices_again_are_no_new_version(desk: Desk) -> None:
    await desk.tokens()
    plan = await desk.plan("plan", price("2"))
    again = await plans.update(
        *desk.place, "plan", PlanChanges(name="New name"), [price("2", code="tokens")], now=desk.now
    )
    assert (again.name, again.version) == ("New name", 1)
    assert again.current_version_id == plan.current_version_id


async def test_charges_that_are_not_mentioned_stay_and_an_empty_list_removes_them(
    desk: Desk,
) -> None:
    await desk.tokens()
    await desk.plan("plan", price("2"))
    untouched = await plans.update(*desk.place, "plan", PlanChanges(description="d"), now=desk.now)
    assert len(untouched.charges) == 1
    emptied = await plans.update(*desk.place, "plan", PlanChanges(), [], now=desk.now)
    assert emptied.charges == []


async def test_a_charge_is_known_by_its_code_too(desk: Desk) -> None:
    await desk.tokens()
    plan = await desk.plan("plan", price("2", code="input"))
    changed = await plans.update(
        *desk.place, "plan", PlanChanges(), [price("3", code="input")], now=desk.now
    )
    assert changed.charges[0].id == plan.charges[0].id
    assert changed.charges[0].properties == {"amount": "3"}


async def test_what_another_metric_counts_is_another_charge(desk: Desk) -> None:
    await desk.tokens()
    await desk.tokens("hours")
    before = await desk.plan("plan", price("2", code="usage"))
    wanted = [price("2", code="usage", billable_metric_code="hours")]
    after = await plans.update(*desk.place, "plan", PlanChanges(), wanted, now=desk.now)
    assert after.charges[0].code == before.charges[0].code
    assert after.charges[0].id != before.charges[0].id


async def test_a_metric_priced_twice_gets_two_codes(desk: Desk) -> None:
    await desk.tokens()
    plan = await desk.plan("plan", price("1"), price("2"))
    assert [charge.code for charge in plan.charges] == ["tokens", "tokens_2"]
    assert await cost(desk, plan.current_version_id, tokens=1) == Decimal(3)


async def test_a_filter_with_the_same_values_keeps_its_id(desk: Desk) -> None:
    await desk.tokens()
    o3 = FilterChanges(values={"model": ["o3"]}, properties={"amount": "9"})
    before = await desk.plan("plan", price("1", filters=[o3]))
    dearer = FilterChanges(values={"model": ["o3"]}, properties={"amount": "10"})
    wanted = [price("1", code="tokens", filters=[dearer])]
    after = await plans.update(*desk.place, "plan", PlanChanges(), wanted, now=desk.now)
    assert after.charges[0].filters[0].id == before.charges[0].filters[0].id
    assert await cost(desk, after.current_version_id, tokens=1, model="o3") == Decimal(10)
    assert await cost(desk, after.current_version_id, tokens=1, model="gpt-4o") == Decimal(1)


async def test_without_a_default_price_what_is_not_listed_has_none(desk: Desk) -> None:
    await desk.tokens()
    o3 = FilterChanges(values={"model": ["o3"]}, properties={"amount": "9"})
    charge = ChargeChanges(billable_metric_code="tokens", charge_model="standard", filters=[o3])
    plan = await desk.plan("plan", charge)
    assert plan.charges[0].properties == {}
    assert await cost(desk, plan.current_version_id, tokens=1, model="o3") == Decimal(9)
    with pytest.raises(UnknownPrice):
        await cost(desk, plan.current_version_id, tokens=1, model="gpt-4o")


async def test_a_charge_is_in_the_plans_currency_unless_it_names_an_asset(desk: Desk) -> None:
    await desk.tokens()
    await desk.tokens("hours")
    hours = price("2", billable_metric_code="hours", asset_code="GPU_HOUR")
    plan = await desk.plan("plan", price("1"), hours, units={"GPU_HOUR": 9})
    assert [charge.asset_code for charge in plan.charges] == ["USD", "GPU_HOUR"]


async def test_amounts_are_kept_to_the_last_digit(desk: Desk) -> None:
    await desk.tokens()
    tiny = "0.000000000000000000000000000001"
    plan = await desk.plan("plan", price(tiny))
    found = await plans.get(*desk.place, "plan", now=desk.now)
    assert found.charges[0].properties == {"amount": tiny}
    assert await cost(desk, plan.current_version_id, tokens=1) == Decimal(tiny)


async def test_numbers_and_texts_are_the_same_price(desk: Desk) -> None:
    await desk.tokens()
    package = ChargeChanges(
        billable_metric_code="tokens",
        charge_model="package",
        properties={"amount": Decimal("5.50"), "package_size": "100", "free_units": Decimal(10)},
    )
    plan = await desk.plan("plan", package)
    assert plan.charges[0].properties == {"amount": "5.50", "package_size": 100, "free_units": 10}


async def test_at_most_one_plan_is_the_default(desk: Desk) -> None:
    await desk.plan("first", is_default=True)
    await desk.plan("second", is_default=True)
    default = await plans.find_default(*desk.place)
    assert default is not None
    assert default.code == "second"
    assert not (await plans.get(*desk.place, "first", now=desk.now)).is_default
    await plans.update(*desk.place, "second", PlanChanges(is_default=False), now=desk.now)
    assert await plans.find_default(*desk.place) is None


async def test_the_subscriptions_of_a_deleted_plan_end(desk: Desk) -> None:
    await desk.plan("plan", is_default=True)
    request = SubscriptionRequest(external_id="s", external_customer_id="acme", plan_code="plan")
    await subscription_changes.create(*desk.place, request, now=desk.now)
    await plans.delete(*desk.place, "plan", now=desk.now)
    assert await subscriptions.find(*desk.place, "s") is None
    assert await plans.find_default(*desk.place) is None
    with pytest.raises(NotFound):
        await plans.get(*desk.place, "plan", now=desk.now)


async def test_a_version_can_be_neither_changed_nor_removed(desk: Desk, refused: Refused) -> None:
    plan = await desk.plan("plan")
    where = "where id = $1"
    for statement in (
        "update invoicing.plan_versions set version = 9",
        "delete from invoicing.plan_versions",
    ):
        error = await refused(f"{statement} {where}", plan.current_version_id)
        assert error.sqlstate == "42501"  # the role may not; the trigger would refuse the owner


async def test_not_even_the_owner_can_change_a_version(
    database: Database, database_dsn: str, clock: Clock
) -> None:
    import asyncpg

    organization_id = new_uuid(clock.now)
    async with database.tenant(organization_id) as connection:
        await Desk(connection, organization_id, clock).plan("plan")
    owner = await asyncpg.connect(database_dsn)
    for statement in (
        "update invoicing.plan_versions set version = 9",
        "delete from invoicing.plan_versions",
        "truncate invoicing.plan_versions cascade",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(statement)
    await owner.close()


@pytest.mark.parametrize("days_until_start", [0, 1])
async def test_the_interval_of_a_plan_that_anybody_is_on_stays(
    desk: Desk, days_until_start: int
) -> None:
    await desk.plan("plan")
    request = SubscriptionRequest(
        external_id="sub",
        external_customer_id="acme",
        plan_code="plan",
        subscription_at=desk.now + timedelta(days=days_until_start),
    )
    subscribed = await subscription_changes.create(*desk.place, request, now=desk.now)
    assert subscribed.status == ("pending" if days_until_start else "active")
    to_weekly = PlanChanges(interval="weekly", name="Changed")
    with pytest.raises(Invalid) as refused:
        await plans.update(*desk.place, "plan", to_weekly, now=desk.now)
    assert refused.value.details == {"interval": ["used_by_subscriptions"]}
    with pytest.raises(Invalid) as refused:
        await plans.update(*desk.place, "plan", PlanChanges(interval="daily"), now=desk.now)
    assert refused.value.details == {"interval": ["value_is_invalid"]}
    same = PlanChanges(interval="monthly", name="Changed")
    assert (await plans.update(*desk.place, "plan", same, now=desk.now)).name == "Changed"
    await subscription_changes.terminate(
        *desk.place, "sub", statuses=(subscribed.status,), now=desk.now
    )
    changed = await plans.update(*desk.place, "plan", to_weekly, now=desk.now)
    assert changed.interval == "weekly"


async def test_a_first_use_that_is_under_way_counts_as_a_subscription(
    module_database: Database, clock: Clock
) -> None:
    organization_id = new_uuid(clock.now)
    async with module_database.tenant(organization_id) as connection:
        await Desk(connection, organization_id, clock).plan("plan", is_default=True)
        customer = await customers.upsert(
            connection, organization_id, "acme", customers.CustomerChanges(), now=clock.now
        )

    async def change() -> None:
        async with module_database.tenant(organization_id) as connection:
            changes = PlanChanges(interval="weekly")
            await plans.update(connection, organization_id, "plan", changes, now=clock.now)

    async with module_database.committer.acquire() as connection, connection.transaction():
        await subscribers.start_default(connection, organization_id, customer, now=clock.now)
        changing = asyncio.create_task(change())
        await until_waiting(module_database.worker)
        assert not changing.done()
    with pytest.raises(Invalid) as refused:
        await changing
    assert refused.value.details == {"interval": ["used_by_subscriptions"]}


async def test_two_changes_at_once_become_two_versions(
    module_database: Database, clock: Clock
) -> None:
    organization_id = new_uuid(clock.now)
    async with module_database.tenant(organization_id) as connection:
        setting = Desk(connection, organization_id, clock)
        await setting.tokens()
        await setting.plan("plan", price("1"))

    async def change(amount: str) -> int:
        async with module_database.tenant(organization_id) as connection:
            wanted = [price(amount, code="tokens")]
            plan = await plans.update(
                connection, organization_id, "plan", PlanChanges(), wanted, now=clock.now
            )
            return plan.version

    assert sorted(await asyncio.gather(change("2"), change("3"))) == [2, 3]


async def test_every_change_moves_the_catalogues_version(desk: Desk) -> None:
    versions = [await catalogue_versions.current(*desk.place)]
    await desk.tokens()
    versions.append(await catalogue_versions.current(*desk.place))
    await desk.plan("plan", price("1"))
    versions.append(await catalogue_versions.current(*desk.place))
    await plans.update(*desk.place, "plan", PlanChanges(), [], now=desk.now)
    versions.append(await catalogue_versions.current(*desk.place))
    await plans.delete(*desk.place, "plan", now=desk.now)
    versions.append(await catalogue_versions.current(*desk.place))
    assert versions == sorted(set(versions))
    assert versions[0] == 0


async def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    changes = PlanChanges(code="plan", interval="daily")
    with pytest.raises(Invalid) as refused:
        await plans.create(*desk.place, changes, [price("x"), price("1")], now=desk.now)
    assert refused.value.details == {
        "name": ["value_is_mandatory"],
        "interval": ["value_is_invalid"],
        "amount_currency": ["value_is_mandatory"],
        "amount_cents": ["value_is_mandatory"],
        "charges.0.billable_metric_code": ["billable_metric_not_found"],
        "charges.1.billable_metric_code": ["billable_metric_not_found"],
    }


async def test_a_version_of_another_organization_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await plan_versions.load_rate_card(*desk.place, UUID(int=7))
