"""Features over HTTP, in Lago's shape with our metrics and limits."""

from typing import Any

import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused

SEATS = {
    "code": "seats",
    "name": "Number of seats",
    "description": "Users of the account",
    "privileges": [
        {"code": "max", "name": "Maximum", "value_type": "integer"},
        {"code": "root", "value_type": "boolean", "config": {}},
        {"code": "provider", "value_type": "select", "config": {"select_options": ["google"]}},
        {"code": "note"},
    ],
}


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """An organization with one metric."""
    shop = await new_shop("features")
    shop.metric("calls")
    return shop


def body(shop: Shop, path: str, method: str = "GET", **envelope: Any) -> Json:
    answer = shop.api.request(method, path, json=envelope or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_feature_is_made_shown_changed_and_deleted(shop: Shop) -> None:
    made = shop.ok("/features", feature=SEATS)["feature"]
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "code": "seats",
        "name": "Number of seats",
        "description": "Users of the account",
        "privileges": [
            {"code": "max", "name": "Maximum", "value_type": "integer", "config": {}},
            {"code": "root", "name": None, "value_type": "boolean", "config": {}},
            {
                "code": "provider",
                "name": None,
                "value_type": "select",
                "config": {"select_options": ["google"]},
            },
            {"code": "note", "name": None, "value_type": "string", "config": {}},
        ],
        "billable_metric_codes": [],
    }
    page = body(shop, "/features?search_term=seat")
    assert [one["code"] for one in page["features"]] == ["seats"]
    assert page["meta"]["total_count"] == 1
    changed = {
        "name": None,
        "billable_metric_codes": ["calls"],
        "privileges": [
            {"code": "max", "name": "Most", "config": {"property": "users"}},
            {"code": "provider", "config": {"select_options": ["okta"]}},
        ],
    }
    after = body(shop, "/features/seats", "PUT", feature=changed)["feature"]
    assert (after["name"], after["description"]) == (None, "Users of the account")
    assert after["billable_metric_codes"] == ["calls"]
    assert after["privileges"][0]["config"] == {"property": "users"}
    assert after["privileges"][2]["config"] == {"select_options": ["google", "okta"]}
    assert [one["code"] for one in after["privileges"]] == ["max", "root", "provider", "note"]
    left = body(shop, "/features/seats/privileges/root", "DELETE")["feature"]
    assert [one["code"] for one in left["privileges"]] == ["max", "provider", "note"]
    assert body(shop, "/features/seats")["feature"] == left
    assert body(shop, "/features/seats", "DELETE")["feature"] == left
    assert refused(shop.api.get("/features/seats"), 404) == "feature_not_found"
    assert refused(shop.api.delete("/features/seats"), 404) == "feature_not_found"


def test_newer_clients_fields_and_nulls_are_taken(shop: Shop) -> None:
    privilege = {"code": "p", "name": None, "value_type": None, "config": None, "unit": "x"}
    feature = {
        "code": "newer",
        "name": None,
        "description": None,
        "privileges": [privilege],
        "billable_metric_codes": None,
        "lago_id": "x",
    }
    made = shop.ok("/features", feature=feature)["feature"]
    assert made["privileges"][0]["value_type"] == "string"
    assert (
        shop.ok("/features", feature={"code": "bare", "privileges": None})["feature"]["privileges"]
        == []
    )


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({}, {"code": ["value_is_mandatory"]}),
        ({"code": None}, {"code": ["value_is_mandatory"]}),
        ({"code": " "}, {"code": ["value_is_mandatory"]}),
        ({"code": 7}, {"code": ["value_is_invalid"]}),
        ({"code": "x" * 256}, {"code": ["value_is_too_long"]}),
        ({"code": "\x00"}, {"code": ["value_is_invalid"]}),
        ({"description": "x" * 601}, {"description": ["value_is_too_long"]}),
        ({"privileges": {}}, {"privileges": ["value_is_invalid"]}),
        ({"privileges": ["max"]}, {"privileges.0": ["value_is_invalid"]}),
        ({"privileges": [{}]}, {"privileges.0.code": ["value_is_mandatory"]}),
        ({"privileges": [{"code": "p"}] * 101}, {"privileges": ["invalid_count"]}),
        (
            {"privileges": [{"code": "p", "value_type": "float"}]},
            {"privileges.0.value_type": ["value_is_invalid"]},
        ),
        (
            {"privileges": [{"code": "p", "value_type": "select"}]},
            {"privileges.0.config.select_options": ["value_is_mandatory"]},
        ),
        (
            {"privileges": [{"code": "p", "config": {"select_options": [1]}}]},
            {"privileges.0.config.select_options.0": ["value_is_invalid"]},
        ),
        (
            {"privileges": [{"code": "p", "config": {"property": "tokens"}}]},
            {"privileges.0.config.property": ["value_is_invalid"]},
        ),
        ({"billable_metric_codes": "calls"}, {"billable_metric_codes": ["value_is_invalid"]}),
        (
            {"billable_metric_codes": ["calls", "cells"]},
            {"billable_metric_codes.1": ["billable_metric_not_found"]},
        ),
    ],
)
def test_a_feature_that_is_wrong_is_refused_by_field(
    shop: Shop, fields: Json, details: Json
) -> None:
    known = {"code": "wrong"} if fields else {}
    assert refused(shop.post("/features", feature=known | fields)) == details


def test_a_code_is_taken_once_and_kept(shop: Shop) -> None:
    shop.ok("/features", feature={"code": "taken"})
    again = shop.post("/features", feature={"code": "taken"})
    assert refused(again) == {"code": ["value_already_exist"]}
    renamed = shop.api.put("/features/taken", json={"feature": {"code": "other"}})
    assert refused(renamed) == {"code": ["value_is_invalid"]}
    same = shop.api.put("/features/taken", json={"feature": {"code": "taken"}})
    assert same.status_code == 200
    missing = shop.api.delete("/features/taken/privileges/none")
    assert refused(missing, 404) == "privilege_not_found"
