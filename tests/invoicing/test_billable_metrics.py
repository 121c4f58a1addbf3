from decimal import Decimal

import pytest

from invoicing import billable_metrics, plans
from invoicing.billable_metrics import MetricChanges, MetricFilter
from invoicing.errors import Invalid, NotFound
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
    after = await plans.get(*desk.place, "plan")
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
    assert (await plans.get(*desk.place, "plan")).current_version_id == before.current_version_id


async def test_a_deleted_metric_is_priced_no_more_and_held_prices_stay(desk: Desk) -> None:
    await desk.tokens()
    before = await desk.plan("plan", price("2"))
    await billable_metrics.delete(*desk.place, "tokens", now=desk.now)
    after = await plans.get(*desk.place, "plan")
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


async def test_what_is_not_there_cannot_be_changed(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await billable_metrics.update(*desk.place, "none", MetricChanges(), now=desk.now)
    with pytest.raises(NotFound):
        await billable_metrics.delete(*desk.place, "none", now=desk.now)
