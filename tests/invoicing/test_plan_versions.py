"""Which prices are in force when, and what becomes of those that wait."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import billable_metrics, plan_charges, plan_fixed_charges, plan_versions, plans
from invoicing.add_ons import AddOnChanges
from invoicing.add_ons import create as create_add_on
from invoicing.billable_metrics import MetricChanges, MetricFilter
from invoicing.charge_changes import ChargeChanges
from invoicing.errors import Invalid, NotFound
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.pages import Window
from invoicing.plan_versions import SCHEDULED_MAX
from invoicing.plans import PlanChanges
from ledger.ids import new_uuid
from tests.invoicing.conftest import Desk, cost, price

DAY = timedelta(days=1)


async def set_price(desk: Desk, amount: str, *, days: int | None = None) -> None:
    """Price tokens, at once or in some days."""
    changes = ChargeChanges(properties={"amount": amount})
    at = None if days is None else desk.now + days * DAY
    await plan_charges.update(*desk.place, "plan", "tokens", changes, effective_at=at, now=desk.now)


async def cost_in(desk: Desk, days: int) -> Decimal:
    """What a token costs that is used in some days."""
    plan_id = await plans.get_id(*desk.place, "plan")
    version = await plans.version_at(*desk.place, plan_id, desk.now + days * DAY)
    return await cost(desk, version.id, tokens=1)


async def shown(desk: Desk) -> str:
    """The price that the plan shows now."""
    plan = await plans.get(*desk.place, "plan", now=desk.now)
    return plan.charges[0].properties["amount"]


@pytest.fixture
async def plan(desk: Desk):
    await desk.tokens()
    return await desk.plan("plan", price("1"))


async def test_a_change_waits_for_its_time(desk: Desk, plan) -> None:
    await set_price(desk, "2", days=10)
    assert await shown(desk) == "1"
    assert [await cost_in(desk, days) for days in (0, 9, 10, 11)] == [1, 1, 2, 2]
    desk.clock.advance(days=10)
    assert await shown(desk) == "2"
    await set_price(desk, "3")
    assert await shown(desk) == "3"


async def test_before_the_first_version_its_prices_hold(desk: Desk, plan) -> None:
    assert await cost_in(desk, -100) == 1
    await set_price(desk, "2")
    assert await cost_in(desk, -100) == 2  # of the same time, the last published counts


async def test_of_the_same_time_the_last_published_counts(desk: Desk, plan) -> None:
    await set_price(desk, "2", days=5)
    await set_price(desk, "3", days=5)
    assert [await cost_in(desk, days) for days in (4, 5)] == [1, 3]


async def test_what_comes_between_changes_only_what_is_between(desk: Desk, plan) -> None:
    await set_price(desk, "4", days=10)
    await set_price(desk, "2", days=5)
    assert [await cost_in(desk, days) for days in (4, 5, 9, 10)] == [1, 2, 2, 4]
    await set_price(desk, "1.5")
    assert [await cost_in(desk, days) for days in (0, 5, 10)] == [Decimal("1.5"), 2, 4]


async def test_what_is_added_meanwhile_is_there_later_too(desk: Desk, plan) -> None:
    await desk.tokens("hours")
    await set_price(desk, "2", days=10)
    added = ChargeChanges(
        billable_metric_code="hours", charge_model="standard", properties={"amount": "7"}
    )
    await plan_charges.create(*desk.place, "plan", added, now=desk.now)
    desk.clock.advance(days=10)
    later = await plans.get(*desk.place, "plan", now=desk.now)
    assert {charge.code: charge.properties["amount"] for charge in later.charges} == {
        "tokens": "2",
        "hours": "7",
    }


async def test_what_cannot_be_taken_over_later_is_refused_now(desk: Desk, plan) -> None:
    await desk.tokens("hours")
    wanted = ChargeChanges(
        code="same", billable_metric_code="hours", charge_model="standard", properties={"amount": 1}
    )
    in_time = desk.now + DAY
    await plan_charges.create(*desk.place, "plan", wanted, effective_at=in_time, now=desk.now)
    with pytest.raises(Invalid, match="waits until") as refused:
        await plan_charges.create(*desk.place, "plan", wanted, now=desk.now)
    assert refused.value.details == {"code": ["value_already_exist"]}
    in_units = ChargeChanges(
        billable_metric_code="hours",
        charge_model="standard",
        properties={"amount": 1},
        asset_code="GPU_HOUR",
    )
    with pytest.raises(Invalid, match="waits until") as refused:
        await plan_charges.create(
            *desk.place, "plan", in_units, units={"GPU_HOUR": 9}, now=desk.now
        )
    assert refused.value.details == {"asset_code": ["mixed_assets"]}


async def test_a_time_gone_by_is_refused(desk: Desk, plan) -> None:
    with pytest.raises(Invalid) as refused:
        await set_price(desk, "2", days=-1)
    assert refused.value.details == {"effective_at": ["value_is_out_of_range"]}
    await set_price(desk, "2", days=0)
    assert await shown(desk) == "2"


async def test_so_many_may_wait_and_no_more(desk: Desk, plan) -> None:
    for days in range(1, SCHEDULED_MAX + 1):
        await set_price(desk, str(days + 1), days=days)
    with pytest.raises(Invalid) as refused:
        await set_price(desk, "99", days=SCHEDULED_MAX + 1)
    assert refused.value.details == {"effective_at": ["invalid_count"]}
    await set_price(desk, "77", days=SCHEDULED_MAX)  # in place of another
    await set_price(desk, "55")
    assert await cost_in(desk, SCHEDULED_MAX) == 77


async def test_a_changed_metric_is_taken_over_by_what_waits(desk: Desk, plan) -> None:
    await set_price(desk, "2", days=10)
    filters = [MetricFilter("model", ["gpt-4o", "o3", "o5"])]
    await billable_metrics.update(
        *desk.place, "tokens", MetricChanges(filters=filters), now=desk.now
    )
    for days, amount in ((0, "1"), (10, "2")):
        later = await plans.get(*desk.place, "plan", now=desk.now + days * DAY)
        assert later.charges[0].metric_filters == {"model": ["gpt-4o", "o3", "o5"]}
        assert later.charges[0].properties == {"amount": amount}


async def test_a_deleted_metric_is_gone_from_what_waits(desk: Desk, plan) -> None:
    await desk.tokens("hours")
    added = ChargeChanges(
        billable_metric_code="hours", charge_model="standard", properties={"amount": "7"}
    )
    at = desk.now + DAY
    await plan_charges.create(*desk.place, "plan", added, effective_at=at, now=desk.now)
    await billable_metrics.delete(*desk.place, "hours", now=desk.now)
    later = await plans.get(*desk.place, "plan", now=at)
    assert [charge.code for charge in later.charges] == ["tokens"]


async def test_a_metric_cannot_become_what_a_charge_cannot_price(desk: Desk, plan) -> None:
    changes = ChargeChanges(pay_in_advance=True)
    at = desk.now + DAY
    await plan_charges.update(*desk.place, "plan", "tokens", changes, effective_at=at, now=desk.now)
    with pytest.raises(Invalid) as refused:
        await billable_metrics.update(
            *desk.place, "tokens", MetricChanges(aggregation_type="max_agg"), now=desk.now
        )
    assert refused.value.details == {
        "aggregation_type": ["invalid_aggregation_type_or_charge_model"]
    }


async def test_a_metric_may_change_where_a_charge_was_impossible_before(desk: Desk, plan) -> None:
    """Such as one that was stored before there was this check."""
    line = await plan_versions.timeline(*desk.place, plan.id, effective_at=None, now=desk.now)
    (charge,) = line.prices.charges
    odd = structs.replace(line.prices, charges=[structs.replace(charge, invoiceable=False)])
    await plan_versions.publish(desk.connection, line, odd, now=desk.now)
    await billable_metrics.update(
        *desk.place, "tokens", MetricChanges(recurring=True), now=desk.now
    )
    assert (await plans.get(*desk.place, "plan", now=desk.now)).charges[0].recurring


async def test_the_versions_of_a_stretch_of_time(desk: Desk, plan) -> None:
    for days in (10, 20):
        await set_price(desk, str(days), days=days)
    await set_price(desk, "11", days=10)

    async def numbers(since: int, until: int) -> list[int]:
        found = await plans.versions_between(
            *desk.place, plan.id, since=desk.now + since * DAY, until=desk.now + until * DAY
        )
        return [version.version for version in found]

    assert await numbers(0, 30) == [1, 4, 3]
    assert await numbers(0, 10) == [1]
    assert await numbers(0, 11) == [1, 4]
    assert await numbers(10, 20) == [4]
    assert await numbers(15, 16) == [4]
    assert await numbers(20, 99) == [3]
    assert await numbers(-9, -3) == [1]
    with pytest.raises(NotFound):
        await plans.version_at(*desk.place, new_uuid(desk.now), desk.now)


async def test_every_version_says_what_it_changed(desk: Desk, plan) -> None:
    desk.clock.advance(seconds=1)
    await set_price(desk, "2", days=10)
    await set_price(desk, "1.5", days=5)
    named = ChargeChanges(invoice_display_name="Tokens")
    await plan_charges.update(*desk.place, "plan", "tokens", named, now=desk.now)
    page = await plan_versions.find_all(*desk.place, plan.id, window=Window(size=4))
    assert page.total_count == 6
    told = []
    for version in page.items:
        assert version.changes is not None
        (entry,) = version.changes.entries
        told.append((version.version, version.is_replaced, sorted(entry.fields)))
    assert told == [
        (6, False, ["properties"]),  # what waits, with the name in it: the next
        (5, False, ["properties"]),
        (4, False, ["invoice_display_name"]),
        (3, True, ["properties"]),
    ]
    (change,) = page.items[0].changes.entries
    assert change.fields["properties"].before == {"amount": "1.5"}
    assert change.fields["properties"].after == {"amount": "2"}


async def test_what_replaces_another_is_compared_with_what_was_in_force_before(
    desk: Desk, plan
) -> None:
    desk.clock.advance(seconds=1)
    await set_price(desk, "2")
    await set_price(desk, "3")
    newest, replaced, _ = (
        await plan_versions.find_all(*desk.place, plan.id, window=Window())
    ).items
    assert newest.changes is not None
    (change,) = newest.changes.entries
    assert (replaced.is_replaced, change.fields["properties"].before) == (True, {"amount": "1"})


async def test_units_are_remembered_from_when_on_they_are_agreed(desk: Desk, plan) -> None:
    seat = AddOnChanges(code="seat", name="Seat", amount_cents=1000, amount_currency="USD")
    await create_add_on(*desk.place, seat, now=desk.now)
    five = FixedChargeChanges(add_on_code="seat", charge_model="standard", units=Decimal(5))
    charge = await plan_fixed_charges.create(*desk.place, "plan", five, now=desk.now)
    at = desk.now + 3 * DAY
    for units, when, immediately in (("15", at, True), ("10", None, False), ("10", None, True)):
        changes = FixedChargeChanges(units=Decimal(units), apply_units_immediately=immediately)
        await plan_fixed_charges.update(
            *desk.place, "plan", "seat", changes, effective_at=when, now=desk.now
        )
    history = await plan_versions.agreed_units(
        desk.connection, desk.organization_id, charge.id, limit=10
    )
    assert [(entry.units, entry.effective_at, entry.applies_immediately) for entry in history] == [
        (15, at, True),
        (10, desk.now, False),
        (5, desk.now, False),
    ]
    assert (await plans.get(*desk.place, "plan", now=at)).fixed_charges[0].units == 15


async def test_only_charges_can_wait(desk: Desk, plan) -> None:
    at = desk.now + DAY
    changes = PlanChanges(effective_at=at, name="New", amount_cents=5, interval="yearly")
    with pytest.raises(Invalid) as refused:
        await plans.update(*desk.place, "plan", changes, [price("2", code="tokens")], now=desk.now)
    assert refused.value.details == {
        "amount_cents": ["value_is_invalid"],
        "interval": ["value_is_invalid"],
    }
    with pytest.raises(Invalid) as refused:
        await plans.update(*desk.place, "plan", PlanChanges(effective_at=at), now=desk.now)
    assert refused.value.details == {"effective_at": ["value_is_invalid"]}
    unchanged = PlanChanges(effective_at=at, amount_cents=0, interval="monthly", name="New")
    wanted = [price("2", code="tokens")]
    after = await plans.update(*desk.place, "plan", unchanged, wanted, now=desk.now)
    assert (after.name, after.charges[0].properties) == ("New", {"amount": "1"})
    assert await cost_in(desk, 1) == 2
