"""Every operation on billable metrics of Lago's official Python client, unmodified."""

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    BillableMetric,
    BillableMetricEvaluateExpression,
    BillableMetricEvaluateExpressionEvent,
    BillableMetricFilter,
    BillableMetricFilters,
)
from lago_python_client.models.billable_metric import BillableMetricEvaluateExpressionResponse


@pytest.mark.parametrize(
    ("aggregation_type", "recurring"),
    [
        ("count_agg", False),
        ("sum_agg", True),
        ("max_agg", False),
        ("latest_agg", False),
        ("unique_count_agg", True),
        ("weighted_sum_agg", True),
    ],
)
def test_a_metric_of_every_aggregation_is_created_found_and_deleted(
    lago: Client, aggregation_type: str, recurring: bool
) -> None:
    code = f"lago-metrics-{aggregation_type}"
    counts = aggregation_type == "count_agg"
    created = lago.billable_metrics.create(
        BillableMetric(
            name="Pages",
            code=code,
            aggregation_type=aggregation_type,
            recurring=recurring,
            field_name=None if counts else "pages",
            expression=None if counts else "round(event.properties.bytes / 4096)",
            rounding_function="ceil",
            rounding_precision=-1,
            weighted_interval="seconds" if aggregation_type == "weighted_sum_agg" else None,
        )
    )
    assert (created.aggregation_type, created.recurring) == (aggregation_type, recurring)
    assert (created.rounding_function, created.rounding_precision) == ("ceil", -1)
    assert created.filters.__root__ == []
    assert lago.billable_metrics.find(code) == created
    assert lago.billable_metrics.destroy(code) == created


def test_a_metric_is_changed_and_listed(lago: Client) -> None:
    code = "lago-metrics-changed"
    created = lago.billable_metrics.create(
        BillableMetric(name="Seats", code=code, aggregation_type="sum_agg", field_name="seats")
    )
    filters = BillableMetricFilters(__root__=[BillableMetricFilter(key="team", values=["a", "b"])])
    changed = lago.billable_metrics.update(
        BillableMetric(
            aggregation_type="unique_count_agg",
            recurring=True,
            field_name="seat_id",
            expression="concat(event.properties.team, '-', event.properties.seat)",
            filters=filters,
        ),
        code,
    )
    assert changed.lago_id == created.lago_id
    assert (changed.aggregation_type, changed.recurring) == ("unique_count_agg", True)
    assert changed.expression == "concat(event.properties.team, '-', event.properties.seat)"
    assert changed.filters == filters
    assert changed in lago.billable_metrics.find_all({"per_page": 1000})["billable_metrics"]


def test_what_is_wrong_with_a_metric_is_told_by_field(lago: Client) -> None:
    with pytest.raises(LagoApiError) as refused:
        lago.billable_metrics.create(
            BillableMetric(
                name="Seats", code="lago-metrics-bad", aggregation_type="max_agg", recurring=True
            )
        )
    assert refused.value.response["error_details"] == {
        "field_name": ["value_is_mandatory"],
        "recurring": ["not_compatible_with_aggregation_type"],
    }


SAMPLE = BillableMetricEvaluateExpression(
    expression="round(event.properties.bytes / 4096, 1)",
    event=BillableMetricEvaluateExpressionEvent(
        code="pages", timestamp="1700000000", properties={"bytes": 10_000}
    ),
)


def test_an_expression_is_evaluated_in_the_clients_words(api: httpx.Client) -> None:
    answer = api.post("/billable_metrics/evaluate_expression", json=SAMPLE.dict())
    result = BillableMetricEvaluateExpressionResponse.parse_obj(answer.json()["expression_result"])
    assert result.value == "2.4"


def test_the_client_forgets_to_send_the_expression_and_is_told_so(lago: Client) -> None:
    """Version 1.55.0 posts no body at all; who does gets the value, as the test above shows."""
    with pytest.raises(LagoApiError) as refused:
        lago.billable_metrics.evaluate_expression(SAMPLE)
    assert refused.value.status_code == 400
    assert refused.value.response["error"] == "BadRequest: the body is missing"
