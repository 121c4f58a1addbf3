"""Billable metrics and their expressions, as clients meet them."""

from typing import Any

import httpx
import pytest

from tests.api.market import refused

AREA = "event.properties.width * event.properties.height"


def evaluate(api: httpx.Client, expression: Any, **event: Any) -> httpx.Response:
    body = {"expression": expression, "event": event}
    return api.post("/billable_metrics/evaluate_expression", json=body)


@pytest.mark.parametrize(
    ("expression", "event", "value"),
    [
        (AREA, {"properties": {"width": 2, "height": "1.5"}}, "3"),
        ("concat(event.code, '-', event.timestamp)", {"code": "a", "timestamp": 1700000000}, None),
        ("event.timestamp", {"timestamp": "1700000000.25"}, "1700000000.25"),
        ("event.timestamp", {"timestamp": 1700000000.125}, "1700000000.125"),
        ("event.properties.a + 0", {"properties": {"a": 0.1}}, "0.1"),
        ("1 / 3", {}, "0.333333333333333333"),
    ],
)
def test_an_expression_can_be_tried(
    api: httpx.Client, expression: str, event: dict[str, Any], value: str | None
) -> None:
    answer = evaluate(api, expression, **event)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"expression_result": {"value": value or "a-1700000000"}}


def test_without_a_time_the_event_is_now(api: httpx.Client) -> None:
    answer = evaluate(api, "floor(event.timestamp)")
    assert int(answer.json()["expression_result"]["value"]) > 1_700_000_000


@pytest.mark.parametrize(
    ("expression", "event", "details"),
    [
        (None, {}, {"expression": ["value_is_mandatory"]}),
        (" ", {}, {"expression": ["value_is_mandatory"]}),
        (5, {}, {"expression": ["value_is_invalid"]}),
        (["1"], {}, {"expression": ["value_is_invalid"]}),
        ("1 +", {}, {"expression": ["invalid_expression"]}),
        ("(" * 600, {}, {"expression": ["invalid_expression"]}),
        ("1" * 10_000, {}, {"expression": ["invalid_expression"]}),
        (AREA, {"properties": {"width": 2}}, {"properties.height": ["value_is_mandatory"]}),
        (AREA, {"properties": None}, {"properties.width": ["value_is_mandatory"]}),
        (
            AREA,
            {"properties": {"width": 2, "height": "tall"}},
            {"properties.height": ["value_is_invalid"]},
        ),
        (
            "1 / event.properties.a",
            {"properties": {"a": 0}},
            {"properties.a": ["division_by_zero"]},
        ),
        ("1 / 0", {}, {"expression": ["division_by_zero"]}),
        ("round(1, 0.5)", {}, {"expression": ["invalid_digits"]}),
        ("event.timestamp", {"timestamp": "2026-01-01"}, {"timestamp": ["invalid_format"]}),
        ("event.timestamp", {"timestamp": True}, {"timestamp": ["invalid_format"]}),
        ("event.code", {"code": ["a"]}, {"code": ["value_is_invalid"]}),
        ("event.code", {"properties": [1]}, {"properties": ["value_is_invalid"]}),
    ],
)
def test_what_cannot_be_evaluated_is_told_by_field(
    api: httpx.Client, expression: object, event: dict[str, Any], details: dict[str, list[str]]
) -> None:
    assert refused(evaluate(api, expression, **event)) == details


@pytest.mark.parametrize("number", ["1e999999", "-1e999999", "1" * 4000, "0." + "0" * 4000 + "1"])
def test_no_number_is_too_strange_to_be_refused(api: httpx.Client, number: str) -> None:
    content = (
        f'{{"expression": "event.properties.a", "event": {{"properties": {{"a": {number}}}}}}}'
    )
    answer = api.post("/billable_metrics/evaluate_expression", content=content)
    assert refused(answer) == {"properties.a": ["value_is_invalid"]}


def test_an_expression_is_tried_without_an_event(api: httpx.Client) -> None:
    answer = api.post("/billable_metrics/evaluate_expression", json={"expression": "2 * 3"})
    assert answer.json() == {"expression_result": {"value": "6"}}


def test_a_metric_is_shown_with_all_that_it_was_given(api: httpx.Client) -> None:
    metric = {
        "name": "Storage",
        "code": "metrics-storage",
        "aggregation_type": "weighted_sum_agg",
        "recurring": True,
        "field_name": "gb",
        "expression": "event.properties.bytes / 1000000000",
        "rounding_function": "round",
        "rounding_precision": -1,
        "weighted_interval": None,
        "filters": [{"key": "region", "values": ["eu"]}],
    }
    created = api.post("/billable_metrics", json={"billable_metric": metric})
    assert created.status_code == 200, created.text
    body = created.json()["billable_metric"]
    assert metric | {"weighted_interval": "seconds"} == {name: body[name] for name in metric}
    changes = {"expression": None, "rounding_function": None, "rounding_precision": None}
    changed = api.put("/billable_metrics/metrics-storage", json={"billable_metric": changes})
    assert changed.json()["billable_metric"] == body | changes
