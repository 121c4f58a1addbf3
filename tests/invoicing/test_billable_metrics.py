from decimal import Decimal

import pytest

from invoicing import billable_metrics, plan_versions, plans, subscription_changes
from invoicing.billable_metrics import MetricChanges, MetricFilter
from invoicing.errors import Invalid, NotFound
from invoicing.subscription_requests import SubscriptionRequest
from rating.errors import UnknownCode
from tests.invoicing.conftest import Desk, cost, price


async def test_a_code_is_there_once_and_free_after_deletion(desk: Desk) -> None:
    await desk.tokens()
    with pytest.raises(Invalid) as refused:
        await desk.tokens()
    assert refused.value.details == {"code": ["value_already_exist"]}
    await billable_metrics.delete(*desk.place, "tokens", now=desk.now)
    await desk.tokens()


async def test_a_count_needs_no_property(desk: Desk) -> None:
    changes = MetricChanges(
        code="calls", name="Calls", aggregation_type="count_agg", field_name="ignored"
    )
    metric = await billable_metrics.create(*desk.place, changes, now=desk.now)
    assert metric.field_name is None


async def test_a_changed_metric_is_priced_as_it_is_now_and_held_prices_stay(desk: Desk) -> None:
    await desk.tokens()
    before = await desk.plan("plan", price("2"))
    changes = MetricChanges(field_name="characters")
    await billable_metrics.update(*desk.place, "tokens", changes, now=desk.now)
    after = await plans.get(*desk.place, "plan", now=desk.now)
    assert after.current_version_id != before.current_version_id
    assert after.charges[0].id == before.charges[0].id
    assert await cost(desk, before.current_version_id, tokens=3) == Decimal(6)
    assert await cost(desk, after.current_version_id, characters=5) == Decimal(10)


async def test_a_metric_that_only_gets_another_name_makes_no_new_price(desk: Desk) -> None:
    await desk.tokens()
    before = await desk.plan("plan", price("2"))
    await billable_metrics.update(
        *desk.place, "tokens", MetricChanges(name="Renamed"), now=desk.now
    )
    assert (
        await plans.get(*desk.place, "plan", now=desk.now)
    ).current_version_id == before.current_version_id


async def test_a_deleted_metric_is_priced_no_more_and_held_prices_stay(desk: Desk) -> None:
    await desk.tokens()
    before = await desk.plan("plan", price("2"))
    await billable_metrics.delete(*desk.place, "tokens", now=desk.now)
    after = await plans.get(*desk.place, "plan", now=desk.now)
    assert after.charges == []
    with pytest.raises(UnknownCode):
        await cost(desk, after.current_version_id, tokens=3)
    assert await cost(desk, before.current_version_id, tokens=3) == Decimal(6)


async def test_a_metric_cannot_take_the_code_of_another(desk: Desk) -> None:
    await desk.tokens("tokens")
    await desk.tokens("words")
    with pytest.raises(Invalid) as refused:
        await billable_metrics.update(
            *desk.place, "words", MetricChanges(code="tokens"), now=desk.now
        )
    assert refused.value.details == {"code": ["value_already_exist"]}


async def test_filters_are_kept_in_their_order(desk: Desk) -> None:
    filters = [MetricFilter("model", ["o3", "gpt-4o"]), MetricFilter("cached", ["yes", "no"])]
    await desk.tokens()
    changes = MetricChanges(filters=filters)
    await billable_metrics.update(*desk.place, "tokens", changes, now=desk.now)
    assert (await billable_metrics.get(*desk.place, "tokens")).filters == filters


@pytest.mark.parametrize(
    ("aggregation_type", "may_recur", "weighted_interval"),
    [
        ("sum_agg", True, None),
        ("max_agg", False, None),
        ("latest_agg", False, None),
        ("unique_count_agg", True, None),
        ("weighted_sum_agg", True, "seconds"),
    ],
)
async def test_every_aggregation_can_be_asked_for(
    desk: Desk, aggregation_type: str, may_recur: bool, weighted_interval: str | None
) -> None:
    changes = MetricChanges(
        code="seats",
        name="Seats",
        aggregation_type=aggregation_type,
        field_name="seats",
        recurring=may_recur,
        rounding_function="ceil",
        rounding_precision=-2,
    )
    metric = await billable_metrics.create(*desk.place, changes, now=desk.now)
    assert metric.aggregation_type == aggregation_type
    assert metric.weighted_interval == weighted_interval
    assert (metric.rounding_function, metric.rounding_precision) == ("ceil", -2)
    assert metric == await billable_metrics.get(*desk.place, "seats")


async def test_a_count_has_no_field_to_compute(desk: Desk) -> None:
    changes = MetricChanges(
        code="calls",
        name="Calls",
        aggregation_type="sum_agg",
        field_name="n",
        expression="event.properties.a * 2",
    )
    await billable_metrics.create(*desk.place, changes, now=desk.now)
    counts = MetricChanges(aggregation_type="count_agg")
    metric = await billable_metrics.update(*desk.place, "calls", counts, now=desk.now)
    assert (metric.field_name, metric.expression) == (None, None)


async def test_a_charge_takes_over_all_that_its_metric_says_of_units(desk: Desk) -> None:
    await desk.tokens()
    before = await desk.plan("plan", price("2"))
    changes = MetricChanges(
        recurring=True,
        rounding_function="floor",
        rounding_precision=1,
        expression="event.properties.words * 1.5",
    )
    await billable_metrics.update(*desk.place, "tokens", changes, now=desk.now)
    after = await plans.get(*desk.place, "plan", now=desk.now)
    card = await plan_versions.load_rate_card(*desk.place, after.current_version_id)
    (charge,) = card.charges
    assert (charge.recurring, charge.expression) == (True, "event.properties.words * 1.5")
    assert (charge.rounding_function, charge.rounding_precision) == ("floor", 1)
    (held,) = (await plan_versions.load_rate_card(*desk.place, before.current_version_id)).charges
    assert (held.recurring, held.expression, held.rounding_function) == (False, None, None)

    added = await desk.plan("another", price("3"))
    assert added.charges[0].expression == "event.properties.words * 1.5"


async def test_what_is_counted_cannot_change_under_subscriptions(desk: Desk) -> None:
    await desk.tokens()
    await desk.plan("plan", price("2"))
    maximum = MetricChanges(aggregation_type="max_agg")
    await billable_metrics.update(*desk.place, "tokens", maximum, now=desk.now)
    request = SubscriptionRequest(external_id="sub", external_customer_id="acme", plan_code="plan")
    await subscription_changes.create(*desk.place, request, now=desk.now)
    sums = MetricChanges(aggregation_type="sum_agg", recurring=True)
    with pytest.raises(Invalid) as refused:
        await billable_metrics.update(*desk.place, "tokens", sums, now=desk.now)
    assert refused.value.details == {
        "aggregation_type": ["used_by_subscriptions"],
        "recurring": ["used_by_subscriptions"],
    }
    other_field = MetricChanges(field_name="characters", aggregation_type="max_agg")
    metric = await billable_metrics.update(*desk.place, "tokens", other_field, now=desk.now)
    assert metric.field_name == "characters"


async def test_what_is_not_there_cannot_be_changed(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await billable_metrics.update(*desk.place, "none", MetricChanges(), now=desk.now)
    with pytest.raises(NotFound):
        await billable_metrics.delete(*desk.place, "none", now=desk.now)
