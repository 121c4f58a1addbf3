"""All that Lago's official client does with subscriptions, unmodified, and what that changes."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import Charge, ChargeFilter, Subscription
from lago_python_client.models.charge import ChargeOverrides, ChargesOverrides
from lago_python_client.models.fixed_charge import FixedCharge
from lago_python_client.models.minimum_commitment import MinimumCommitmentOverrides
from lago_python_client.models.plan import PlanOverrides
from lago_python_client.models.subscription import ActivationRuleInput
from lago_python_client.models.usage_threshold import (
    UsageThresholdOverrides,
    UsageThresholdsOverrides,
)

from invoicing.periods import period_at
from tests.api.market import Json, Shop, standard

_numbers = itertools.count(1)


class Market:
    """A metric with regions, and plans for it, under names of their own."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.metric = shop.unique("calls")
        self.metric_id = shop.metric(self.metric, region=["eu", "us"])

    def plan(self, amount_cents: int, price: str = "1", **terms) -> Json:
        charge = standard(self.metric_id, price)
        return self.shop.plan(self.shop.unique("plan"), charge, amount_cents=amount_cents, **terms)


@pytest.fixture
def market(api: httpx.Client) -> Market:
    return Market(Shop(api, f"subs-{next(_numbers)}"))


def refused(error: pytest.ExceptionInfo[LagoApiError]) -> Json:
    return error.value.response["error_details"]


def test_plans_are_changed_at_once_or_at_the_end_of_the_period(
    lago: Client, market: Market
) -> None:
    small, large = market.plan(1000), market.plan(5000)
    name = market.shop.unique("sub")
    first = lago.subscriptions.create(
        Subscription(external_customer_id=name, plan_code=small["code"], external_id=name)
    )
    assert first.current_billing_period_started_at.endswith("-01T00:00:00Z")
    assert first.current_billing_period_ending_at.endswith("T23:59:59Z")
    second = lago.subscriptions.create(
        Subscription(external_customer_id=name, plan_code=large["code"], external_id=name)
    )
    assert (second.plan_code, second.previous_plan_code) == (large["code"], small["code"])
    assert second.lago_id != first.lago_id
    waits = lago.subscriptions.create(
        Subscription(external_customer_id=name, plan_code=small["code"], external_id=name)
    )
    assert (waits.lago_id, waits.next_plan_code) == (second.lago_id, small["code"])
    ends = datetime.fromisoformat(second.current_billing_period_ending_at)
    assert waits.downgrade_plan_date == (ends + timedelta(seconds=1)).date().isoformat()
    listed = lago.subscriptions.find_all({"external_customer_id": name, "status[]": "pending"})[
        "subscriptions"
    ]
    assert [one.plan_code for one in listed] == [small["code"]]
    lago.subscriptions.destroy(name, {"status": "pending"})
    assert lago.subscriptions.find(name).next_plan_code is None


def test_a_subscription_has_prices_of_its_own(lago: Client, market: Market) -> None:
    plan = market.plan(1000)
    mine, theirs = market.shop.unique("mine"), market.shop.unique("theirs")
    for name, overrides in (
        (
            mine,
            PlanOverrides(
                amount_cents=500,
                minimum_commitment=MinimumCommitmentOverrides(amount_cents=9000),
                usage_thresholds=UsageThresholdsOverrides(
                    __root__=[UsageThresholdOverrides(amount_cents=100)]
                ),
                charges=ChargesOverrides(
                    __root__=[
                        ChargeOverrides(
                            id=plan["charges"][0]["lago_id"], properties={"amount": "0.5"}
                        )
                    ]
                ),
            ),
        ),
        (theirs, None),
    ):
        lago.subscriptions.create(
            Subscription(
                external_customer_id=name,
                plan_code=plan["code"],
                external_id=name,
                plan_overrides=overrides,
            )
        )
        market.shop.wallet(name, granted_credits="10")
        market.shop.charged(external_customer_id=name, code=market.metric)
    assert (market.shop.balance(mine)[0], market.shop.balance(theirs)[0]) == ("9.5", "9")
    found = lago.subscriptions.find(mine)
    assert (found.plan_code, found.plan_amount_cents) == (plan["code"], "500")
    assert lago.subscriptions.find(theirs).plan_amount_cents == "1000"
    lago.subscriptions.update(Subscription(plan_overrides=PlanOverrides(amount_cents=700)), mine)
    assert lago.subscriptions.find(mine).plan_amount_cents == "700"
    assert [one.code for one in lago.plans.find_all({"per_page": 1000})["plans"]].count(
        plan["code"]
    ) == 1


def test_charges_and_filters_change_for_one_subscription(lago: Client, market: Market) -> None:
    plan = market.plan(0)
    mine, theirs = market.shop.customer(plan["code"]), market.shop.customer(plan["code"])
    mine, theirs = f"{mine}-0", f"{theirs}-0"
    code = plan["charges"][0]["code"]
    client = lago.subscription_charges
    with pytest.raises(LagoApiError, match="401"):
        client.find_all(mine)  # it sends no key here
    listed = market.shop.api.get(f"/subscriptions/{mine}/charges").json()["charges"]
    assert [one["code"] for one in listed] == [code]
    changed = client.update(mine, code, Charge(properties={"amount": "2"}))
    assert changed.properties == {"amount": "2"}
    assert client.find(mine, code).properties == {"amount": "2"}
    assert client.find(theirs, code).properties == {"amount": "1"}

    eu = ChargeFilter(values={"region": ["eu"]}, properties={"amount": "3"})
    made = lago.subscriptions.create_charge_filter(mine, code, eu)
    again = lago.subscriptions.update_charge_filter(
        mine, code, made.lago_id, ChargeFilter(properties={"amount": "4"})
    )
    assert again.properties == {"amount": "4"}
    assert lago.subscriptions.find_charge_filter(mine, code, made.lago_id) == again
    listed = lago.subscriptions.find_all_charge_filters(mine, code)["filters"]
    assert [one.lago_id for one in listed] == [made.lago_id]
    assert lago.subscriptions.find_all_charge_filters(theirs, code)["filters"] == []
    lago.subscriptions.destroy_charge_filter(mine, code, made.lago_id)
    assert lago.subscriptions.find_all_charge_filters(mine, code)["filters"] == []
    with pytest.raises(LagoApiError) as unknown:
        client.find(mine, "nothing")
    assert unknown.value.response["code"] == "charge_not_found"


def test_fixed_charges_change_for_one_subscription(lago: Client, market: Market) -> None:
    add_on = market.shop.unique("seat")
    market.shop.ok(
        "/add_ons",
        add_on={"name": "Seat", "code": add_on, "amount_cents": 500, "amount_currency": "USD"},
    )
    fixed = {"add_on_code": add_on, "charge_model": "standard", "units": "2"}
    plan = market.plan(0, fixed_charges=[fixed])
    mine, theirs = (f"{market.shop.customer(plan['code'])}-0" for _ in range(2))
    client = lago.subscription_fixed_charges
    (listed,) = market.shop.api.get(f"/subscriptions/{mine}/fixed_charges").json()["fixed_charges"]
    assert listed["units"] == "2"
    assert client.update(mine, listed["code"], FixedCharge(units=5)).units == 5
    found = [client.find(one, listed["code"]).units for one in (mine, theirs)]
    assert found == [5, 2]


def test_lifetime_usage_counts_what_was_used_before(lago: Client, market: Market) -> None:
    thresholds = [{"amount_cents": 400}, {"amount_cents": 100, "recurring": True}]
    plan = market.plan(0, usage_thresholds=thresholds)
    customer = market.shop.customer(plan["code"], granted_credits="10")
    name = f"{customer}-0"
    market.shop.charged(external_customer_id=customer, code=market.metric)
    found = lago.subscriptions.lifetime_usage(name)
    assert (found.current_usage_amount_cents, found.invoiced_usage_amount_cents) == (100, 0)
    assert [one.completion_ratio for one in found.usage_thresholds] == [0.25, 0.0]
    changed = lago.subscriptions.update_lifetime_usage(name, 350)
    assert changed.external_historical_usage_amount_cents == 350
    shown = [(one.amount_cents, one.completion_ratio) for one in changed.usage_thresholds]
    assert shown == [(400, 1.0), (500, 0.5)]
    assert changed.external_subscription_id == name
    with pytest.raises(LagoApiError) as unknown:
        lago.subscriptions.lifetime_usage("nobody")
    assert unknown.value.status_code == 404
    with pytest.raises(LagoApiError):
        lago.subscriptions.update_lifetime_usage(name, -1)


def test_what_is_to_be_paid_first_is_incomplete(lago: Client, market: Market) -> None:
    plan = market.plan(1000, pay_in_advance=True)
    name = market.shop.unique("sub")
    rule = ActivationRuleInput(type="payment", timeout_hours=24)
    created = lago.subscriptions.create(
        Subscription(
            external_customer_id=name,
            plan_code=plan["code"],
            external_id=name,
            activation_rules=[rule],
        )
    )
    assert (created.status, created.activated_at) == ("incomplete", None)
    (shown,) = created.activation_rules
    assert (shown.type, shown.status, shown.timeout_hours) == ("payment", "pending", 24)
    assert lago.subscriptions.find(name, {"status": "incomplete"}) == created
    ended = lago.subscriptions.destroy(name, {"status": "incomplete"})
    assert ended.status == "canceled"


def test_what_its_end_does_may_be_said_when_it_starts_and_goes_on_with_another_plan(
    market: Market,
) -> None:
    name = market.shop.unique("sub")
    request = {"external_customer_id": name, "external_id": name}
    first, dearer = market.plan(1000)["code"], market.plan(2000)["code"]
    ends = {"on_termination_credit_note": "refund", "on_termination_invoice": "skip"}
    begun = market.shop.ok("/subscriptions", subscription=request | ends | {"plan_code": first})
    assert begun["subscription"].items() >= ends.items()
    changed = market.shop.ok("/subscriptions", subscription=request | {"plan_code": dearer})
    assert changed["subscription"].items() >= ends.items()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"activation_rules": [{"type": "prayer"}]},
            {"activation_rules.0.type": ["value_is_invalid"]},
        ),
        ({"activation_rules": [{"type": "payment"}] * 2}, {"activation_rules": ["invalid_count"]}),
        (
            {"on_termination_credit_note": "burn", "on_termination_invoice": "x"},
            {
                "on_termination_credit_note": ["invalid_value"],
                "on_termination_invoice": ["invalid_value"],
            },
        ),
        ({"billing_entity_code": "nobody"}, {"billing_entity_code": ["billing_entity_not_found"]}),
        (
            {"plan_overrides": {"charges": [{"id": "018d7a1c-0000-7000-8000-000000000000"}]}},
            {"plan_overrides.charges.0.id": ["charge_not_found"]},
        ),
        (
            {"plan_overrides": {"usage_thresholds": [{"amount_cents": 0}]}},
            {"usage_thresholds.0.amount_cents": ["value_is_out_of_range"]},
        ),
        (
            {"plan_overrides": {"trial_period": "1e9999"}},
            {"trial_period": ["value_is_out_of_range"]},
        ),
        ({"plan_overrides": {"amount_currency": "XXZ"}}, {"amount_currency": ["value_is_invalid"]}),
    ],
)
def test_what_is_wrong_is_told_by_field(market: Market, fields: Json, told: Json) -> None:
    plan = market.plan(1000)["code"]
    name = market.shop.unique("sub")
    request = {"external_customer_id": name, "external_id": name, "plan_code": plan}
    answer = market.shop.post("/subscriptions", subscription=request | fields)
    assert (answer.status_code, answer.json()["error_details"]) == (422, told)


@pytest.mark.parametrize(
    "fields",
    [
        {"plan_overrides": []},
        {"plan_overrides": {"charges": {}}},
        {"plan_overrides": {"charges": [None]}},
        {"plan_overrides": {"minimum_commitment": {"amount_cents": -1}}},
        {"plan_overrides": {"usage_thresholds": [{"amount_cents": 2**63}]}},
        {"activation_rules": [{"type": "payment", "timeout_hours": 10**9}]},
        {"activation_rules": ["payment"]},
        {"billing_entity_code": 7},
        {"on_termination_invoice": "\\u0000"},
    ],
)
def test_nothing_that_can_be_sent_breaks_it(market: Market, fields: Json) -> None:
    plan = market.plan(1000)["code"]
    name = market.shop.unique("sub")
    request = {"external_customer_id": name, "external_id": name, "plan_code": plan}
    answer = market.shop.post("/subscriptions", subscription=request | fields)
    assert answer.status_code in {200, 400, 422}, answer.text


def test_months_are_the_customers_in_usage_and_in_running_totals(market: Market) -> None:
    """The period that usage is counted in is the one that is billed, wherever its owner lives."""
    zone = ZoneInfo("Asia/Kolkata")
    name = market.shop.unique("sub")
    customer = {"external_id": name, "currency": "USD", "timezone": zone.key}
    market.shop.ok("/customers", customer=customer)
    graduated = {
        "billable_metric_id": market.metric_id,
        "charge_model": "graduated",
        "properties": {
            "graduated_ranges": [
                {"from_value": 0, "to_value": 1, "per_unit_amount": "5", "flat_amount": "0"},
                {"from_value": 2, "to_value": None, "per_unit_amount": "1", "flat_amount": "0"},
            ]
        },
    }
    code = market.shop.unique("plan")
    market.shop.plan(code, graduated)
    now = datetime.now(UTC)
    month = period_at(now, interval="monthly", billing_time="calendar", anchor=now, zone=zone)
    subscription = {
        "external_customer_id": name,
        "external_id": name,
        "plan_code": code,
        "subscription_at": (now - timedelta(days=40)).isoformat(),
    }
    market.shop.ok("/subscriptions", subscription=subscription)
    market.shop.wallet(name, granted_credits="100")
    # Three minutes before and after midnight there: both in one month of UTC.
    for at in (month.start - timedelta(minutes=3), month.start + timedelta(minutes=3)):
        market.shop.charged(
            external_customer_id=name, code=market.metric, timestamp=int(at.timestamp())
        )
    assert market.shop.balance(name)[0] == "90"
    parameters = {"external_subscription_id": name}
    used = market.shop.api.get(f"/customers/{name}/current_usage", params=parameters).json()
    assert used["customer_usage"]["amount_cents"] == 500
    assert used["customer_usage"]["from_datetime"] == month.start.strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = market.shop.api.get(f"/subscriptions/{name}").json()["subscription"]
    assert shown["current_billing_period_started_at"] == used["customer_usage"]["from_datetime"]
    past = market.shop.api.get(f"/customers/{name}/past_usage", params=parameters).json()
    assert past["usage_periods"][0]["amount_cents"] == 500
