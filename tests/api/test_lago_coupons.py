"""Lago's official Python client, unmodified: every operation of its coupons."""

from typing import Any

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import AppliedCoupon, Coupon, Customer, LimitationConfiguration
from lago_python_client.models.applied_coupon import AppliedCouponResponse

from tests.api.market import refused

TEN = {
    "name": "Ten",
    "code": "x",
    "coupon_type": "fixed_amount",
    "amount_cents": 1000,
    "amount_currency": "EUR",
    "frequency": "once",
    "expiration": "no_expiration",
    "reusable": True,
}


def _of_customer(api: httpx.Client, external_id: str) -> list[AppliedCouponResponse]:
    """A customer's coupons; the client's own call for them (1.55.0) sends no key."""
    answer = api.get(f"/customers/{external_id}/applied_coupons")
    assert answer.status_code == 200
    return [AppliedCouponResponse.parse_obj(one) for one in answer.json()["applied_coupons"]]


def _plan(api: httpx.Client, code: str) -> None:
    plan = {
        "name": code,
        "code": code,
        "interval": "monthly",
        "amount_cents": 0,
        "amount_currency": "EUR",
    }
    assert api.post("/plans", json={"plan": plan}).status_code == 200


def test_a_coupon_is_created_changed_found_listed_and_deleted(
    lago: Client, api: httpx.Client
) -> None:
    _plan(api, "lago-coupon-plan")
    created = lago.coupons.create(
        Coupon(
            **TEN
            | {
                "code": "lago-coupon",
                "expiration": "time_limit",
                "expiration_at": "2099-01-01T00:00:00Z",
                "applies_to": LimitationConfiguration(plan_codes=["lago-coupon-plan"]),
            }
        )
    )
    assert (created.amount_cents, created.limited_plans) == (1000, True)
    assert created.plan_codes == ["lago-coupon-plan"]
    assert (created.limited_billable_metrics, created.terminated_at) == (False, None)
    assert created.expiration_at == "2099-01-01T00:00:00Z"

    changed = lago.coupons.update(
        Coupon(name="A fifth", coupon_type="percentage", percentage_rate=20.0, frequency="forever"),
        "lago-coupon",
    )
    assert (changed.lago_id, changed.name) == (created.lago_id, "A fifth")
    assert (changed.percentage_rate, changed.amount_cents) == (20.0, None)
    assert changed.plan_codes == created.plan_codes

    assert lago.coupons.find("lago-coupon") == changed
    assert changed in lago.coupons.find_all({"per_page": 1000})["coupons"]
    assert lago.coupons.destroy("lago-coupon").lago_id == created.lago_id
    with pytest.raises(LagoApiError) as gone:
        lago.coupons.find("lago-coupon")
    assert gone.value.response["code"] == "coupon_not_found"


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"name": ""}, {"name": ["value_is_mandatory"]}),
        ({"code": "nul-\x00"}, {"code": ["value_is_invalid"]}),
        ({"coupon_type": None}, {"coupon_type": ["value_is_mandatory"]}),
        ({"coupon_type": "gift"}, {"coupon_type": ["value_is_invalid"]}),
        ({"amount_cents": None}, {"amount_cents": ["value_is_mandatory"]}),
        ({"amount_cents": 0}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 2**63}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_currency": "XXX"}, {"amount_currency": ["value_is_invalid"]}),
        ({"frequency": "often"}, {"frequency": ["value_is_invalid"]}),
        ({"frequency": "recurring"}, {"frequency_duration": ["value_is_mandatory"]}),
        (
            {"frequency": "recurring", "frequency_duration": 0},
            {"frequency_duration": ["value_is_out_of_range"]},
        ),
        ({"coupon_type": "percentage"}, {"percentage_rate": ["value_is_mandatory"]}),
        (
            {"coupon_type": "percentage", "percentage_rate": 100.5},
            {"percentage_rate": ["value_is_out_of_range"]},
        ),
        (
            {"coupon_type": "percentage", "percentage_rate": 0},
            {"percentage_rate": ["value_is_out_of_range"]},
        ),
        (
            {"coupon_type": "percentage", "percentage_rate": "NaN"},
            {"percentage_rate": ["value_is_out_of_range"]},
        ),
        ({"expiration": "soon"}, {"expiration": ["value_is_invalid"]}),
        ({"expiration": "time_limit"}, {"expiration_at": ["value_is_mandatory"]}),
        (
            {"expiration": "time_limit", "expiration_at": "2020-01-01T00:00:00Z"},
            {"expiration_at": ["value_is_invalid"]},
        ),
        ({"expiration_at": "tomorrow"}, {"expiration_at": ["value_is_invalid"]}),
        ({"applies_to": {"plan_codes": ["none"]}}, {"plan_codes": ["plan_not_found"]}),
        (
            {"applies_to": {"billable_metric_codes": ["none"]}},
            {"billable_metric_codes": ["billable_metric_not_found"]},
        ),
        ({"applies_to": ["x"]}, {"applies_to": ["value_is_invalid"]}),
    ],
)
def test_a_coupon_that_is_wrong_is_refused_by_field(
    api: httpx.Client, terms: dict[str, Any], told: dict[str, list[str]]
) -> None:
    assert refused(api.post("/coupons", json={"coupon": TEN | {"code": "lago-w"} | terms})) == told


def test_a_coupon_is_given_listed_and_taken_back(lago: Client, api: httpx.Client) -> None:
    lago.coupons.create(Coupon(**TEN | {"code": "lago-given"}))
    lago.customers.create(Customer(external_id="lago-lucky"))

    applied = lago.applied_coupons.create(
        AppliedCoupon(external_customer_id="lago-lucky", coupon_code="lago-given")
    )
    assert (applied.status, applied.amount_cents, applied.amount_cents_remaining) == (
        "active",
        1000,
        1000,
    )
    assert (applied.external_customer_id, applied.frequency) == ("lago-lucky", "once")
    assert applied.credits.__root__ == []
    assert lago.customers.find("lago-lucky").currency == "EUR"

    found = lago.applied_coupons.find_all({"external_customer_id": "lago-lucky"})
    assert found["applied_coupons"] == [applied]
    assert _of_customer(api, "lago-lucky") == [applied]
    assert api.get("/applied_coupons?coupon_code[]=lago-given").json()["meta"]["total_count"] == 1

    ended = lago.applied_coupons.destroy("lago-lucky", applied.lago_id)
    assert (ended.lago_id, ended.status) == (applied.lago_id, "terminated")
    assert ended.terminated_at is not None
    active = lago.applied_coupons.find_all(
        {"external_customer_id": "lago-lucky", "status": "active"}
    )
    assert active["applied_coupons"] == []


def test_a_coupon_may_be_given_on_other_terms(lago: Client) -> None:
    lago.coupons.create(Coupon(**TEN | {"code": "lago-terms"}))
    lago.customers.create(Customer(external_id="lago-terms", currency="EUR"))

    applied = lago.applied_coupons.create(
        AppliedCoupon(
            external_customer_id="lago-terms",
            coupon_code="lago-terms",
            amount_cents=500,
            frequency="recurring",
            frequency_duration=3,
        )
    )

    assert (applied.amount_cents, applied.amount_cents_remaining) == (500, None)
    assert (applied.frequency, applied.frequency_duration_remaining) == ("recurring", 3)


def test_a_deleted_coupon_is_taken_from_everybody(lago: Client, api: httpx.Client) -> None:
    lago.coupons.create(Coupon(**TEN | {"code": "lago-withdrawn"}))
    lago.customers.create(Customer(external_id="lago-withdrawn"))
    given = AppliedCoupon(external_customer_id="lago-withdrawn", coupon_code="lago-withdrawn")
    lago.applied_coupons.create(given)

    lago.coupons.destroy("lago-withdrawn")

    (applied,) = _of_customer(api, "lago-withdrawn")
    assert applied.status == "terminated"
    with pytest.raises(LagoApiError) as gone:
        lago.applied_coupons.create(given)
    assert gone.value.response["code"] == "coupon_not_found"


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        ({"coupon_code": "none"}, 404, "coupon_not_found"),
        ({"external_customer_id": "none"}, 404, "customer_not_found"),
        ({"external_customer_id": None}, 404, "customer_not_found"),
        ({"amount_cents": 0}, 422, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_currency": "USD"}, 422, {"currency": ["currencies_does_not_match"]}),
        ({"frequency": "recurring"}, 422, {"frequency_duration": ["value_is_mandatory"]}),
        ({"frequency_duration": "x"}, 422, {"frequency_duration": ["value_is_invalid"]}),
        ({"percentage_rate": {}}, 422, {"percentage_rate": ["value_is_invalid"]}),
    ],
)
def test_a_coupon_that_cannot_be_given_is_refused(
    api: httpx.Client, given: dict[str, Any], status: int, told: Any
) -> None:
    api.post("/coupons", json={"coupon": TEN | {"code": "lago-refused"}})
    api.post("/customers", json={"customer": {"external_id": "lago-refused", "currency": "EUR"}})
    wanted = {"external_customer_id": "lago-refused", "coupon_code": "lago-refused"} | given

    answer = api.post("/applied_coupons", json={"applied_coupon": wanted})

    assert answer.status_code == status
    body = answer.json()
    assert (body["code"] if status == 404 else body["error_details"]) == told


def test_what_is_asked_of_applied_coupons_is_checked(api: httpx.Client) -> None:
    assert refused(api.get("/applied_coupons?status=gone")) == {"status": ["value_is_invalid"]}
    assert api.get("/customers/none/applied_coupons").json()["code"] == "customer_not_found"
    api.post("/customers", json={"customer": {"external_id": "lago-asked"}})
    for name in ("x", "018f0000-0000-7000-8000-000000000000"):
        answer = api.delete(f"/customers/lago-asked/applied_coupons/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "applied_coupon_not_found")
